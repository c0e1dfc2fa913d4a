"""The folder that travels to the machine: UCSD Ped2, small enough to be sent along.

<folder>/ped2/ped2-webp-q90.tar      training/frames/<clip>/000.webp, testing/frames/<clip>/000.webp; grey, quality 90
<folder>/ped2/testing/masks/<clip>/000.png
<folder>/ped2/UCSDped2.m             or ped2.mat: the frame labels
"""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import cv2

from stmae.config import load
from stmae.datasets.prepare import DatasetError, read_footage
from stmae.video.reader import image_files

ARCHIVE = "ped2-webp-q90.tar"
QUALITY = 90
"""Quality of the WebP frames: about 44 dB, a third of the bytes of the JPEGs that circulate."""
LARGEST_MIB = 60
"""What the machine's tool carries besides the repository."""


def assemble(data_root: Path, folder: Path) -> float:
    """Writes the folder from the Ped2 in `data_root`, in any layout that the library reads; returns its size in MiB.

    Takes `ped2-webp-q90.tar` as it is where it lies beside the frames. Raises DatasetError where the data set is
    absent, incomplete or too large.
    """
    root, footage = read_footage(load("ped2"), data_root)
    shutil.rmtree(folder / "ped2", ignore_errors=True)
    out = folder / "ped2"
    (out / "testing" / "masks").mkdir(parents=True)
    if (root / ARCHIVE).is_file():
        shutil.copyfile(root / ARCHIVE, out / ARCHIVE)
    else:
        splits = {"train": "training", "test": "testing"}
        clips = {f"{splits[item.split]}/frames/{item.path.name}": item.path for item in footage}
        _write_archive(clips, out / ARCHIVE)
    for item in footage:
        if item.truth is None:
            continue
        for file in item.truth.files:
            if file.is_file():
                shutil.copyfile(file, out / file.name)
        if item.truth.masks is not None:
            masks = out / "testing" / "masks" / item.path.name
            masks.mkdir()
            for index, mask in enumerate(item.truth.masks()):
                cv2.imwrite(str(masks / f"{index:03d}.png"), mask * 255)
    mib = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20
    if mib > LARGEST_MIB:
        raise DatasetError(f"{folder}: {mib:.0f} MiB, and no more than {LARGEST_MIB} travel; remove what is not Ped2")
    return mib


def check(folder: Path) -> None:
    """Raises DatasetError where the folder has not been assembled."""
    path = folder / "ped2" / ARCHIVE
    if not path.is_file():
        raise DatasetError(f"{path}: missing; make the folder with `make gpu-folder DATA_ROOT=dir`, and send it along")


def unpack(folder: Path, data_root: Path) -> None:
    """Lays the folder out as a data root that the reader `ped2` reads."""
    source = folder / "ped2"
    shutil.copytree(source, data_root / "ped2", ignore=shutil.ignore_patterns(ARCHIVE))
    with tarfile.open(source / ARCHIVE) as archive:
        archive.extractall(data_root / "ped2", filter="data")


def _write_archive(clips: dict[str, Path], path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        for name, clip in clips.items():
            for index, file in enumerate(image_files(clip)):
                frame = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
                if frame is None:
                    raise DatasetError(f"{file}: not a readable image; restore it")
                content = cv2.imencode(".webp", frame, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])[1].tobytes()
                member = tarfile.TarInfo(f"{name}/{index:03d}.webp")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
