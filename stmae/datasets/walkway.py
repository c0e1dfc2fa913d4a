"""Walkway: synthetic footage, filmed into DATA_ROOT on first use and read from there."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from stmae.config import Config
from stmae.datasets import folder
from stmae.datasets.footage import Footage
from stmae.datasets.synthetic.config import WalkwayConfig
from stmae.datasets.synthetic.film import film


def read(data_root: Path, config: Config) -> tuple[Path, list[Footage]]:
    """Films what is missing, then finds it as one's own cameras.

    Raises ConfigError for a mistake in the `[walkway]` table, DatasetError where DATA_ROOT holds other files.
    """
    scenes = WalkwayConfig.of(config)
    film(scenes, data_root)
    data = dataclasses.replace(
        config.data, train_glob="training/*.mp4", test_glob="testing/*.mp4", scenes=scenes.scenes > 1
    )
    return folder.read_globs(data_root, data)
