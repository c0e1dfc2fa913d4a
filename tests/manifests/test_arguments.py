"""What the manifests call takes what they give it: `stmae` its verbs and options, Triton its flags."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from rendering import OVERLAYS, expanded, rendered

from k8s.check.pods import pods
from stmae.cli import main
from stmae.serving.triton import runtime


def commands(overlay: str, program: str) -> Iterator[list[str]]:
    """Yields what containers call a program with, and a RayJob, each variable replaced by its value."""
    for pod in pods(rendered(overlay)):
        for container in (each.body for each in pod.containers()):
            if container.get("command", [""])[0].rpartition("/")[2] == program:
                yield expanded(container["args"], container)
            entrypoint = shlex.split(str(pod.document.get("spec.entrypoint", "")))
            if container.get("name") == "ray-head" and entrypoint[:1] == [program]:
                yield expanded(entrypoint[1:], container)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_stmae_takes_what_the_containers_give_it(overlay: str) -> None:
    found = list(commands(overlay, "stmae"))
    assert {"sync", "score"} <= {words[0] for words in found}
    for words in found:
        said = io.StringIO()
        with contextlib.redirect_stdout(said), pytest.raises(SystemExit) as ended:
            main([*words, "--help"])  # values are looked at on the way to the help
        assert ended.value.code == 0, words
        options = {word.partition("=")[0] for word in words if word.startswith("--")}
        unknown = options - set(re.findall(r"--[a-z-]+", said.getvalue()))
        assert unknown == set(), words


def test_triton_knows_its_flags() -> None:
    if not Path(".triton/runtime").exists():
        pytest.fail("no embedded Triton runtime in .triton; `make setup` sets it up", pytrace=False)
    server = runtime.locate()
    environment = os.environ | {"LD_LIBRARY_PATH": ":".join(map(str, server.library_path))}
    asked = subprocess.run([server.server, "--help"], capture_output=True, text=True, env=environment, check=False)
    known = set(re.findall(r"--[a-z0-9-]+", asked.stdout + asked.stderr))
    given = {
        word.partition("=")[0] for overlay in OVERLAYS for words in commands(overlay, "tritonserver") for word in words
    }
    assert len(given) > 10
    assert given - known == set()
