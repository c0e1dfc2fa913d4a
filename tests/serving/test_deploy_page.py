"""Every command of docs/deploy.md that needs no cluster is run, in its order, on a real S3 server."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from pathlib import Path

import boto3
import pytest
from nights import Night, film
from releases import Release
from swift import S3Server

from stmae.serving import models
from stmae.serving.models.installation import installed, sync
from stmae.serving.tls import Tls
from stmae.storage import Store, open_store

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.findall(r"^```sh\n(.*?)^```", (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8"), re.M | re.S)
ELSEWHERE = {"make demo": "tests/pipeline/test_demo.py", "make images ": "k8s/images/check.py"}
"""What takes minutes has a test of its own."""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The repository without its workspace: what a test writes must not touch a user's."""
    for each in ROOT.iterdir():
        if each.name != "work":
            (tmp_path / each.name).symlink_to(each)
    return tmp_path


def here() -> list[str]:
    """Returns the commands that need no cluster, block by block, without those that are run elsewhere."""
    left = [*ELSEWHERE, *([] if shutil.which("kubectl") else ["make manifests"])]
    blocks = [block for block in BLOCKS if not block.startswith("# on the cluster")]
    return ["".join(line for line in b.splitlines(True) if not line.startswith(tuple(left))) for b in blocks]


def test_commands_that_need_a_cluster_are_marked_and_no_others() -> None:
    assert all(
        any(command in block for block in BLOCKS) and (ROOT / test).is_file() for command, test in ELSEWHERE.items()
    )
    for block in BLOCKS:
        marked = block.startswith("# on the cluster")
        assert marked == bool(re.search(r"^(kubectl|export KFP_HOST|make pipeline-)", block, re.M)), block


def promote(release: Release, store: Store, key: Path | None = None) -> None:
    version = release.add(store, key)
    models.promote(store, version.deployment, version.version)


def test_a_model_that_was_published_is_not_trained_again(checkout: Path, releases: list[Release]) -> None:
    promote(releases[0], open_store(str(checkout / "work" / "models")))
    sync(open_store(str(checkout / "work" / "models")), checkout / "work" / "model_repository")
    command = ["make", "model-repository", "DATASET=tiny"]  # no configuration, so training it would fail
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_the_guide_leads_from_an_archive_to_a_report(
    checkout: Path, s3_environment: S3Server, releases: list[Release], night: Night
) -> None:
    client = boto3.client("s3")
    client.create_bucket(Bucket="cctv")
    film(checkout / "08-00-00.mp4", 40)
    client.upload_file(str(checkout / "08-00-00.mp4"), "cctv", "recordings/gate/2026-03-01/08-00-00.mp4")
    promote(releases[2], open_store(str(checkout / "work" / "models")))
    sync(open_store(str(checkout / "work" / "models")), checkout / "work" / "model_repository")  # as the demo leaves it
    given = s3_environment.environment()
    ours = {"https://s3.example.com": given["AWS_ENDPOINT_URL"], "eu-central-1": given["AWS_REGION"], " gate": " tiny"}
    exports, said, keys = "", "", checkout / "work" / "keys"
    store = open_store("s3://cctv/models")
    for told in here():
        block = functools.reduce(lambda text, pair: text.replace(*pair), ours.items(), told)
        if "stmae versions" in block:  # in the cluster two models were published, and a night was scored
            for release in releases[:2]:
                promote(release, store, keys / "key.pem")
            assert night.score("s3://cctv/recordings", "s3://cctv/tables").complete
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", exports + block],
            cwd=checkout,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        exports += "".join(re.findall(r"^export .*\n", block, re.M))
        said += done.stdout
    assert "gate: 1, 1" in said
    assert re.search(r"\d+ checks, \d+ passed", said) or not shutil.which("kubectl")
    assert (checkout / "work" / "pipelines" / "train.yaml").is_file()
    assert "gate" in (checkout / "work" / "reports" / "night.html").read_text(encoding="utf-8")
    # The keys are good for what they were made for, and the rollback took the first version back.
    (first,) = sync(store, checkout / "triton", trust=keys / "trust.pem")
    assert f"tiny: {first.version} is promoted" in said
    assert installed(checkout / "triton", "tiny") == first.version == models.versions(store, "tiny")[-1].version
    Tls(keys / "ca.crt", keys / "tls.crt", keys / "tls.key").context()
