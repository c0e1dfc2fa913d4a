"""One pass over a video file: packets in, decoded frames with their times out, and an account of what was lost.

A bad packet costs its frames, not the file; the end is where the container ends. Every number is counted from the
packets that were read: durations and frame rates that a header states are no promise.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from stmae.video.clock import JUMP_SECONDS, Clock
from stmae.video.health import ASSUMED_FPS, DecodeHealth, closed, codec_of, why_not_opened
from stmae.video.limits import Limits

NO_FRAMES = "the container is valid but holds no frames"
END_SLACK_SECONDS = 1.0
"""By so much may the last packet of all streams lie before the end that a container of STATES_END states."""
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


class VideoFile:
    """The decoded frames of a video file. Iterating never raises for bad content: `health` says what was wrong."""

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        self.path = path
        self._limits = limits or Limits()
        self.health: DecodeHealth | None = None
        """Known once all frames were read."""
        self._packets = self._bad = self._hidden = self._decoded = self._fillers = 0
        self._before_key: int | None = None
        self._first_stamp: float | None = None
        self._ends: dict[int, float] = {}
        self._shapes: list[tuple[int, int, int]] = []
        self._refused: str | None = None

    def __iter__(self) -> Iterator[tuple[float, av.VideoFrame]]:
        """Yields the time of each frame, counted from the first packet of the stream, and the frame."""
        try:
            size = self.path.stat().st_size
            if size > self._limits.bytes:
                self.health = closed("undecodable", f"the file has {size} bytes: more than is decoded")
                return
            container = av.open(str(self.path), options=PROBING | SAFE, metadata_errors="replace")
        except (av.error.FFmpegError, OSError, ValueError):
            self.health = closed(*why_not_opened(self.path))
            return
        with container:
            stream = _video_stream(container)
            if stream is None:
                self.health = (
                    closed("undecodable", "no video stream") if len(container.streams) else closed("empty", NO_FRAMES)
                )
                return
            if stream.codec_context is not None:
                # One thread: where a stream is damaged, the frames that survive must be the same each time.
                stream.codec_context.thread_count = 1
                self._refuse_large(stream.codec_context.width, stream.codec_context.height)
            nominal = _nominal_rate(container, stream)
            clock = Clock[av.VideoFrame](1 / (nominal or ASSUMED_FPS))
            end_s, lead = 0.0, None
            for time_s, frame in clock.times(self._stamped(container, stream)):
                lead = self._lead(clock) if lead is None else lead
                at = time_s + lead
                if at > self._limits.seconds:
                    self._refused = f"it lasts longer than {self._limits.seconds:g} s: what follows is not decoded"
                    break
                end_s = at + clock.step
                yield at, frame
            self.health = self._judge(container, stream, clock, end_s, timed=nominal is not None)

    def _stamped(self, container: InputContainer, stream: VideoStream) -> Iterator[tuple[float | None, av.VideoFrame]]:
        raw, counted = container.format.name in RAW_FORMATS, container.format.name in COUNTED_FORMATS
        counts = deque[int | None]()
        for packet in self._read(container) if not self._refused else ():
            if packet.stream_index != stream.index:
                continue
            self._packets += packet.size > 0
            self._refuse_many(self._packets)
            if self._refused:
                return
            self._hidden += packet.is_discard
            if self._first_stamp is None and packet.pts is not None:
                self._first_stamp = float(packet.pts * packet.time_base)
            if packet.is_keyframe and self._before_key is None:
                self._before_key = self._packets - 1
            try:
                frames = packet.decode()
            except av.error.DecoderNotFoundError:
                self._refused = f"no decoder for its codec {codec_of(self.path)}"
                return
            except (av.error.FFmpegError, ValueError):
                self._bad += 1
                continue
            if packet.size:
                counts.append(packet.dts)
                if counted and packet.dts is not None:  # AVI counts the ticks between two frames as frames
                    self._fillers = packet.dts + 1 - self._packets
            for frame in frames:
                assert isinstance(frame, av.VideoFrame)
                self._enter(frame)
                if self._refused:
                    return
                stamp = frame.pts if frame.pts is not None else frame.dts
                if counted and counts:
                    stamp = counts.popleft()
                base = frame.time_base or stream.time_base
                yield None if raw or stamp is None or base is None else float(stamp * base), frame

    def _enter(self, frame: av.VideoFrame) -> None:
        """Counts a decoded frame, and notes where the size of pictures changes."""
        self._refuse_large(frame.width, frame.height)
        self._refuse_many(self._decoded + 1)
        if self._refused:
            return
        if not self._shapes or self._shapes[-1][1:] != (frame.width, frame.height):
            self._shapes.append((self._decoded, frame.width, frame.height))
        self._decoded += 1

    def _refuse_large(self, width: int, height: int) -> None:
        if width * height > self._limits.pixels:
            self._refused = f"its pictures are {width}x{height}: larger than is decoded"

    def _refuse_many(self, frames: int) -> None:
        if frames > self._limits.frames:
            self._refused = f"it has more than {self._limits.frames} frames: what follows is not decoded"

    def _lead(self, clock: Clock[av.VideoFrame]) -> float:
        """Returns the seconds from the start of the stream to its first frame: 0 unless a key frame is missing."""
        if not self._before_key:
            return 0.0
        by_stamp = clock.first - self._first_stamp if self._first_stamp is not None else 0.0
        believed = 0 < by_stamp <= self._before_key * JUMP_SECONDS
        return by_stamp if believed else self._before_key * clock.step

    def _read(self, container: InputContainer) -> Iterator[av.Packet[Stream]]:
        """Yields the packets of all streams to the container's end, across what it cannot read."""
        packets, errors = container.demux(), 0
        while errors < READ_ERRORS:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.error.FFmpegError, ValueError):
                packets, errors = container.demux(), errors + 1
                continue
            errors = 0
            if packet.pts is not None and packet.time_base is not None:
                end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                self._ends[packet.stream_index] = max(end, self._ends.get(packet.stream_index, end))
            yield packet

    def _judge(
        self, container: InputContainer, stream: VideoStream, clock: Clock[av.VideoFrame], end_s: float, *, timed: bool
    ) -> DecodeHealth:
        held = max(self._packets, stream.frames - self._fillers) - self._hidden
        lost = self._lost(held, container)
        told = list(filter(None, [self._refused, lost, *self._oddities(clock, timed=timed)]))
        status: Literal["scored", "truncated", "undecodable", "empty"] = "truncated" if lost else "scored"
        if not self._decoded:
            status = "undecodable" if held or self._refused else "empty"
            if not told:
                told = [f"none of {held} frames could be decoded: damaged, or without a decoder" if held else NO_FRAMES]
        elif self._refused:
            status = "truncated"
        duration = stream.duration * stream.time_base if stream.duration and stream.time_base else None
        if duration is None and container.duration is not None:
            duration = Fraction(container.duration, av.time_base)
        return DecodeHealth(
            status=status,
            reason="; ".join(told) or None,
            frames_reported=held,
            frames_decoded=self._decoded,
            seconds_reported=None if duration is None else float(duration),
            seconds_decoded=end_s if self._decoded else 0.0,
            fps=round(1 / clock.step, 3),
        )

    def _lost(self, held: int, container: InputContainer) -> str | None:
        """Returns what is missing of the frames that the file holds, None where they are all there."""
        counted = f"{self._decoded} of {held} frames could be decoded"
        if self._refused:
            return None
        if self._before_key and self._decoded:
            return f"{counted}: the {self._before_key} before the first key frame cannot be"
        if self._bad or self._packets - self._hidden > self._decoded:
            return f"{counted}: the file is damaged"
        if self._decoded < held:
            return f"{counted}: the file is cut or damaged"
        if container.format.name in STATES_END and container.duration is not None and self._ends:
            missing = container.duration / av.time_base - max(self._ends.values())
            if missing > END_SLACK_SECONDS:
                return f"the file ends {missing:.1f} s before the end that it states: it is cut"
        return None

    def _oddities(self, clock: Clock[av.VideoFrame], *, timed: bool) -> Iterator[str]:
        """Yields what is no loss, and worth knowing."""
        if not timed:
            yield f"no time stamps: taken to have {ASSUMED_FPS:g} frames/s"
        if clock.odd:
            yield f"time stamps replaced because they disagree with those around them: {clock.odd}"
        if clock.restarts:
            yield f"time stamps that run back and were taken to go on: {clock.restarts}"
        for (_, width, height), (first, *changed) in itertools.pairwise(self._shapes[:3]):
            yield f"frame {first} on is {changed[0]}x{changed[1]}, the frames before are {width}x{height}"


