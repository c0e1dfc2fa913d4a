"""Survey: when each frame of footage is shown and where a video can be cut, told by packets before any is decoded."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from stmae.video import container as containers
from stmae.video.clock import Clock
from stmae.video.container import COUNTED_FORMATS, RAW_FORMATS
from stmae.video.decode import VideoFile
from stmae.video.health import ASSUMED_FPS
from stmae.video.images import image_files
from stmae.video.stretches import Groups, Order, Survey

NOTHING = Survey(np.zeros(0))


def survey(path: Path, folder_fps: float) -> Survey:
    """Returns the survey of a video, read once, or of an image folder with `folder_fps` frames a second.

    A file that cannot be opened has no frames. Where stamps are missing, wrong or not ascending from one group of
    pictures to the next, the times are approximate and a video has to be decoded as a whole. So does one whose second
    group cannot be decoded without the first: with intra refresh, a picture is built up over many frames.
    """
    if path.is_dir():
        return Survey(np.arange(len(image_files(path))) / folder_fps)
    try:
        container = containers.open_container(path)
    except containers.NOT_OPENED:
        return NOTHING
    with container:
        stream = containers.video_stream(container)
        found = NOTHING if stream is None else _survey(container, stream)
    return found if found.order is None or _restarts(path, found.order) else Survey(found.times)


def _survey(container: InputContainer, stream: VideoStream) -> Survey:
    clock = Clock[None](1 / (containers.nominal_rate(container, stream) or ASSUMED_FPS))
    packets = _Packets(container.format.name not in RAW_FORMATS | COUNTED_FORMATS)
    times = np.array([time_s for time_s, _ in clock.times(packets.shown(container, stream))])
    if not packets.regular or clock.odd or clock.restarts:
        return Survey(times)
    return Survey(times, Order(np.array(packets.stamps), np.array(packets.firsts), np.array(packets.opens)))


def _restarts(path: Path, order: Order) -> bool:
    """Says whether the second group of pictures, where there is one, can be decoded alone."""
    if len(order.firsts) < 2 or order.opens[1]:
        return True
    _, begin, end, *_ = [*order.firsts, len(order.stamps)]
    frames = itertools.islice(VideoFile(path, groups=Groups(frozenset({1}), order.stamps)), begin, end)
    return all(frame is not None for _, frame in frames)


class _Packets:
    """Puts packets, which come in the order of decoding, into that in which their frames are shown."""

    def __init__(self, regular: bool) -> None:
        self.regular = regular
        """Whether that order is certain and each group of pictures can be told."""
        self.stamps: list[float] = []
        self.firsts: list[int] = []
        self.opens: list[bool] = []

    def shown(self, container: InputContainer, stream: VideoStream) -> Iterator[tuple[float | None, None]]:
        """Yields when the frame of each packet is shown, seconds by the container."""
        group: list[float | None] = []
        for packet in containers.packets(container):
            if packet.stream_index != stream.index or not packet.size:
                continue
            if packet.is_keyframe and group:
                yield from self._group(group)
                group = []
            self.regular &= not packet.is_discard and (packet.is_keyframe or bool(group))
            group.append(containers.stamp(packet))
        yield from self._group(group)

    def _group(self, group: list[float | None]) -> Iterator[tuple[float | None, None]]:
        known = sorted({stamp for stamp in group if stamp is not None})
        if not known or len(known) < len(group) or (self.stamps and known[0] <= self.stamps[-1]):
            self.regular = False
            yield from ((stamp, None) for stamp in group)
            return
        self.firsts.append(len(self.stamps))
        self.opens.append(known[0] != group[0])
        self.stamps += known
        yield from ((stamp, None) for stamp in known)
