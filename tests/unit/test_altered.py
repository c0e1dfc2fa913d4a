"""Synthetic anomalies in normal clips: what should be faster or wider is, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
SIZE, LENGTH, HALF = 256, 40, 20
WIDTH, HEIGHT, LEFT, TOP = 20, 44, 20, 100
SPEED = 4


def walk() -> tuple[np.ndarray, np.ndarray]:
    """Returns frames and flow of a bright walker on dark noise, SPEED pixels a frame to the right, a step a frame."""
    frames = np.random.default_rng(0).integers(0, 60, (1, SIZE, SIZE, 3), np.uint8).repeat(LENGTH, axis=0)
    flows = np.zeros((LENGTH - 1, 2, SIZE // 2, SIZE // 2), np.float16)
    for frame in range(LENGTH):
        left = LEFT + SPEED * frame
        frames[frame, TOP : TOP + HEIGHT, left : left + WIDTH] = 200
        frames[frame, TOP + HEIGHT - 10 : TOP + HEIGHT, left : left + WIDTH] = (180, 220)[frame % 2]  # steps
        # Flow reaches a little beyond the walker, as that of the flow net does.
        flows[frame - 1 : frame, 0, TOP // 2 : (TOP + HEIGHT) // 2, left // 2 - 3 : (left + WIDTH) // 2 + 3] = SPEED
    return frames, flows


def edges(frames: np.ndarray) -> np.ndarray:
    """Returns the left and right edge of the bright walker in pixels, [F,2]."""
    bright = (frames[:, TOP + 5 : TOP + HEIGHT - 5, :, 0].mean(axis=1) - 30) / 170
    return np.asarray([np.flatnonzero(row > 0.5)[[0, -1]] for row in bright])


def right_edges(frames: np.ndarray) -> np.ndarray:
    return edges(frames)[:, 1]


@pytest.mark.parametrize("factor", [1.5, 2.0])
def test_a_region_plays_faster_in_equal_steps(factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from altered import faster

    frames, flows = walk()
    speed = np.zeros((LENGTH - 4, 16, 16))
    speed[:, 5:10, 7:13] = 1.0
    altered, labels = faster(frames, flows, speed, factor)
    assert len(altered) == len(labels) == pytest.approx(HALF + HALF / factor, abs=1)
    assert (altered[:HALF] == frames[:HALF]).all()
    assert not labels[:HALF].any()
    assert (labels[HALF:] == 1).all()
    assert (altered[HALF:, :, :100] == frames[HALF : len(altered), :, :100]).all(), "outside of the region"
    steps = np.diff(right_edges(altered)[HALF:])
    assert steps == pytest.approx(factor * SPEED, abs=0.5), "every frame shows the same step"


def test_a_copy_moves_faster_than_its_walker_while_its_legs_keep_their_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from altered import carried

    frames, flows = walk()
    made = carried(frames, flows, 2.0)
    assert made is not None
    altered, labels = made
    assert (altered[:HALF] == frames[:HALF]).all()
    assert labels.tolist() == [0] * HALF + [1] * (len(altered) - HALF)
    apart = right_edges(altered)[HALF + 8 :]
    assert np.diff(apart) == pytest.approx(2 * SPEED, abs=1)
    steps = altered[range(HALF + 8, len(altered)), TOP + HEIGHT - 5, apart - WIDTH // 2, 0].astype(int)
    assert (np.abs(np.diff(steps)) > 20).mean() > 0.8, "its legs move"
    far = np.s_[HALF:, : TOP - 20]
    assert (altered[far] == frames[: len(altered)][far]).all()
    assert carried(frames, np.zeros_like(flows), 2.0) is None, "nobody walks"
    assert carried(frames[:12], flows[:11], 2.0) is not None, "in a short clip"


def test_a_copy_that_enters_begins_at_the_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from altered import carried

    frames, flows = walk()
    empty = np.where(frames > 150, 30, frames)  # only the frames with the walker remain
    empty[10:20] = frames[10:20]
    flows[:10], flows[20:] = 0, 0
    made = carried(empty, flows, 2.0, comes=True)
    assert made is not None
    altered, labels = made
    assert labels.tolist() == [0] * HALF + [1] * (len(altered) - HALF)
    right = right_edges(altered[HALF : HALF + 12])
    assert 0 < right[0] < WIDTH, "about half of the copy"
    assert np.diff(right) == pytest.approx(2 * SPEED, abs=1)


def test_a_copy_is_wider_and_no_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from altered import carried

    frames, flows = walk()
    frames[HALF:] = frames[:1]  # the walker has gone
    frames[HALF:, TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH] = frames[-1, :HEIGHT, :WIDTH]
    flows[HALF:] = 0
    drawn = {}
    for width in (1.0, 2.0):
        made = carried(frames, flows, 1.0, width)
        assert made is not None
        altered = made[0][HALF : LENGTH - 5]
        assert np.diff(right_edges(altered)) == pytest.approx(SPEED, abs=1)
        drawn[width] = edges(altered)
    sizes = {width: np.diff(both).mean() for width, both in drawn.items()}
    assert sizes[2.0] == pytest.approx(2 * sizes[1.0], rel=0.15)
    assert drawn[2.0].mean(axis=1) == pytest.approx(drawn[1.0].mean(axis=1), abs=SPEED), "around the same middle"


def test_somebody_who_sways_on_the_spot_is_no_walker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from altered import carried

    frames, flows = walk()
    flows[:] = 0
    flows[:, 0, TOP // 2 : (TOP + HEIGHT) // 2, 50 : 50 + WIDTH // 2] = np.resize([2, -2], LENGTH - 1)[:, None, None]
    assert carried(frames, flows, 2.0) is None
