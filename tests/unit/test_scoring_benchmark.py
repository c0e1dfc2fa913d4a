"""The benchmarks of the score: the ablation has a row for each constant and leaves them as they were; int8 is int8."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from tiny import TinyExport

from benchmarks.scoring.ablation import CHANGES, NO_SCORE_DEPENDS_ON, changed
from benchmarks.scoring.precision import quantise
from stmae.scoring import raw
from stmae.scoring.detectors import motion, step
from stmae.serving import parity

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


def test_the_quantised_decoder_takes_and_gives_what_the_served_one_does(
    tiny_export: TinyExport, tmp_path: Path
) -> None:
    quantise(tiny_export.folder, tmp_path / "model.onnx")
    assert "QuantizeLinear" in {node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node}
    features = parity.load_golden(tiny_export.folder)["FEATURES"].astype(np.float16)
    whole, quantised = (
        ort.InferenceSession(path).run(["PREDICTION"], {"FEATURES": features})[0]
        for path in (tiny_export.folder / "decode.onnx", tmp_path / "model.onnx")
    )
    assert quantised.dtype == whole.dtype
    assert 0 < np.abs(quantised.astype(np.float32) - whole).max() < 0.2
    assert list(tmp_path.iterdir()) == [tmp_path / "model.onnx"]
