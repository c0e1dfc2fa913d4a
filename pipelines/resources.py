"""The resources that each step asks of the cluster, in one table. Local runs use the environment variables only."""

import dataclasses

from kfp import dsl, kubernetes

GPU = "nvidia.com/gpu"
DATA_CLAIM, DATA_MOUNT = "stmae-data", "/data"
MODELS_CLAIM, MODELS_MOUNT = "stmae-models", "/models"
HOUR = 3600
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40), "MALLOC_TOP_PAD_": str(64 << 20)}
"""Environment of each step. By default glibc returns large tensors to the kernel, which then clears pages anew."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    cpu: tuple[str, str]
    """Request and limit, in cores."""
    memory: tuple[str, str]
    """Request and limit."""
    timeout: int
    """Seconds after which the pod of one attempt is stopped."""
    retries: int
    """Further attempts, for what goes away by itself: a lost node, a full disk, a storage hiccup."""
    gpu: int = 0
    shm: str = ""
    """Size of /dev/shm, through which data loader workers hand over batches; part of the memory limit."""
    claims: tuple[tuple[str, str], ...] = ()
    """Persistent volume claims and where they are mounted."""


def _training(timeout: int) -> Resources:
    """Returns the resources of a training step: its checkpoints lie on the models' claim, so that a retry resumes."""
    return Resources(
        cpu=("4", "8"),
        memory=("16Gi", "32Gi"),
        timeout=timeout,
        retries=2,
        gpu=1,
        shm="8Gi",
        claims=((MODELS_CLAIM, MODELS_MOUNT),),
    )


RESOURCES = {
    "prepare-dataset": Resources(
        cpu=("2", "8"),
        memory=("4Gi", "16Gi"),
        timeout=4 * HOUR,
        retries=2,
        claims=((DATA_CLAIM, DATA_MOUNT),),
    ),
    "extract-flow": Resources(cpu=("4", "8"), memory=("8Gi", "32Gi"), timeout=6 * HOUR, retries=2, gpu=1, shm="8Gi"),
    "pretrain-appearance": _training(12 * HOUR),
    "pretrain-motion": _training(12 * HOUR),
    "train-adversarial": _training(48 * HOUR),
    "evaluate": Resources(cpu=("4", "8"), memory=("16Gi", "32Gi"), timeout=6 * HOUR, retries=2, gpu=1, shm="8Gi"),
    "export": Resources(cpu=("2", "4"), memory=("4Gi", "16Gi"), timeout=HOUR, retries=1),
    "compare": Resources(cpu=("1", "2"), memory=("2Gi", "4Gi"), timeout=HOUR, retries=2),
    "publish": Resources(
        cpu=("2", "4"),
        memory=("4Gi", "16Gi"),
        timeout=HOUR,
        retries=1,
        claims=((MODELS_CLAIM, MODELS_MOUNT),),
    ),
}


def place(task: dsl.PipelineTask) -> dsl.PipelineTask:
    """Applies the step's row of the table, and KEEP_MEMORY. Raises KeyError for a step without a row."""
    row = RESOURCES[task.name]
    task.set_cpu_request(row.cpu[0]).set_cpu_limit(row.cpu[1])
    task.set_memory_request(row.memory[0]).set_memory_limit(row.memory[1])
    task.set_retry(row.retries, backoff_duration="30s", backoff_factor=2.0, backoff_max_duration="600s")
    kubernetes.set_timeout(task, row.timeout)
    if row.gpu:
        task.set_accelerator_type(GPU).set_accelerator_limit(row.gpu)
    if row.shm:
        kubernetes.empty_dir_mount(task, volume_name="shm", mount_path="/dev/shm", medium="Memory", size_limit=row.shm)
    for claim, path in row.claims:
        kubernetes.mount_pvc(task, pvc_name=claim, mount_path=path)
    for name, value in KEEP_MEMORY.items():
        task.set_env_variable(name, value)
    return task
