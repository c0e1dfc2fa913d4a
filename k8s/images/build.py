"""Builds the container images.

Without a name it builds all of them. With --push it also pushes them, and writes the digests that the registry gives
into k8s/images/kustomization.yaml. What follows `--` goes to the builder as it is. A software bill of materials of each
image is written to work/images.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from k8s.images import builders, digests, sbom
from k8s.images.locks import FOLDER, ROOT, LockError

BASES = FOLDER / "bases.env"
OUT = ROOT / "work" / "images"
CONTEXT = ("pyproject.toml", "README.md", "stmae", "k8s/images")
"""What the Dockerfiles copy from."""


class BuildError(RuntimeError):
    """Images that cannot be built; the message names the file, the field and the mend."""


@dataclasses.dataclass(frozen=True, slots=True)
class Image:
    base: str
    """Its build argument, as bases.env has it."""
    locks: tuple[str, ...]
    """Those of what the image holds."""


IMAGES = {
    "train": Image("CUDA_BASE", ("train", "triton-runtime")),
    "batch": Image("PYTHON_BASE", ("batch",)),
    "triton": Image("TRITON_BASE", ()),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """What the images are built from."""

    version: str
    revision: str
    """The commit, with `-dirty` where files differ from it."""
    licence: str

    @property
    def tag(self) -> str:
        commit, _, dirty = self.revision.partition("-")
        return "-".join(filter(None, (self.version, commit[:12], dirty)))


def read_bases(path: Path = BASES) -> dict[str, str]:
    """Returns the base images by build argument. Raises BuildError for a line that is none, or lacks a digest."""
    bases: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not (line := line.strip()) or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or name not in {image.base for image in IMAGES.values()}:
            known = ", ".join(sorted({image.base for image in IMAGES.values()}))
            raise BuildError(f"{path.name}:{number}: {line!r} names no base; it must be one of {known}, and =")
        if value and not digests.DIGEST.fullmatch(value.partition("@")[2]):
            raise BuildError(f"{path.name}:{number}: {name}={value} has no digest; write NAME@sha256:<64 hex>")
        bases[name] = value
    return bases


def read_source() -> Source:
    """Returns version, commit and licence of the checkout. Raises BuildError outside a checkout."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    commit, changed = _git("rev-parse", "HEAD").strip(), _git("status", "--porcelain")
    return Source(project["version"], commit + ("-dirty" if changed else ""), project.get("license", "NOASSERTION"))


def fill_context(folder: Path) -> None:
    """Copies what the Dockerfiles copy from: files that git tracks or would track, so no secrets and no caches."""
    for name in _git("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *CONTEXT).split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"images are built from a git checkout; git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout


def build(
    names: list[str], bases: dict[str, str], registry: str, push: bool, options: list[str], recorded: Path
) -> None:
    """Builds images; with `push` it pushes them and records their digests. Raises BuildError and BuilderError."""
    if missing := sorted({IMAGES[name].base for name in names if not bases.get(IMAGES[name].base)}):
        raise BuildError(f"{', '.join(missing)}: no base image; write its name and digest into {BASES.name}")
    source, builder = read_source(), builders.find()
    with tempfile.TemporaryDirectory(prefix="stmae-context-") as folder:
        context = Path(folder)
        fill_context(context)
        for name in names:
            image, repository = IMAGES[name], "/".join(filter(None, (registry, f"stmae-{name}")))
            given = {"REVISION": source.revision, "VERSION": source.version, "LICENCE": source.licence}
            given[image.base] = bases[image.base]
            tag, dockerfile = f"{repository}:{source.tag}", context / "k8s" / "images" / f"{name}.Dockerfile"
            print(f"{tag}: {builder.program} builds", file=sys.stderr, flush=True)
            builder.build(dockerfile, context, tag, given, options)
            digest = builder.push(tag) if push else ""
            if digest:
                digests.record(f"stmae-{name}", repository, digest, recorded)
            bill = OUT / f"{name}.cdx.json"
            sbom.write(bill, f"stmae-{name}", source.version, digest, bases[image.base], image.locks)
            print(f"{repository}@{digest}" if digest else tag, bill.relative_to(ROOT), flush=True)


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status: 0 done, 1 an image could not be built or pushed, 2 bad usage."""
    given = sys.argv[1:] if argv is None else argv
    given, options = (given[: given.index("--")], given[given.index("--") + 1 :]) if "--" in given else (given, [])
    parser = argparse.ArgumentParser(prog="python -m k8s.images.build", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(IMAGES)}; default: all")
    parser.add_argument("--registry", default="", help="where images are pushed to, and their names begin with")
    parser.add_argument("--push", action="store_true", help="push, and write the digests")
    parser.add_argument("--bases", type=Path, default=BASES, help="the base images; default: k8s/images/bases.env")
    parser.add_argument("--digests", type=Path, default=digests.PATH, help="default: k8s/images/kustomization.yaml")
    arguments = parser.parse_args(given)
    if unknown := [name for name in arguments.names if name not in IMAGES]:
        parser.error(f"no image is called {', '.join(unknown)}; there are {', '.join(IMAGES)}")
    if arguments.push and not arguments.registry:
        parser.error("--push needs --registry")
    try:
        bases = read_bases(arguments.bases)
        build(arguments.names or list(IMAGES), bases, arguments.registry, arguments.push, options, arguments.digests)
    except (BuildError, builders.BuilderError, digests.DigestsError, LockError, OSError) as error:
        print(f"images: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
