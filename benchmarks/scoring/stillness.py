"""What leaving out still frames saves, and whether events are the same without them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.scoring.sets import FRESH, PED2, CachedMeasure, trained
from benchmarks.scoring.upcam import UPCAM, upcam
from stmae.evaluation.evaluate import Fitted, fit_scene
from stmae.scoring.events import find_events
from stmae.scoring.raw import CLIP_FRAMES, RawScores
from stmae.video.stillness import holders, runs

SETS = (PED2, FRESH[0], UPCAM)


def stillness(data_root: Path, work: Path, names: list[str]) -> dict[str, Any]:
    """Returns by set (first seed) the noise, the share of frames that are saved, and whether events are equal.

    `names` are sets (all, where there are none). Events are those of the test clips; their frames are cut into
    segments as the nightly job cuts them, each of which is measured at least once.
    """
    figures: dict[str, Any] = {}
    for one in (one for one in SETS if not names or one.name in names):
        measure = upcam(data_root, work) if one is UPCAM else trained(one, one.seeds[0], data_root, work)
        saved = computed = frames = 0
        equal, count = True, 0
        fitted = {scene: fit_scene(measure, scene, measure.config.score)[0] for scene in measure.manifest.scenes}
        for clip in measure.manifest.split("test"):
            scene, raw = fitted[clip.scene], measure(clip)
            held = _held(measure, measure.manifest.frames(clip), scene.normality.noise)
            saved, frames = saved + int((held != np.arange(len(held))).sum()), frames + len(held)
            computed += sum(run.stop - run.start + CLIP_FRAMES for run in runs(held, CLIP_FRAMES))
            events = _events(scene, raw)
            equal, count = equal and _events(scene, raw[held]) == events, count + len(events)
        name = one.name.replace("-", "_")
        figures |= {
            f"noise_{name}": max(each.normality.noise for each in fitted.values()),
            f"frames_{name}": frames,
            f"events_{name}": count,
            f"saved_share_{name}": round(saved / frames, 4),
            f"sent_share_{name}": round(computed / frames, 4),
            f"events_equal_{name}": equal,
        }
        print({key: value for key, value in figures.items() if key.endswith(name)}, flush=True)
    return figures


def _held(measure: CachedMeasure, frames: npt.NDArray[np.uint8], noise: float) -> npt.NDArray[np.intp]:
    """Returns which frame's measurements each scored frame of a clip has, segment by segment."""
    step = measure.config.serve.segment_frames - CLIP_FRAMES
    parts = [
        first + holders(frames[first : first + step + CLIP_FRAMES], CLIP_FRAMES, noise)
        for first in range(0, len(frames) - CLIP_FRAMES, step)
    ]
    return np.concatenate([np.zeros(0, np.intp), *parts])


def _events(scene: Fitted, raw: RawScores) -> list[tuple[int, int, int]]:
    scores = scene.score(raw)[1]
    return [(event.start, event.end, event.detector) for event in find_events([scores], scene.calibration)]
