"""Normal clips that benchmarks alter: what goes faster does, and nothing else is different."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
SIZE, LENGTH, HALF = 256, 60, 30
WIDTH, HEIGHT, LEFT, TOP = 20, 44, 60, 100


def walk() -> tuple[np.ndarray, np.ndarray]:
    """A bright walker on dark noise, a pixel a frame to the right: frames and flow."""
    frames = np.random.default_rng(0).integers(0, 60, (1, SIZE, SIZE, 3), np.uint8).repeat(LENGTH, axis=0)
    flows = np.zeros((LENGTH - 1, 2, SIZE // 2, SIZE // 2), np.float16)
    for frame in range(LENGTH):
        frames[frame, TOP : TOP + HEIGHT, LEFT + frame : LEFT + frame + WIDTH] = 200
    for frame in range(LENGTH - 1):
        flows[frame, 0, TOP // 2 : (TOP + HEIGHT) // 2, (LEFT + frame) // 2 : (LEFT + frame + WIDTH) // 2] = 1
    return frames, flows


def right_edges(frames: np.ndarray) -> np.ndarray:
    """Of what is bright, in pixels."""
    bright = (frames[:, TOP + 5 : TOP + HEIGHT - 5, :, 0].mean(axis=1) - 30) / 170
    return np.asarray([np.flatnonzero(row > 0.5).max() for row in bright])


@pytest.mark.parametrize("factor", [1.5, 2.0])
def test_a_part_goes_faster_by_equal_steps(factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from altered import faster

    frames, flows = walk()
    speed = np.zeros((LENGTH - 4, 16, 16))
    speed[:, 5:10, 3:9] = 1.0
    altered, truth = faster(frames, flows, speed, factor)
    assert len(altered) == len(truth) == pytest.approx(HALF + HALF / factor, abs=1)
    assert (altered[:HALF] == frames[:HALF]).all()
    assert not truth[:HALF].any()
    assert (truth[HALF:] == 1).all()
    assert (altered[HALF:, :, :40] == frames[HALF : len(altered), :, :40]).all(), "outside of the part"
    edges = right_edges(altered)
    assert np.diff(edges[HALF:]) == pytest.approx(factor, abs=0.51), "no step of one frame, then of two"
    assert edges[-1] - edges[HALF] == pytest.approx(factor * (len(altered) - HALF - 1), abs=1)


def test_a_walker_glides_beside_the_one_that_walks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from altered import gliding

    frames, flows = walk()
    glided = gliding(frames, flows, 2.0)
    assert glided is not None
    altered, truth = glided
    assert (altered[:HALF] == frames[:HALF]).all()
    assert truth.tolist() == [0] * HALF + [1] * (len(altered) - HALF)
    apart = right_edges(altered)[HALF + 10 :]
    assert np.diff(apart).mean() == pytest.approx(2.0, abs=0.2)
    assert set(np.diff(apart)) <= {1, 2}, "glides"
    far = np.s_[HALF:, : TOP - 20]
    assert (altered[far] == frames[: len(altered)][far]).all()
    assert gliding(frames, np.zeros_like(flows), 2.0) is None, "nobody walks"
