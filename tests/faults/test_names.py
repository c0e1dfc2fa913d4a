"""Names that look like other places lead nowhere else: their videos are scored, and nothing is written outside."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from depots import Depot
from nights import Night, covered

AT = "2026-03-01/08-00-00.avi"
ENCODED = [
    f"{name}/{AT}" for name in ("%2e%2e", "%2e%2e%2f%2e%2e%2fout", "out..%2f..", "...", "gate%00", "camera=..", "$HOME")
]
CLIMBING = [f"{name}/{AT}" for name in ("..", "../..", "gate/../../out", "/etc", "gate//x", "./gate", "C:\\out")]
"""Only keys of S3 can be like this."""


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for tables, deep below one in which nothing else may appear."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "a/b/c/tables"


def strangers(folder: Path) -> list[Path]:
    """Returns the files below a folder that are not of the tables."""
    return [path for path in folder.rglob("*") if path.is_file() and folder / "a/b/c/tables" not in path.parents]


@pytest.mark.fault("names with ../ and %2e%2e")
def test_keys_of_s3_that_climb_are_names_like_others(
    night: Night, own_depot: Depot, films: tuple[Path, ...], inside: Path, tmp_path: Path
) -> None:
    for path in (*ENCODED, *CLIMBING):
        own_depot.put(path, films[0])
    assert night.score(own_depot.site, inside).complete
    scored = {row["source"] for row in covered(inside) if row["status"] == "scored"}
    assert scored >= {f"{own_depot.site}/{path}" for path in (*ENCODED, *CLIMBING)}
    assert strangers(tmp_path) == []


@pytest.mark.fault("names with ../ and %2e%2e")
def test_folders_that_are_named_like_encoded_ones_are_names_like_others(
    night: Night, films: tuple[Path, ...], inside: Path, tmp_path: Path
) -> None:
    for path in ENCODED:
        file = tmp_path / "a/b/c/site" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(films[0].read_bytes())
    before = strangers(tmp_path)
    assert night.score(tmp_path / "a/b/c/site", inside).coverage == {"scored": len(ENCODED)}
    assert strangers(tmp_path) == before
