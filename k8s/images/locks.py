"""The lock files of the images: every package with its version and the hashes of its files.

`python -m k8s.images.locks` resolves them anew, within constraints.txt. With `--check` it writes nothing and says where
a committed lock differs from what the package index and pyproject.toml give now.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "k8s" / "images"
PLATFORM = "x86_64-manylinux_2_36"
"""The oldest C library of the bases, Debian 12's."""
_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)")
_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})(?=\s|$)")


class LockError(RuntimeError):
    """A lock that is broken or cannot be resolved; the message names the file and the mend."""


@dataclasses.dataclass(frozen=True, slots=True)
class Recipe:
    """What a lock is resolved from."""

    python: str
    """Version of the image's Python."""
    extras: tuple[str, ...] = ()
    """Those of pyproject.toml; its plain dependencies are always part of it."""
    requirements: str = ""
    """A requirements file that lists everything, in place of pyproject.toml."""


RECIPES = {
    "batch": Recipe("3.11", ("batch", "serve", "ray", "trace")),
    "train": Recipe("3.12", ("train", "pipelines", "batch", "serve")),
    "triton-runtime": Recipe("3.12", requirements="triton-requirements.txt"),
    "build": Recipe("3.11"),
}
"""`triton-runtime` is the embedded server of the train image; `build` is what wheels are built with."""


@dataclasses.dataclass(frozen=True, slots=True)
class Pin:
    version: str
    hashes: frozenset[str]


def path_of(name: str) -> Path:
    return FOLDER / f"{name}.lock"


def normal(name: str) -> str:
    """Returns a package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lock(path: Path) -> dict[str, Pin]:
    """Returns the packages of a lock by their normalised names.

    Raises LockError for a line that is no pinned package, a package without a hash, or one that stands there twice.
    """
    pins: dict[str, Pin] = {}
    text = re.sub(r"(?m)^\s*#.*$", "", path.read_text(encoding="utf-8")).replace("\\\n", " ")
    for line in filter(None, map(str.strip, text.splitlines())):
        match, hashes = _PIN.match(line), frozenset(_HASH.findall(line))
        if match is None:
            raise LockError(f"{path.name}: {line[:80]!r} is no NAME==VERSION; write it again with `make image-locks`")
        if not hashes:
            raise LockError(f"{path.name}: {match[0]} has no sha256 hash; write it again with `make image-locks`")
        if normal(match[1]) in pins:
            raise LockError(f"{path.name}: {match[1]} stands there twice; write it again with `make image-locks`")
        pins[normal(match[1])] = Pin(match[2], hashes)
    return pins


def resolve(name: str, into: Path) -> None:
    """Writes the lock of a name with uv; versions that `into` holds already are kept. Raises LockError."""
    recipe, given = RECIPES[name], ""
    if name == "build":
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        source, given = ["-"], "\n".join(project["build-system"]["requires"])
    elif recipe.requirements:
        source = [recipe.requirements, "--no-deps"]
    else:
        source = ["pyproject.toml", "--constraint=constraints.txt", *(f"--extra={each}" for each in recipe.extras)]
    command = [
        *(sys.executable, "-m", "uv", "--quiet", "--no-config", "pip", "compile", *source),
        *("--generate-hashes", f"--python-version={recipe.python}", f"--python-platform={PLATFORM}"),
        *("--no-annotate", "--custom-compile-command=make image-locks", f"--output-file={into}"),
    ]
    done = subprocess.run(command, cwd=ROOT, input=given, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LockError(f"{name}.lock cannot be resolved: {done.stderr.strip()[-2000:]}")


def differences(name: str, path: Path | None = None) -> list[str]:
    """Returns in what a lock, by default the committed one, differs from what is resolved now; nothing where it stands.

    Files that were added to a version since then are no difference: the lock's hashes must be among the index's.
    """
    committed = read_lock(path or path_of(name))
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / f"{name}.lock"
        # Versions alone: uv would keep the hashes of a file that has any, and not ask the index.
        versions = [f"{each}=={pin.version}\n" for each, pin in committed.items()]
        fresh.write_text("".join(versions), encoding="utf-8")
        resolve(name, fresh)
        now = read_lock(fresh)
    found = [f"{name}.lock lacks {each}=={now[each].version}" for each in sorted(now.keys() - committed.keys())]
    found += [f"{name}.lock has {each}, which nothing needs" for each in sorted(committed.keys() - now.keys())]
    for each in sorted(committed.keys() & now.keys()):
        if committed[each].version != now[each].version:
            found.append(f"{name}.lock has {each}=={committed[each].version}; it is {now[each].version} now")
        elif strange := committed[each].hashes - now[each].hashes:
            found.append(f"{name}.lock has a hash of {each} that the index does not give: {min(strange)}")
    return found


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status: 0 done, 1 a lock differs or cannot be resolved."""
    parser = argparse.ArgumentParser(prog="python -m k8s.images.locks", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a lock differs")
    check = parser.parse_args(argv).check
    try:
        if check:
            found = [line for name in RECIPES for line in differences(name)]
            print("\n".join([*found, "write them with `make image-locks`"] if found else ["the locks stand"]))
            return 1 if found else 0
        for name in RECIPES:
            resolve(name, path_of(name))
            print(f"{path_of(name).relative_to(ROOT)}: {len(read_lock(path_of(name)))} packages")
    except (LockError, OSError) as error:
        print(f"locks: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
