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

from stmae.video import container as containers
from stmae.video.clock import JUMP_SECONDS, Clock
from stmae.video.container import COUNTED_FORMATS, RAW_FORMATS, STATES_END
from stmae.video.health import ASSUMED_FPS, DecodeHealth, closed, codec_of, why_not_opened
from stmae.video.limits import Limits
from stmae.video.stretches import Groups

FrameClock = Clock[av.VideoFrame | None]
Stamped = tuple[float | None, av.VideoFrame | None]
"""When a frame is shown, seconds by the container, None where it does not say; and the frame, None if not decoded."""

NO_FRAMES = "the container is valid but holds no frames"
END_SLACK_SECONDS = 1.0
"""By so much may the last packet of all streams lie before the end that a container of STATES_END states."""


class VideoFile:
    """The frames of a video file. Iterating never raises for bad content: `health` says what was wrong.

    With `groups`, only these groups of pictures are decoded, and of all other frames only the times are known.
    """

    def __init__(self, path: Path, limits: Limits | None = None, groups: Groups | None = None) -> None:
        self.path = path
        self._groups = groups
        self._limits = limits or Limits()
        self.health: DecodeHealth | None = None
        """Known once all frames were read."""
        self._packets = self._bad = self._hidden = self._decoded = self._fillers = self._skipped = 0
        self._before_key: int | None = None
        self._first_stamp: float | None = None
        self._end: float | None = None
        self._shapes: list[tuple[int, int, int]] = []
        self._refused: str | None = None

    def __iter__(self) -> Iterator[tuple[float, av.VideoFrame | None]]:
        """Yields the time of each frame, counted from the first packet of the stream, and the frame or None."""
        try:
            size = self.path.stat().st_size
            if size > self._limits.bytes:
                self.health = closed("undecodable", f"the file has {size} bytes: more than is decoded")
                return
            container = containers.open_container(self.path)
        except containers.NOT_OPENED:
            self.health = closed(*why_not_opened(self.path))
            return
        with container:
            stream = containers.video_stream(container)
            if stream is None:
                self.health = (
                    closed("undecodable", "no video stream") if len(container.streams) else closed("empty", NO_FRAMES)
                )
                return
            if stream.codec_context is not None:
                # One thread: where a stream is damaged, the frames that survive must be the same each time.
                stream.codec_context.thread_count = 1
                self._refuse_large(stream.codec_context.width, stream.codec_context.height)
            nominal = containers.nominal_rate(container, stream)
            clock = FrameClock(1 / (nominal or ASSUMED_FPS))
            end_s, lead = 0.0, None
            for time_s, frame in clock.times(self._frames(container, stream)):
                lead = self._lead(clock) if lead is None else lead
                at = time_s + lead
                if at > self._limits.seconds:
                    self._refused = f"it lasts longer than {self._limits.seconds:g} s: what follows is not decoded"
                    break
                end_s = at + clock.step
                yield at, frame
            self.health = self._judge(container, stream, clock, end_s, timed=nominal is not None)

    def _frames(self, container: InputContainer, stream: VideoStream) -> Iterator[Stamped]:
        """Yields all frames in the order in which they are shown."""
        if self._groups is None:
            yield from self._decode(container, stream, self._read(container, stream))
            return
        given, stamps = 0, self._groups.stamps
        for stamp, frame in self._decode(container, stream, self._chosen(container, stream, self._groups)):
            if stamp is None or given == len(stamps) or stamp < stamps[given]:
                continue  # the rest of a picture that was not chosen
            number = int(np.searchsorted(stamps, stamp))
            yield from ((float(skipped), None) for skipped in stamps[given:number])
            yield stamp, frame
            given = number + 1
        if not self._refused:
            yield from ((float(skipped), None) for skipped in stamps[given:])

    def _decode(
        self, container: InputContainer, stream: VideoStream, packets: Iterator[av.Packet[Stream]]
    ) -> Iterator[Stamped]:
        raw, counted = container.format.name in RAW_FORMATS, container.format.name in COUNTED_FORMATS
        counts = deque[int | None]()
        for packet in packets:
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

    def _chosen(self, container: InputContainer, stream: VideoStream, groups: Groups) -> Iterator[av.Packet[Stream]]:
        """Yields the packets of the chosen groups; at the end of each run of them one that empties the decoder."""
        number, chosen, begins, key = -1, False, False, 0.0
        for packet in self._read(container, stream):
            stamp = containers.stamp(packet)
            if packet.is_keyframe:
                number += 1
                before, chosen = chosen, number in groups.chosen
                if before and not chosen:
                    yield _emptying(stream)
                begins, key = chosen and not before, stamp or 0.0
                if begins and stream.codec_context is not None and stream.codec_context.is_open:
                    stream.codec_context.flush_buffers()
            # Pictures of an open group that are shown before its key frame refer to the group before.
            if not chosen or (begins and stamp is not None and stamp < key):
                self._skipped += packet.size > 0
            else:
                yield packet

    def _read(self, container: InputContainer, stream: VideoStream) -> Iterator[av.Packet[Stream]]:
        """Yields the packets of the stream, and takes notes of them."""
        for packet in containers.packets(container) if not self._refused else ():
            shown = containers.stamp(packet)
            if shown is not None:
                end = shown + float((packet.duration or 0) * packet.time_base)
                self._end = end if self._end is None else max(end, self._end)
            if packet.stream_index != stream.index:
                continue
            self._packets += packet.size > 0
            self._refuse_many(self._packets)
            if self._refused:
                return
            self._hidden += packet.is_discard
            if self._first_stamp is None:
                self._first_stamp = shown
            if packet.is_keyframe and self._before_key is None:
                self._before_key = self._packets - 1
            yield packet

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

    def _lead(self, clock: FrameClock) -> float:
        """Returns the seconds from the start of the stream to its first frame: 0 unless a key frame is missing."""
        if not self._before_key:
            return 0.0
        by_stamp = clock.first - self._first_stamp if self._first_stamp is not None else 0.0
        believed = 0 < by_stamp <= self._before_key * JUMP_SECONDS
        return by_stamp if believed else self._before_key * clock.step

    def _judge(
        self,
        container: InputContainer,
        stream: VideoStream,
        clock: FrameClock,
        end_s: float,
        *,
        timed: bool,
    ) -> DecodeHealth:
        held = max(self._packets, stream.frames - self._fillers) - self._hidden - self._skipped
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
            frames_reported=held + self._skipped,
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
        if self._bad or self._packets - self._hidden - self._skipped > self._decoded:
            return f"{counted}: the file is damaged"
        if self._decoded < held:
            return f"{counted}: the file is cut or damaged"
        if container.format.name in STATES_END and container.duration is not None and self._end is not None:
            missing = container.duration / av.time_base - self._end
            if missing > END_SLACK_SECONDS:
                return f"the file ends {missing:.1f} s before the end that it states: it is cut"
        return None

    def _oddities(self, clock: FrameClock, *, timed: bool) -> Iterator[str]:
        """Yields what is no loss, and worth knowing."""
        if not timed:
            yield f"no time stamps: taken to have {ASSUMED_FPS:g} frames/s"
        if clock.odd:
            yield f"time stamps replaced because they disagree with those around them: {clock.odd}"
        if clock.restarts:
            yield f"time stamps that run back and were taken to go on: {clock.restarts}"
        for (_, width, height), (first, *changed) in itertools.pairwise(self._shapes[:3]):
            yield f"frame {first} on is {changed[0]}x{changed[1]}, the frames before are {width}x{height}"


def _emptying(stream: VideoStream) -> av.Packet[Stream]:
    """Returns the packet after which a decoder gives the frames that it still holds."""
    packet: av.Packet[Stream] = av.Packet()
    packet.stream = stream
    return packet


def upright(frame: av.VideoFrame) -> npt.NDArray[np.uint8]:
    """Returns a frame as RGB [H, W, 3], turned as its container says that it is to be shown."""
    rgb = frame.to_ndarray(format="rgb24")
    turned = np.rot90(rgb, round(frame.rotation / 90) % 4) if frame.rotation else rgb
    return np.ascontiguousarray(turned, np.uint8)
