"""The data sets that can be read: THE table, and what holds for all of them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

from stmae.config import Config, ConfigError, nearest
from stmae.datasets import avenue, folder, ped2, shanghaitech, walkway
from stmae.datasets.footage import Footage
from stmae.datasets.manifest import DatasetError
from stmae.datasets.synthetic.config import WalkwayConfig

Reader = Callable[[Path, Config], tuple[Path, list[Footage]]]
"""DATA_ROOT, configuration -> the data set's own folder and its clips. Raises DatasetError."""

READERS: dict[str, Reader] = {
    "avenue": avenue.read,
    "folder": folder.read,
    "ped2": ped2.read,
    "shanghaitech": shanghaitech.read,
    "walkway": walkway.read,
}
"""The values of `data.reader`."""


def resolve(config: Config) -> Config:
    """Returns the configuration with a complete `[walkway]` table.

    Raises ConfigError for an unknown `data.reader` and for mistakes in that table, which `config.load` cannot see.
    """
    _reader(config)
    return dataclasses.replace(config, walkway=dataclasses.asdict(WalkwayConfig.of(config)))


def default_data_root(config: Config, workspace: Path) -> Path:
    """Returns the folder where the footage is looked for unless another one is given.

    Configurations of one downloaded data set share its folder. Synthetic footage is filmed as a configuration says, so
    each configuration has a folder of its own. Raises ConfigError for an unknown `data.reader`.
    """
    _reader(config)
    own = config.data.reader == "walkway"
    return workspace / "datasets" / (config.name if own else config.data.reader)


def read_footage(config: Config, data_root: Path) -> tuple[Path, list[Footage]]:
    """Finds the clips of `data_root` by the reader `data.reader`; returns the data set's own folder and its clips.

    Raises DatasetError where the reader does, for two clips of one name, a name that is not UTF-8, and a scene without
    training clips.
    """
    if data_root.is_file():
        raise DatasetError(f"DATA_ROOT={data_root}: is a file; pass the folder that holds the footage")
    root, footage = _reader(config)(data_root, config)
    seen: dict[tuple[str, str], Path] = {}
    for item in footage:
        if "\ufffd" in os.fsencode(item.path).decode(errors="replace"):
            raise DatasetError(f"{item.path}: its name is not UTF-8; rename it")
        other = seen.setdefault((item.split, item.name), item.path)
        if other != item.path:
            raise DatasetError(f"{item.path}: same clip name as {other}; rename one of them")
    trained = {item.scene for item in footage if item.split == "train"}
    for item in footage:
        if item.scene not in trained:
            raise DatasetError(
                f"{item.path}: scene {item.scene!r} has no training clip (there are {', '.join(sorted(trained))}); "
                "add normal footage of it, or rename the clip"
            )
    return root, footage


def _reader(config: Config) -> Reader:
    name = config.data.reader
    if name not in READERS:
        raise ConfigError(f"data.reader = {name!r}{nearest(name, READERS)}; one of {', '.join(READERS)}")
    return READERS[name]
