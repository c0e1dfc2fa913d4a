"""The site file and the images file: what is written there is in the compiled YAML, and mistakes are named."""

from __future__ import annotations

from pathlib import Path

import pytest
from compiled_yaml import IMAGES, ROOT, Compiled, compile_to

from components.images import ImageError, base_image
from pipelines import site

SITE = (ROOT / "k8s" / "pipelines.toml").read_text(encoding="utf-8")
GPU_STEPS = {"extract-flow", "pretrain-appearance", "pretrain-motion", "train-adversarial", "evaluate"}
EQUIPPED = """
service_account = "trainer"
kubeflow_api = "http://kfp.example:8888"

[run]
deadline_hours = 2
keep_days = 1

[pod]
user = 1001
group = 1002
labels = { "kueue.x-k8s.io/queue-name" = "cctv" }
node_selector = { "kubernetes.io/arch" = "amd64" }
tolerations = [{ key = "dedicated", operator = "Equal", value = "cctv", effect = "NoSchedule" }]

[gpu]
type = "amd.com/gpu"
count = 2
node_selector = { "gpu.example/model" = "l4" }
tolerations = [{ key = "spot.example/instance", operator = "Exists" }]
affinity = [
  { key = "topology.kubernetes.io/zone", operator = "In", values = ["a", "b"], weight = 50 },
  { key = "gpu.example/healthy", operator = "Exists" },
]

[s3]
secret = "bucket-keys"
optional = false

[signing]
secret = "signing-key"
"""
SHARED = "MODELS=s3://published/models\nS3_ENDPOINT=http://s3.example:9000\nS3_REGION=eu-west-1\n"


@pytest.fixture(scope="module")
def equipped(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    folder = tmp_path_factory.mktemp("site")
    (folder / "site.toml").write_text(EQUIPPED, encoding="utf-8")
    (folder / "site").mkdir()
    (folder / "site" / "site.env").write_text(SHARED, encoding="utf-8")
    done = compile_to(folder / "out", STMAE_SITE=str(folder / "site.toml"))
    assert done.returncode == 0, done.stderr
    return Compiled(folder / "out" / "train.yaml")


def test_type_and_number_of_gpus_are_those_of_the_site(equipped: Compiled) -> None:
    for step in GPU_STEPS:
        accelerator = equipped.containers[step]["resources"]["accelerator"]
        assert (accelerator["resourceType"], accelerator["resourceCount"]) == ("amd.com/gpu", "2")


def test_every_step_has_the_site_s_labels_user_and_nodes_and_gpu_steps_those_of_gpu_nodes_too(
    equipped: Compiled,
) -> None:
    dedicated = {"key": "dedicated", "operator": "Equal", "value": "cctv", "effect": "NoSchedule"}
    spot = {"key": "spot.example/instance", "operator": "Exists"}
    for step, executor in equipped.platform.items():
        gpu = step in GPU_STEPS
        assert executor["podMetadata"]["labels"] == {"kueue.x-k8s.io/queue-name": "cctv"}
        context = executor["securityContext"]
        assert (int(context["runAsUser"]), int(context["runAsGroup"])) == (1001, 1002)
        own = {"gpu.example/model": "l4"} if gpu else {}
        assert executor["nodeSelector"]["labels"] == {"kubernetes.io/arch": "amd64"} | own, step
        assert executor["tolerations"] == [dedicated, *([spot] if gpu else [])], step


def test_affinity_is_required_or_preferred_by_weight(equipped: Compiled) -> None:
    zone = {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["a", "b"]}
    for step, executor in equipped.platform.items():
        if step in GPU_STEPS:
            preferred, required = executor["nodeAffinity"]
            assert preferred == {"matchExpressions": [zone], "weight": 50}
            assert required == {"matchExpressions": [{"key": "gpu.example/healthy", "operator": "Exists"}]}
        else:
            assert "nodeAffinity" not in executor


def test_deadline_time_to_live_secrets_and_endpoint_are_the_site_s(equipped: Compiled) -> None:
    config = equipped.document["platforms"]["kubernetes"]["pipelineConfig"]
    assert config == {"activeDeadlineSeconds": 7200, "resourceTtlOnCompletion": 24 * 3600}
    (keys,) = equipped.platform["prepare-dataset"]["secretAsEnv"]
    assert keys["secretName"] == "bucket-keys"
    assert not keys.get("optional", False)
    assert equipped.environment("prepare-dataset")["AWS_ENDPOINT_URL"] == "http://s3.example:9000"
    assert equipped.environment("prepare-dataset")["AWS_REGION"] == "eu-west-1"
    (key,) = equipped.platform["publish"]["secretAsVolume"]
    assert (key["secretName"], key["mountPath"]) == ("signing-key", "/etc/stmae/signing")
    parameters = equipped.pipeline["root"]["inputDefinitions"]["parameters"]
    assert parameters["signing_key"]["defaultValue"] == "/etc/stmae/signing/key.pem"
    assert parameters["models"]["defaultValue"] == "s3://published/models"


@pytest.mark.parametrize("text", [None, SHARED.replace("s3://published/models", "")])
def test_a_missing_value_of_the_site_is_named_with_file_field_and_mend(text: str | None, tmp_path: Path) -> None:
    values = tmp_path / "site" / "site.env"
    if text is not None:
        values.parent.mkdir()
        values.write_text(text, encoding="utf-8")
    wrong = "cannot be read" if text is None else "MODELS: is empty; docs/cluster.md says what it means"
    with pytest.raises(site.SiteError, match=f"{values}: {wrong}"):
        site.load_shared(tmp_path / "site.toml")


def test_the_report_asks_the_site_s_kubeflow_and_runs_have_the_site_s_service_account(equipped: Compiled) -> None:
    asked = equipped.tasks["report-run"]["inputs"]["parameters"]["kubeflow_api"]
    assert asked["runtimeValue"]["constant"] == "http://kfp.example:8888"
    assert site.load(equipped.path.parents[1] / "site.toml").service_account == "trainer"


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('secret = "stmae-s3"', 'secret = ""', "s3.secret = '': name the Secret with AWS_ACCESS_KEY_ID"),
        ('secret = "stmae-s3"', "", "s3.secret: is missing"),
        ('secret = "stmae-s3"', 'secrets = "stmae-s3"', "s3.secrets: unknown; valid: secret, optional"),
        ('secret = "stmae-s3"', 'secret = "Not A Name"', "s3.secret = 'Not A Name'"),
        ("user = 65532", "user = 0", "pod.user = 0: must be at least 1"),
        ("user = 65532", 'user = "65532"', "pod.user = '65532': must be of type int"),
        ("count = 1 ", "count = 0 ", "gpu.count = 0"),
        ("tolerations = []\naffinity", 'tolerations = [{ effect = "Never" }]\naffinity', "must be one of NoSchedule"),
        ("[run]", "[run", "not valid TOML"),
    ],
)
def test_a_mistake_in_the_site_file_is_named_with_file_field_and_mend(
    before: str, after: str, message: str, tmp_path: Path
) -> None:
    assert before.strip() in SITE
    path = tmp_path / "site.toml"
    path.write_text(SITE.replace(before.strip() if before not in SITE else before, after, 1), encoding="utf-8")
    with pytest.raises(site.SiteError) as raised:
        site.load(path)
    assert str(path) in str(raised.value)
    assert message in str(raised.value)


