"""What every Dockerfile here promises, and hadolint does not ask for."""

from __future__ import annotations

import re
from pathlib import Path

from k8s.images.digests import DIGEST

LABELS = ("title", "description", "version", "revision", "licenses", "base.name")
_INSTRUCTION = re.compile(r"([A-Z]+)\s+(.*)", re.S)
_USER = re.compile(r"[1-9]\d*:[1-9]\d*")
_EXEC = re.compile(r'\["[^"]+"(, *"[^"]*")*\]')


def faults(path: Path) -> list[str]:
    """Returns what a Dockerfile breaks of its promises, one line each, nothing where it keeps them.

    A base is named by digest, here or by the build argument. Python packages come from locks with hashes. The image
    runs as a numeric user that is not root, without a shell around its command. Labels say where it comes from.
    """
    found: list[str] = []
    stages: set[str] = set()
    arguments: dict[str, str] = {}
    last: dict[str, str] = {}
    labels: set[str] = set()
    for word, rest in _instructions(path.read_text(encoding="utf-8")):
        if word == "ARG" and not stages:
            name, _, default = rest.partition("=")
            arguments[name.strip()] = default
        elif word == "FROM":
            image, _, stage = (part.strip() for part in re.sub(r"(?i)\s+as\s+", " AS ", rest).partition(" AS "))
            if image not in stages and not _by_digest(image, arguments):
                found.append(f"{path.name}: FROM {image}: names no digest; write an ARG without a default, or @sha256:")
            stages.add(stage or f"stage {len(stages)}")
            last, labels = {}, set()
        elif word == "LABEL":
            labels |= set(re.findall(r"org\.opencontainers\.image\.([a-z.]+)=", rest))
        elif word == "RUN":
            found += [f"{path.name}: {each}" for each in _installs(rest)]
        last[word] = rest
    user, entry = last.get("USER", "root"), last.get("ENTRYPOINT", "")
    if not _USER.fullmatch(user):
        found.append(f"{path.name}: USER {user}: must be numbers, UID:GID, and not root's")
    if not _EXEC.fullmatch(entry):
        found.append(f"{path.name}: ENTRYPOINT {entry or '(none)'}: must be a JSON list, which needs no shell")
    found += [f"{path.name}: LABEL org.opencontainers.image.{each}: missing" for each in LABELS if each not in labels]
    return found


def _instructions(text: str) -> list[tuple[str, str]]:
    text = re.sub(r"(?m)^\s*#.*\n", "", text).replace("\\\n", " ")
    return [(match[1], match[2].strip()) for line in text.splitlines() if (match := _INSTRUCTION.match(line))]


def _by_digest(image: str, arguments: dict[str, str]) -> bool:
    if argument := re.fullmatch(r"\$\{?(\w+)\}?", image):
        default = arguments.get(argument[1])
        return default is not None and (not default or _by_digest(default, {}))
    return DIGEST.fullmatch(image.partition("@")[2]) is not None


def _installs(command: str) -> list[str]:
    """Returns what is wrong with the calls of pip in a RUN instruction."""
    found = []
    for part in re.split(r"&&|;|\|", command):
        words = part.split()
        if "pip" not in words or not {"install", "wheel"} & set(words[words.index("pip") :]):
            continue
        if "--no-deps" not in words or not {"--require-hashes", "--no-index"} & set(words):
            found.append(f"`{' '.join(words)}`: needs --no-deps, and --require-hashes (or --no-index for local wheels)")
    return found
