"""The embedded Triton's runtime folder: a real tritonserver with its backends, in an environment of its own.

`python -m stmae.serving.triton.runtime .triton` assembles `<.triton>/runtime/backends` out of what the wheels of
triton-requirements.txt brought, and refuses an environment that would serve wrong numbers.
"""

from __future__ import annotations

import dataclasses
import filecmp
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from stmae.storage.atomic import atomic_path

DEFAULT = Path(".triton")
MEND = "set the environment up again: rm -rf {env} && make setup"
_STAND_IN = Path(__file__).parent / "backends" / "onnxruntime"
_PROBE = """
import ctypes, json, sys, sysconfig
from importlib import metadata
from pathlib import Path
def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
libdir = Path(sysconfig.get_config_var("LIBDIR"))
soname = "libpython%d.%d.so.1.0" % sys.version_info[:2]
if not (libdir / soname).exists():
    libdir = libdir / (sysconfig.get_config_var("MULTIARCH") or "")
try:
    ctypes.CDLL(str(libdir / soname) if (libdir / soname).exists() else soname)
except OSError:
    sys.exit("no shared library " + soname + " (Debian and Ubuntu: install the package libpython3.x)")
print(json.dumps({
    "python": "%d.%d" % sys.version_info[:2],
    "libdir": str(libdir),
    "purelib": sysconfig.get_paths()["purelib"],
    "pytriton": version("nvidia-pytriton"), "numpy": version("numpy"), "onnxruntime": version("onnxruntime"),
    "openvino": version("openvino"),
}))
"""


class RuntimeFolderError(RuntimeError):
    """The Triton environment cannot serve; the message names the folder, what is wrong and the mend."""


@dataclasses.dataclass(frozen=True, slots=True)
class Runtime:
    """A checked Triton environment: what the launcher needs to start the server."""

    python: Path
    """The interpreter whose packages the backends import."""
    server: Path
    """The tritonserver program."""
    backends: Path
    """Folder of the backends."""
    library_path: tuple[Path, ...]
    """Folders of the server's shared libraries."""


def locate(environment: Path = DEFAULT) -> Runtime:
    """Returns an environment that `assemble` has finished, checked.

    Raises RuntimeFolderError if it is missing or incomplete, or holds NumPy 2.
    """
    environment = environment.absolute()
    found = _probe(environment)
    site = Path(found["purelib"])
    runtime = Runtime(
        python=environment / "bin" / "python",
        server=site / "pytriton" / "tritonserver" / "bin" / "tritonserver",
        backends=environment / "runtime" / "backends",
        library_path=(site / "nvidia_pytriton.libs", Path(found["libdir"])),
    )
    for path in (runtime.server, runtime.backends / "python", runtime.backends / "onnxruntime" / "model.py"):
        if not path.exists():
            raise RuntimeFolderError(f"{environment}: incomplete, lacks {path}; {_mend(environment)}")
    return runtime


def assemble(environment: Path = DEFAULT) -> Path:
    """Copies the backends that changed to `<environment>/runtime/backends` and returns that folder.

    They are copies and not links: the server resolves a link and then looks for the stub beside its target. Raises
    RuntimeFolderError if the environment cannot serve.
    """
    environment = environment.absolute()
    found = _probe(environment)
    wheel = Path(found["purelib"]) / "pytriton" / "tritonserver"
    stub = wheel / "python_backend_stubs" / found["python"] / "triton_python_backend_stub"
    if not stub.is_file():
        raise RuntimeFolderError(
            f"{environment}: the Triton wheel has no stub for Python {found['python']}; use Python 3.11 or 3.12"
        )
    backends = environment / "runtime" / "backends"
    python = wheel / "backends" / "python"
    for source in (python / "libtriton_python.so", python / "triton_python_backend_utils.py", stub):
        _copy(source, backends / "python" / source.name)
    for source in sorted(_STAND_IN.glob("*.py")):
        _copy(source, backends / "onnxruntime" / source.name)
    return backends


def _probe(environment: Path) -> dict[str, str]:
    """Returns versions and paths of the environment as its own interpreter sees them."""
    python = environment / "bin" / "python"
    if not python.exists():
        raise RuntimeFolderError(f"{environment}: no Triton environment there; {_mend(environment)}")
    isolated = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    answer = subprocess.run([python, "-c", _PROBE], capture_output=True, text=True, env=isolated, check=False)
    if answer.returncode != 0:
        raise RuntimeFolderError(f"{python} cannot serve: {answer.stderr.strip()[-500:]}; {_mend(environment)}")
    found: dict[str, str] = json.loads(answer.stdout)
    for package, name in (
        ("pytriton", "nvidia-pytriton"),
        ("numpy", "numpy"),
        ("onnxruntime", "onnxruntime"),
        ("openvino", "openvino"),
    ):
        if found[package] is None:
            raise RuntimeFolderError(f"{environment}: lacks the package {name}; {_mend(environment)}")
    if not found["numpy"].startswith("1.26."):
        raise RuntimeFolderError(
            f"{environment}: holds NumPy {found['numpy']}, and Triton's python backend reads and returns wrong tensors "
            f"with any but NumPy 1.26; install numpy==1.26.4 there, or {_mend(environment)}"
        )
    return found


def _mend(environment: Path) -> str:
    return MEND.format(env=environment.name)


def _copy(source: Path, target: Path) -> None:
    if target.is_file() and filecmp.cmp(source, target, shallow=False):
        return
    with atomic_path(target) as aside:
        shutil.copy2(source, aside)


def main(arguments: list[str]) -> int:
    if len(arguments) > 1:
        print("usage: python -m stmae.serving.triton.runtime [ENVIRONMENT]", file=sys.stderr)
        return 2
    try:
        print(assemble(Path(arguments[0]) if arguments else DEFAULT))
    except RuntimeFolderError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
