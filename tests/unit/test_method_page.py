"""docs/method.md: its table holds every constant of the scoring and its fitting with the value that the code has."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path
from types import ModuleType

from stmae import scoring
from stmae.evaluation import fitting

PAGE = Path(__file__).resolve().parents[2] / "docs/method.md"


def modules() -> list[ModuleType]:
    found = pkgutil.walk_packages(scoring.__path__, "stmae.scoring.")
    return [scoring, *(importlib.import_module(module.name) for module in found), fitting]


def constants(module: ModuleType) -> dict[str, float]:
    """Returns the numbers that a module defines itself: imported ones stand in the module that they come from."""
    source = Path(str(module.__file__)).read_text(encoding="utf-8")
    names = re.findall(r"^([A-Z][A-Z0-9_]*)(?:: \w+)? = ", source, re.M)
    values = {name: getattr(module, name) for name in names}
    short = module.__name__.rpartition(".")[2]
    return {f"{short}.{name}": value for name, value in values.items() if isinstance(value, int | float)}


def test_the_table_of_constants_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| `(\w+\.[A-Z0-9_]+)` \| (\S+) \| (.+) \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.M)
    table = {name: float(value) for name, value, _, _ in rows}
    assert len(table) == len(rows)
    code = {name: value for module in modules() for name, value in constants(module).items()}
    assert table == code


def test_each_constant_says_why_in_the_code() -> None:
    for module in modules():
        source = Path(str(module.__file__)).read_text(encoding="utf-8")
        for name in constants(module):
            constant = name.rpartition(".")[2]
            assert re.search(rf'^{constant}\b.* = .*\n"""', source, re.M), f"{name} has no docstring"
