"""The nightly job does not ask the server about frames that show nothing new, and says of which it did not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from nights import Night, read

from stmae.scoring.normality import NormalityModel
from stmae.storage.document import from_json, to_json
from stmae.video.writer import write_video

FRAMES = 180
PASSES = range(70, 100)
"""Frames in which a block crosses the picture."""


def film(path: Path) -> None:
    """A rough ground with noise; once a bright block crosses it."""
    ground = np.random.default_rng(0).integers(60, 120, (96, 128, 3))
    noise = np.random.default_rng(1)
    images = []
    for index in range(FRAMES):
        image = ground + noise.integers(-2, 3, ground.shape)
        if index in PASSES:
            left = (index - PASSES.start) * 3
            image[30:60, left : left + 24] = 230
        images.append(image.astype(np.uint8))
    write_video(path, images, 10.0, "MJPG")


def test_a_still_scene_is_asked_about_once_in_a_while(night: Night, tmp_path: Path) -> None:
    film(tmp_path / "site" / "gate" / "2026-03-01" / "08-00-00.avi")
    normality = from_json(NormalityModel, (night.fitted / "normality.json").read_text())
    (tmp_path / "normality.json").write_text(to_json(dataclasses.replace(normality, noise=4.0)))
    every = night.score(tmp_path / "site", tmp_path / "every")
    some = night.score(tmp_path / "site", tmp_path / "some", normality=str(tmp_path / "normality.json"))

    assert every.frames_scored == some.frames_scored == FRAMES - 4
    assert every.frames_still == 0
    assert some.frames_still > 0.5 * FRAMES
    assert f"({some.frames_still} still)" in some.message()
    measured, held = (read(tmp_path / folder, "scores").to_pandas() for folder in ("every", "some"))
    assert not measured["still"].any()
    assert held["still"].sum() == some.frames_still
    moving = held["frame"].between(PASSES.start, PASSES.stop + 3)
    assert not held["still"][moving].any()
    np.testing.assert_allclose(held["psnr"][~held["still"]], measured["psnr"][~held["still"]], atol=0.05)
    np.testing.assert_allclose(held["psnr"], measured["psnr"], atol=0.5)
    events = [read(tmp_path / folder, "events").to_pylist() for folder in ("every", "some")]
    assert [len(each) for each in events] == [len(events[0])] * 2


def test_a_rerun_of_a_still_scene_is_the_same_byte_for_byte(night: Night, tmp_path: Path) -> None:
    film(tmp_path / "site" / "gate" / "2026-03-01" / "08-00-00.avi")
    normality = from_json(NormalityModel, (night.fitted / "normality.json").read_text())
    (tmp_path / "normality.json").write_text(to_json(dataclasses.replace(normality, noise=4.0)))
    tables = []
    for folder in ("one", "other"):
        night.score(tmp_path / "site", tmp_path / folder, normality=str(tmp_path / "normality.json"))
        (path,) = (tmp_path / folder / "scores").rglob("*.parquet")
        tables.append(path.read_bytes())
    assert tables[0] == tables[1]
