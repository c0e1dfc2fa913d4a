"""The resources that each step asks of the cluster, in one table, and how a step is given them and the site's settings.

Local runs use KEEP_MEMORY only.
"""

import dataclasses

from kfp import dsl, kubernetes

from pipelines.site import Nodes, load, load_shared

SITE, SHARED = load(), load_shared()
DATA_CLAIM, DATA_MOUNT = "stmae-data", "/data"
MODELS_CLAIM, MODELS_MOUNT = "stmae-models", "/models"
DATA, MODELS = (DATA_CLAIM, DATA_MOUNT), (MODELS_CLAIM, MODELS_MOUNT)
KEY_MOUNT = "/etc/stmae/signing"
"""Folder of the private key that signs versions, where the site file names a Secret with one."""
HOUR = 3600
PIPELINE = dsl.PipelineConfig(
    ttl_seconds_after_finished=SITE.run.keep_days * 24 * HOUR,
    active_deadline_seconds=SITE.run.deadline_hours * HOUR,
)
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40), "MALLOC_TOP_PAD_": str(64 << 20)}
"""Environment of each step. By default glibc returns large tensors to the kernel, which then clears pages anew."""
POD = {"HOME": "/tmp", "USER": "stmae", "STMAE_CHECKPOINTS": f"{MODELS_MOUNT}/checkpoints"}
"""Environment of each step on a cluster. Libraries look for a home and a user name, which a bare number lacks."""


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
    scratch: str = "4Gi"
    """Size of /tmp, the only folder of its own that a step writes to."""
    gpu: bool = False
    shm: str = ""
    """Size of /dev/shm, through which data loader workers hand over batches; part of the memory limit."""
    claims: tuple[tuple[str, str], ...] = ()
    """Persistent volume claims and where they are mounted."""
    s3: bool = False
    """Whether it may read or write buckets."""


def _training(timeout: int) -> Resources:
    """Returns the resources of a training step: its checkpoints lie on the models' claim, so that a retry resumes."""
    return Resources(
        cpu=("4", "8"), memory=("16Gi", "32Gi"), timeout=timeout, retries=2, gpu=True, shm="8Gi", claims=(MODELS,)
    )


def _small(**more: object) -> Resources:
    """Returns the resources of a step that computes next to nothing."""
    return Resources(cpu=("1", "2"), memory=("2Gi", "4Gi"), timeout=HOUR, retries=2, **more)


RESOURCES = {
    "resolve-config": _small(claims=(DATA,), s3=True),
    "prepare-dataset": Resources(
        cpu=("2", "8"),
        memory=("4Gi", "16Gi"),
        timeout=4 * HOUR,
        retries=2,
        scratch="200Gi",  # footage from a bucket
        claims=(DATA,),
        s3=True,
    ),
    "extract-flow": Resources(cpu=("4", "8"), memory=("8Gi", "32Gi"), timeout=6 * HOUR, retries=2, gpu=True, shm="8Gi"),
    "pretrain-appearance": _training(12 * HOUR),
    "pretrain-motion": _training(12 * HOUR),
    "train-adversarial": _training(48 * HOUR),
    "evaluate": Resources(cpu=("4", "8"), memory=("16Gi", "32Gi"), timeout=6 * HOUR, retries=2, gpu=True, shm="8Gi"),
    "export": Resources(cpu=("2", "4"), memory=("4Gi", "16Gi"), timeout=HOUR, retries=1),
    "gate": _small(claims=(MODELS,), s3=True),
    "publish": Resources(cpu=("2", "4"), memory=("4Gi", "16Gi"), timeout=HOUR, retries=1, claims=(MODELS,), s3=True),
    "register": _small(claims=(MODELS,), s3=True),
    "expand-study": _small(),
    "compare": _small(),
    "report-run": _small(),
}


def place(task: dsl.PipelineTask) -> dsl.PipelineTask:
    """Applies the step's row of the table and the site's settings. Raises KeyError for a step without a row."""
    row = RESOURCES[task.name]
    task.set_cpu_request(row.cpu[0]).set_cpu_limit(row.cpu[1])
    task.set_memory_request(row.memory[0]).set_memory_limit(row.memory[1])
    task.set_retry(row.retries, backoff_duration="30s", backoff_factor=2.0, backoff_max_duration="600s")
    kubernetes.set_timeout(task, row.timeout)
    # Privilege escalation, capabilities and seccomp are not the SDK's to set: Kubeflow sets them for every step.
    kubernetes.set_security_context(task, run_as_user=SITE.pod.user, run_as_group=SITE.pod.group, run_as_non_root=True)
    for key, value in SITE.pod.labels.items():
        kubernetes.add_pod_label(task, key, value)
    _schedule(task, SITE.pod)
    kubernetes.empty_dir_mount(task, volume_name="tmp", mount_path="/tmp", size_limit=row.scratch)
    if row.gpu:
        task.set_accelerator_type(SITE.gpu.type).set_accelerator_limit(SITE.gpu.count)
        _schedule(task, SITE.gpu)
    if row.shm:
        kubernetes.empty_dir_mount(task, volume_name="shm", mount_path="/dev/shm", medium="Memory", size_limit=row.shm)
    for claim, path in row.claims:
        kubernetes.mount_pvc(task, pvc_name=claim, mount_path=path)
    for name, value in (KEEP_MEMORY | POD | (_s3(task) if row.s3 else {})).items():
        task.set_env_variable(name, value)
    if task.name == "publish" and SITE.signing.secret:
        kubernetes.use_secret_as_volume(task, SITE.signing.secret, KEY_MOUNT)
    return task


def _schedule(task: dsl.PipelineTask, nodes: Nodes) -> None:
    for key, value in nodes.node_selector.items():
        kubernetes.add_node_selector(task, key, value)
    for toleration in nodes.tolerations:
        kubernetes.add_toleration(task, **dataclasses.asdict(toleration))
    for each in nodes.affinity:
        expression = {"key": each.key, "operator": each.operator, "values": each.values}
        kubernetes.add_node_affinity(task, match_expressions=[expression], weight=each.weight)


def _s3(task: dsl.PipelineTask) -> dict[str, str]:
    """Gives the step the credentials of the site's Secret, and returns the rest of its environment."""
    keys = {name: name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    kubernetes.use_secret_as_env(task, SITE.s3.secret, keys, optional=SITE.s3.optional)
    return {"AWS_ENDPOINT_URL": SHARED.s3_endpoint, "AWS_REGION": SHARED.s3_region}