def test_a_site_file_that_cannot_be_used_is_bad_usage(tmp_path: Path) -> None:
    done = compile_to(tmp_path / "out", STMAE_SITE=str(tmp_path / "nowhere.toml"))
    assert done.returncode == 2
    assert f"{tmp_path / 'nowhere.toml'}: no such site file" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("images: [{name: stmae-train, newName: r/stmae-train, digest: latest}]", "digest = 'latest': must be sha256:"),
        ("images: [{name: stmae-train, newName: r/stmae-train, newTag: v1}]", "digest = '': must be sha256:"),
        ("images: [{name: stmae-train, digest: 'sha256:0'}]", "newName is missing"),
        ("images: [{name: stmae-batch}]", "must name stmae-train once"),
        ("resources: []", "must name stmae-train once"),
        (None, "no such file; `make images` writes it"),
    ],
)
def test_an_image_without_a_digest_is_named_with_file_field_and_mend(
    text: str | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "images.yaml"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(ImageError) as raised:
        base_image(path)
    assert str(path) in str(raised.value)
    assert message in str(raised.value)


def test_an_image_without_a_digest_is_bad_usage(tmp_path: Path) -> None:
    done = compile_to(tmp_path / "out", STMAE_IMAGES=str(tmp_path / "nowhere.yaml"))
    assert done.returncode == 2
    assert f"{tmp_path / 'nowhere.yaml'}: no such file" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_images_of_the_tests_are_a_kustomize_component_as_the_manifests_have_it() -> None:
    for path in (IMAGES, ROOT / "k8s" / "images" / "kustomization.yaml"):
        assert "kind: Component" in path.read_text(encoding="utf-8")