def _video_stream(container: InputContainer) -> VideoStream | None:
    """Returns the largest video track, the default one of several as large; never a cover picture."""

    def rank(stream: VideoStream) -> tuple[int, bool]:
        context = stream.codec_context
        default = bool(stream.disposition & av.stream.Disposition.default)
        return (context.width * context.height if context is not None else 0), default

    cover = av.stream.Disposition.attached_pic
    return max((each for each in container.streams.video if not each.disposition & cover), key=rank, default=None)


def _nominal_rate(container: InputContainer, stream: VideoStream) -> float | None:
    """Returns frames a second as the stream states them, None for a raw stream that does not."""
    raw = container.format.name in RAW_FORMATS
    context = stream.codec_context
    rates = [context.framerate if context is not None else None, *([] if raw else [stream.average_rate])]
    return next((float(rate) for rate in rates if rate and 0 < rate <= 1000), None if raw else ASSUMED_FPS)


def upright(frame: av.VideoFrame) -> npt.NDArray[np.uint8]:
    """Returns a frame as RGB [H, W, 3], turned as its container says that it is to be shown."""
    rgb = frame.to_ndarray(format="rgb24")
    turned = np.rot90(rgb, round(frame.rotation / 90) % 4) if frame.rotation else rgb
    return np.ascontiguousarray(turned, np.uint8)
