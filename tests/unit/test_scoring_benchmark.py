"""The ablation of the score: it has a row for each constant, and leaves them as they were."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.scoring.ablation import CHANGES, NO_SCORE_DEPENDS_ON, changed
from stmae.scoring import raw
from stmae.scoring.detectors import motion, step

PAGE = Path(__file__).resolve().parents[2] / "docs/method.md"


def test_each_constant_of_the_method_has_a_row_or_a_reason_why_not() -> None:
    constants = set(re.findall(r"^\| `(\w+\.[A-Z0-9_]+)` \|", PAGE.read_text(encoding="utf-8"), re.M))
    assert constants
    assert CHANGES.keys() | NO_SCORE_DEPENDS_ON.keys() == constants
    assert not CHANGES.keys() & NO_SCORE_DEPENDS_ON.keys()


def test_a_changed_constant_is_another_one_wherever_it_is_used_and_afterwards_as_before() -> None:
    before = raw.STILL_SPEED, motion.SPEED.tolist()
    with changed("raw.STILL_SPEED", 0.4):
        assert raw.STILL_SPEED == step.STILL_SPEED == motion.STILL_SPEED == 0.4
        assert motion.SPEED[0] == pytest.approx(0.4)
    assert (raw.STILL_SPEED, motion.SPEED.tolist()) == before
    with pytest.raises(ZeroDivisionError), changed("step.STEP_SECONDS", 1.0):
        _ = 1 / 0
    assert step.STEP_SECONDS == 0.3
