"""Nothing in the product runs what it reads: no pickle, no eval, no loader that could do either, with one exception."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
CALLS = {
    *("torch.load", "torch.jit.load", "torch.hub.load", "torch.package.PackageImporter"),
    *("pandas.read_pickle", "numpy.lib.format.read_array"),
    *("yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load", "yaml.Loader", "yaml.UnsafeLoader"),
    *("os.system", "os.popen", "eval", "exec", "compile", "__import__"),
}
ALLOWED = {("stmae/model/efficientnet.py", "torch.load")}
"""The pretrained weights: bytes of one known digest, read as tensors only. SECURITY.md gives the reason."""
FILES = sorted(path for room in ("stmae", "components", "pipelines") for path in (ROOT / room).rglob("*.py"))


def violations(source: str) -> list[str]:
    """Returns what in a module could run what it reads, with the line."""
    return [f"{line}: {what}" for line, what in sorted(_found(ast.parse(source)))]


def _found(tree: ast.Module) -> Iterator[tuple[int, str]]:
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                full = f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
                short = alias.name if isinstance(node, ast.ImportFrom) else alias.name.split(".")[0]
                known[alias.asname or short] = full if alias.asname or isinstance(node, ast.ImportFrom) else short
                if full.split(".")[0] in MODULES:
                    yield node.lineno, f"import {full}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute) and _name(node, known) in CALLS:
            yield node.lineno, _name(node, known)
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                off = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                if keyword.arg in ("allow_pickle", "shell") and not off:
                    yield node.lineno, f"{_name(node.func, known)}({keyword.arg})"


def _name(node: ast.expr, known: dict[str, str]) -> str:
    """Returns the dotted name of a function, as far as imports tell it."""
    if isinstance(node, ast.Name):
        return known.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value, known)}.{node.attr}"
    return ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_runs_nothing_that_it_reads(path: Path) -> None:
    name, found = path.relative_to(ROOT).as_posix(), violations(path.read_text(encoding="utf-8"))
    assert [each for each in found if (name, each.partition(": ")[2]) not in ALLOWED] == []


def test_the_exception_reads_tensors_of_known_bytes_and_stands_in_the_policy() -> None:
    for name, call in ALLOWED:
        tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == call]
        assert len(calls) == 1
        assert {key.arg: ast.unparse(key.value) for key in calls[0].keywords}["weights_only"] == "True"
        assert name in (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_all_modules_are_looked_at() -> None:
    assert len(FILES) > 100
    assert {path.relative_to(ROOT).parts[0] for path in FILES} == {"stmae", "components", "pipelines"}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import joblib.memory",
        "from torch import load as fetch\nfetch('x')",
        "import torch\ntorch.load('x', weights_only=True)",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "import numpy as np\nflag = True\nnp.load('x', allow_pickle=flag)",
        "import yaml\nyaml.load(text, Loader=yaml.Loader)",
        "def f():\n    import marshal",
        "eval('1')",
        "import subprocess\nsubprocess.run('x', shell=True)",
        "import torch\nreader = torch.load",
    ],
)
def test_the_check_finds_what_it_looks_for(source: str) -> None:
    assert violations(source)


@pytest.mark.parametrize(
    "source",
    [
        "import numpy as np\nnp.load('x', mmap_mode='r', allow_pickle=False)",
        "import yaml\nyaml.safe_load(text)",
        "model.eval()",
        "import re\nre.compile('x')",
        "from safetensors.torch import load_file",
    ],
)
def test_the_check_leaves_the_rest_alone(source: str) -> None:
    assert violations(source) == []
