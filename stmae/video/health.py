"""What could be decoded of a source, and why the rest could not."""

from __future__ import annotations

import dataclasses
import struct
from pathlib import Path
from typing import BinaryIO, Literal

Status = Literal["scored", "truncated", "undecodable", "empty"]

ASSUMED_FPS = 25.0
"""Frame rate of a source that states none."""
MP4_STARTS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
HEAD_BYTES = 1 << 20
"""So much of the start and of the end of a file is searched for the name of its codec."""


@dataclasses.dataclass(frozen=True, slots=True)
class DecodeHealth:
    """What a source holds and what was decoded of it. `scored` means that it was decoded completely."""

    status: Status
    reason: str | None
    """Why it was not decoded completely, and what else an operator should know of it."""
    frames_reported: int | None
    """Frames that the source holds, decodable or not; None where it could not be opened."""
    frames_decoded: int
    seconds_reported: float | None
    """Duration that the container states."""
    seconds_decoded: float
    """End of the last decoded frame, counted from the first frame that the source holds."""
    fps: float
    """Usual frame rate."""


def closed(status: Literal["undecodable", "empty"], reason: str) -> DecodeHealth:
    """Returns the health of a source that gives no frames and could not even be opened."""
    return DecodeHealth(status, reason, None, 0, None, 0.0, ASSUMED_FPS)


def why_not_opened(path: Path) -> tuple[Literal["undecodable", "empty"], str]:
    """Returns status and reason of a file that no demuxer takes."""
    try:
        if path.stat().st_size == 0:
            return "empty", "the file has 0 bytes"
        with path.open("rb") as file:
            head = file.read(12)
            if head[4:8] in MP4_STARTS and not _has_index(file):
                return "undecodable", "its index (moov) is missing: the recording was cut before it was closed"
    except OSError as error:
        return "undecodable", f"the file cannot be read: {error.strerror}"
    if head[4:8] in MP4_STARTS or head[:4] in (b"RIFF", b"\x1aE\xdf\xa3"):
        return "undecodable", "its container is damaged"
    return "undecodable", "not a video: no known container at the start of the file"


def codec_of(path: Path) -> str:
    """Returns the four letters that an MP4 or AVI names its video codec by, in quotes; '(unnamed)' for other files."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        file.seek(max(0, path.stat().st_size - HEAD_BYTES))
        for data in (head, file.read()):
            for mark, distance in ((b"stsd", 16), (b"vids", 4)):
                at = data.find(mark)
                name = data[at + distance : at + distance + 4].strip(b"\0")
                if at >= 0 and name:
                    return repr(name.decode("latin-1"))
    return "(unnamed)"


def _has_index(file: BinaryIO) -> bool:
    """Says whether an MP4 has a whole `moov` box."""
    position, size = 0, file.seek(0, 2)
    while True:
        file.seek(position)
        header = file.read(16)
        if len(header) < 8:
            return False
        length, kind = struct.unpack_from(">I4s", header)
        if length == 1 and len(header) == 16:
            length = struct.unpack_from(">Q", header, 8)[0]
        if kind == b"moov":
            return bool(position + length <= size)
        if length < 8:  # 0 means "to the end of the file"; anything else is damage
            return False
        position += length
