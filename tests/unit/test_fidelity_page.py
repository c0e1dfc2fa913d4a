"""docs/fidelity.md: the code, the settings and the tests that it names exist."""

from __future__ import annotations

import operator
import pkgutil
import re
from pathlib import Path

from stmae import config

ROOT = Path(__file__).resolve().parents[2]
QUOTED = re.findall(r"`([^`\s]+)`", (ROOT / "docs/fidelity.md").read_text(encoding="utf-8"))


def is_setting(name: str) -> bool:
    try:
        operator.attrgetter(name)(config.load("ped2"))
    except AttributeError:
        return False
    return True


def is_code(name: str) -> bool:
    try:
        pkgutil.resolve_name(f"stmae.{name}")
    except (AttributeError, ImportError):
        return False
    return True


def test_code_and_settings_that_the_page_names_exist() -> None:
    names = {name for name in QUOTED if re.fullmatch(r"[a-z_]+(\.\w+)+", name) and not name.endswith((".py", ".md"))}
    assert len(names) > 30
    assert sorted(name for name in names if not is_setting(name) and not is_code(name)) == []


def test_tests_that_the_page_names_exist() -> None:
    names = {name for name in QUOTED if re.fullmatch(r"test_\w+::\w+", name)} - {"test_losses::x"}
    assert len(names) > 20
    sources = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")}
    missing = [name for name in names if "def test_{1}(".format(*name.split("::")) not in sources[name.split("::")[0]]]
    assert missing == []
