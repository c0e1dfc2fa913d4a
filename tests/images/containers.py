"""Container tools for the tests: Debian's buildah and podman, as root, on a machine without an engine.

Images lie in a folder of the tests and in a registry on the loopback interface, which also has the bases by digest.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from swift import free_ports, stop

ROOT = Path(__file__).resolve().parents[2]

PROGRAMS = ("buildah", "podman", "runc", "debootstrap", "docker-registry")
PYTHON = "python3,python3-pip,ca-certificates,libpython3.11"
"""Packages that Debian 12 has and the official Python image brings otherwise."""
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
START_SECONDS = 30.0

# There may be no user namespaces, no systemd, and limits that cannot be raised.
CONTAINERS = """
[containers]
netns = "host"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"""
STORAGE = """
[storage]
driver = "overlay"
graphroot = "{folder}/store"
runroot = "{folder}/run"
"""
REGISTRIES = """
[[registry]]
location = "{address}"
insecure = true
"""
REGISTRY = """
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}/registry}}}}
http: {{addr: {address}}}
"""


@dataclasses.dataclass(frozen=True)
class Containers:
    folder: Path
    registry: str
    """Address of the registry, host:port."""

    @property
    def environment(self) -> dict[str, str]:
        files = {"CONTAINERS_CONF": "containers", "CONTAINERS_STORAGE_CONF": "storage"}
        files |= {"CONTAINERS_REGISTRIES_CONF": "registries"}
        return {
            **os.environ,
            **{name: str(self.folder / f"{file}.conf") for name, file in files.items()},
            "BUILDAH_ISOLATION": "chroot",
        }

    @property
    def build_options(self) -> list[str]:
        """Builds use this machine's network and trust the authorities that it trusts; unchanged layers are kept."""
        return ["--layers", "--network=host", f"--volume={CERTIFICATES}:{CERTIFICATES}:ro"]

    def run(self, *command: str, status: int = 0) -> str:
        """Returns what a command prints; its status must be as given."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == status, f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr[-4000:]}"
        return done.stdout + (done.stderr if status else "")

    def container(self, image: str, *command: str, entry: str = "", mounts: Sequence[str] = (), status: int = 0) -> str:
        """Runs a command of an image as its own user, with a read-only root file system and this machine's network."""
        entrypoint = [f"--entrypoint={entry}"] if entry else []
        volumes = [f"--volume={each}" for each in mounts]
        return self.run(
            *("podman", "run", "--rm", "--read-only", "--network=host", "--security-opt=no-new-privileges"),
            *("--cap-drop=all", "--shm-size=512m", *entrypoint, *volumes, image, *command),
            status=status,
        )

    def build(self, name: str, base: str, digests: Path) -> str:
        """Builds and pushes an image as a user does, from a base ARGUMENT=NAME@DIGEST; returns NAME@DIGEST."""
        bases = self.folder / "bases.env"
        bases.write_text(f"{base}\n", encoding="utf-8")
        given = ("--registry", self.registry, "--push", "--bases", str(bases), "--digests", str(digests))
        command = [sys.executable, "-m", "k8s.images.build", name, *given, "--", *self.build_options]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout.split()[-2]

    def push(self, name: str) -> str:
        """Pushes an image of the store to the registry and returns it as NAME@DIGEST."""
        digest = self.folder / "digest"
        target = f"{self.registry}/{name}:latest"
        self.run("buildah", "push", "--quiet", f"--digestfile={digest}", f"localhost/{name}", f"docker://{target}")
        return f"{self.registry}/{name}@{digest.read_text().strip()}"

    def digest(self, name: str, tag: str) -> str:
        """Returns the digest under which the registry has an image, as it says itself."""
        request = urllib.request.Request(
            f"http://{self.registry}/v2/{name}/manifests/{tag}",
            method="HEAD",
            headers={"Accept": "application/vnd.oci.image.manifest.v1+json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: str = answer.headers["Docker-Content-Digest"]
        return found


def missing() -> list[str]:
    """Returns the programs that are not installed."""
    return [program for program in PROGRAMS if shutil.which(program) is None]


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[Containers]:
    """Writes the tools' settings below `folder` and runs the registry until the context ends."""
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    for name, text in (
        ("containers.conf", CONTAINERS),
        ("storage.conf", STORAGE),
        ("registries.conf", REGISTRIES),
        ("registry.yml", REGISTRY),
    ):
        (folder / name).write_text(text.format(folder=folder, address=address))
    with (folder / "registry.log").open("wb") as log:
        command = ["docker-registry", "serve", str(folder / "registry.yml")]
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            _await(address, folder / "registry.log")
            yield Containers(folder, address)
        finally:
            stop(process)
            for each in sorted(_mounts(folder), reverse=True):
                subprocess.run(["umount", "--lazy", each], check=False)


def python_base(containers: Containers) -> str:
    """Returns Debian 12 with its Python, in place of the official Python image, as the registry has it: NAME@DIGEST.

    It is made once for a folder.
    """
    if containers.run("buildah", "images", "--quiet", "--filter=reference=localhost/python"):
        return containers.push("python")
    tree = containers.folder / "debian"
    # In a mount namespace of its own: whatever becomes of it, nothing stays mounted in a tree that is removed.
    debootstrap = ("debootstrap", "--variant=minbase", f"--include={PYTHON}", "bookworm", str(tree))
    containers.run("unshare", "--mount", *debootstrap)
    shutil.rmtree(tree / "var" / "cache" / "apt")
    recipe = containers.folder / "Dockerfile.base"
    recipe.write_text("FROM scratch\nCOPY debian /\nENV PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin\n")
    containers.run(
        *("buildah", "build", "--quiet", f"--file={recipe}", "--tag=localhost/python", str(containers.folder))
    )
    shutil.rmtree(tree)
    return containers.push("python")


def _mounts(folder: Path) -> list[str]:
    """Returns what is mounted below a folder: container storage leaves its own."""
    places = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    return [place for place in places if place.startswith(f"{folder}/")]


def _await(address: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{address}/v2/", timeout=2):
            return
        assert time.monotonic() < deadline, f"the registry of the tests did not start: {log.read_text()[-2000:]}"
        time.sleep(0.1)
