"""Containers: how a video file is opened, which of its tracks is watched, and its packets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from stmae.video.health import ASSUMED_FPS

PROBING = {"probesize": str(64 << 20), "analyzeduration": str(60_000_000)}
"""Bytes and microseconds of a stream that are searched for its parameters: one may begin long before a key frame."""
FORMATS = (
    *("mov", "matroska", "avi", "flv", "asf", "mpegts", "mpeg", "ogg", "ivf", "dhav"),
    *("h264", "hevc", "vvc", "m4v", "mjpeg", "mpegvideo", "h263", "vc1", "vc1test", "obu", "cavsvideo"),
)
"""The containers and raw streams that are read. FFmpeg knows others that are no footage but name other files or hosts,
e.g. playlists, whatever the file's name is."""
SAFE = {"format_whitelist": ",".join(FORMATS), "protocol_whitelist": "file"}
READ_ERRORS = 100
"""After so many errors of a container, one after the other, its end is taken for reached."""
STATES_END = frozenset({"matroska,webm", "flv", "asf"})
"""Formats that state no count of frames but where they end."""
COUNTED_FORMATS = frozenset({"avi"})
"""Formats that stamp packets in the order of decoding alone: the n-th frame has the stamp of the n-th packet."""
RAW_FORMATS = frozenset({"h264", "hevc", "m4v", "mjpeg", "mpegvideo", "vc1", "obu", "cavsvideo"})
"""Formats that hold packets without time stamps."""
NOT_OPENED = (av.error.FFmpegError, OSError, ValueError)
"""What `open_container` raises for a file that no demuxer takes."""


def open_container(path: Path) -> InputContainer:
    """Opens a video file, and no other file or host that it names. Raises one of NOT_OPENED."""
    return av.open(str(path), options=PROBING | SAFE, metadata_errors="replace")


def video_stream(container: InputContainer) -> VideoStream | None:
    """Returns the largest video track, the default one of several as large; never a cover picture."""

    def rank(stream: VideoStream) -> tuple[int, bool]:
        context = stream.codec_context
        default = bool(stream.disposition & av.stream.Disposition.default)
        return (context.width * context.height if context is not None else 0), default

    cover = av.stream.Disposition.attached_pic
    return max((each for each in container.streams.video if not each.disposition & cover), key=rank, default=None)


def nominal_rate(container: InputContainer, stream: VideoStream) -> float | None:
    """Returns frames a second as the stream states them, None for a raw stream that does not."""
    raw = container.format.name in RAW_FORMATS
    context = stream.codec_context
    rates = [context.framerate if context is not None else None, *([] if raw else [stream.average_rate])]
    return next((float(rate) for rate in rates if rate and 0 < rate <= 1000), None if raw else ASSUMED_FPS)


def packets(container: InputContainer) -> Iterator[av.Packet[Stream]]:
    """Yields the packets of all streams to the container's end, across what it cannot read."""
    demuxed, errors = container.demux(), 0
    while errors < READ_ERRORS:
        try:
            packet = next(demuxed)
        except StopIteration:
            return
        except (av.error.FFmpegError, ValueError):
            demuxed, errors = container.demux(), errors + 1
            continue
        errors = 0
        yield packet


def stamp(packet: av.Packet[Stream]) -> float | None:
    """Returns when a packet's frame is shown, seconds by the container; None where it does not say."""
    if packet.pts is None or packet.time_base is None:
        return None
    return float(packet.pts * packet.time_base)
