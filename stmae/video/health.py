"""What could be decoded of a source, and why the rest could not.

OpenCV says "not opened" or gives no frames. An operator needs to know whether to repair, convert or discard a file, so
the container is read here without a decoder.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal

MAX_INDEX_BYTES = 64 * 1024 * 1024
"""No more of an MP4's index is read; that of a day of video is far smaller."""
ESTIMATE_SLACK_S = 1.0
"""Seconds by which a healthy file may be shorter than the duration that its container states."""
MP4_STARTS = (b"ftyp", b"moov", b"mdat", b"wide", b"free")

Status = Literal["scored", "truncated", "undecodable", "empty"]


@dataclasses.dataclass(frozen=True, slots=True)
class DecodeHealth:
    """What a source reports to hold and what was decoded of it. `scored` means that it was decoded completely."""

    status: Status
    reason: str | None
    """Why it was not decoded completely; None for `scored`."""
    frames_reported: int | None
    """None where the container could not be opened."""
    frames_decoded: int
    seconds_reported: float | None
    seconds_decoded: float
    """End of the last decoded frame."""
    fps: float


def video_health(
    path: Path, reported: int | None, decoded: int, fps: float, seconds: float, mismatch: str | None
) -> DecodeHealth:
    """Judges a video after reading it to its end.

    `reported` is the frame count that OpenCV states (None where it could not open the file, negative where it knows
    none), `seconds` the end of the last of the `decoded` frames. `mismatch` says why reading stopped at a frame that
    does not fit those before it.
    """
    status: Status = "scored"
    reason = mismatch
    reported = None if reported is None or reported < 0 else reported
    if mismatch is not None:
        status = "undecodable"
    elif decoded == 0 and reported:
        status = "undecodable"
        reason = f"none of {reported} reported frames could be decoded: cut, damaged, or without a decoder"
    elif decoded == 0:
        status, reason = diagnose(path)
    elif reported is not None and decoded < reported and decoded < least_frames(path, reported, fps):
        status = "truncated"
        reason = f"{decoded} of {reported} reported frames could be decoded: the file is cut or damaged"
    return DecodeHealth(
        status=status,
        reason=reason,
        frames_reported=reported,
        frames_decoded=decoded,
        seconds_reported=None if reported is None else reported / fps,
        seconds_decoded=seconds if decoded else 0.0,
        fps=fps,
    )


def diagnose(path: Path) -> tuple[Status, str]:
    """Returns status and reason of a video of which no frame could be decoded."""
    size = path.stat().st_size
    if size == 0:
        return "empty", "the file has 0 bytes"
    try:
        with path.open("rb") as file:
            head = file.read(12)
            if head[4:8] in MP4_STARTS:
                return _diagnose_mp4(file)
            if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
                return _diagnose_avi(head + file.read(64 * 1024))
    except OSError as error:
        return "undecodable", f"the file cannot be read: {error.strerror}"
    if head[:4] == b"\x1aE\xdf\xa3":
        return "undecodable", "a Matroska/WebM container without a decodable video track"
    return "undecodable", "not a video: no known container at the start of the file"


def least_frames(path: Path, reported: int, fps: float) -> int:
    """Returns the fewest frames that an undamaged file decodes to, given the count that OpenCV reports.

    AVI and indexed MP4 count their frames; an MP4's edit list may hide some of them (a recording trimmed without
    re-encoding). In other containers the count is duration x rate, and only a longer gap means damage.
    """
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == b"RIFF":
            return reported
        index = _read_moov(file) if head[4:8] in MP4_STARTS else None
    if index is None or b"mvex" in index:  # each fragment has its own count, which the index does not hold
        return reported - round(ESTIMATE_SLACK_S * fps)
    try:
        shown_s = _edited_seconds(index)
    except (struct.error, IndexError, ZeroDivisionError):  # a damaged list does not excuse missing frames
        shown_s = None
    return reported if shown_s is None else min(reported, round(shown_s * fps))


def _edited_seconds(index: bytes) -> float | None:
    """Returns the seconds that the edit list of the video track shows; None where there is no edit list."""
    clock = next(_boxes(index, b"moov", b"mvhd"), b"")
    for track in _boxes(index, b"moov", b"trak"):
        edits = next(_boxes(track, b"edts", b"elst"), None)
        if b"vide" not in track or edits is None:
            continue
        wide = edits[0] == 1
        entry = ">QqI" if wide else ">IiI"
        table = edits[8 : 8 + struct.unpack_from(">I", edits, 4)[0] * struct.calcsize(entry)]
        shown = sum(length for length, start, _ in struct.iter_unpack(entry, table) if start >= 0)
        scale = struct.unpack_from(">I", clock, 20 if clock[:1] == b"\1" else 12)[0]
        return float(shown / scale)
    return None


def _boxes(data: bytes, *kinds: bytes) -> Iterator[bytes]:
    """Yields the contents of the boxes at a path of kinds, e.g. moov, trak."""
    position = 0
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        if length < 8:
            return
        if kind == kinds[0]:
            inside = data[position + 8 : position + length]
            yield from _boxes(inside, *kinds[1:]) if len(kinds) > 1 else [inside]
        position += length


def _diagnose_mp4(file: BinaryIO) -> tuple[Status, str]:
    index = _read_moov(file)
    if index is None:
        return "undecodable", "its index (moov) is missing: the recording was cut before it was closed"
    entry = index.find(b"stsd")
    count = index.find(b"stsz")
    samples = struct.unpack_from(">I", index, count + 12)[0] if 0 <= count <= len(index) - 16 else 0
    if entry < 0 or (samples == 0 and b"mvex" not in index):
        return "empty", "the container has a valid index but no frames"
    return "undecodable", f"no decoder for its codec {_printable(index[entry + 16 : entry + 20])}"


def _read_moov(file: BinaryIO) -> bytes | None:
    """Returns the top-level `moov` box, None where there is none or it is cut."""
    position = 0
    while True:
        file.seek(position)
        header = file.read(16)
        if len(header) < 8:
            return None
        length, kind = struct.unpack_from(">I4s", header)
        if length == 1 and len(header) == 16:
            length = struct.unpack_from(">Q", header, 8)[0]
        if kind == b"moov":
            file.seek(position)
            wanted = min(length, MAX_INDEX_BYTES)
            index = file.read(wanted)
            return index if len(index) == wanted else None
        if length < 8:  # 0 means "to the end of the file"; anything else is damage
            return None
        position += length


def _diagnose_avi(head: bytes) -> tuple[Status, str]:
    stream = head.find(b"vids")
    if stream < 0:
        return "undecodable", "an AVI container without a video stream"
    frames = struct.unpack_from("<I", head, stream + 32)[0] if stream + 36 <= len(head) else 0
    if frames == 0:
        return "empty", "the container has a valid header but no frames"
    return "undecodable", f"no decoder for its codec {_printable(head[stream + 4 : stream + 8])}"


def _printable(fourcc: bytes) -> str:
    return repr(fourcc.decode("latin-1")) if fourcc.strip(b"\0") else "(unnamed)"
