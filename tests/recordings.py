"""Small videos as recorders write them, made with PyAV: odd time stamps, damage, many containers and codecs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

FPS = 10
GOP = 10
HEIGHT, WIDTH = 144, 192
TICKS = 1000
"""Time stamps a second."""

Times = Callable[[int], float]
"""Number of a frame -> its time stamp, seconds."""


def even(number: int) -> float:
    return number / FPS


def record(
    path: Path,
    frames: int = 80,
    *,
    times: Times = even,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    container: str | None = None,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    gop: int = GOP,
    audio_seconds: float = 0.0,
    options: dict[str, str] | None = None,
    rotation: int = 0,
    drop: Sequence[int] = (),
) -> Path:
    """Films a block that wanders over a rough ground. `drop` are numbers of packets that are left out of the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ground = np.random.default_rng(0).integers(60, 120, (size[1] // 8, size[0] // 8, 3), np.uint8)
    ground = ground.repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w", format=container, options=options or {}) as output:
        stream = output.add_stream(codec, rate=FPS)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        stream.codec_context.gop_size, stream.codec_context.max_b_frames = gop, 0
        stream.codec_context.time_base = Fraction(1, FPS)
        sound = output.add_stream("aac", rate=8000, layout="mono") if audio_seconds else None
        if rotation:
            stream.set_display_rotation(rotation)
        packets = []
        for number in range(frames):
            image = ground.copy()
            left = 4 * number % (size[0] - 24)
            image[size[1] // 3 : size[1] // 3 + 24, left : left + 24] = (230, 30, 30)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        for number, packet in enumerate(packets):
            if number not in drop:
                packet.pts = round(times(number) * TICKS)
                packet.dts = round(min(times(number), times(number + 1) - 0.5 / FPS) * TICKS)
                packet.time_base = Fraction(1, TICKS)
                packet.stream = stream
                output.mux(packet)
        if sound is not None:
            output.mux([packet for frame in _silence(audio_seconds) for packet in sound.encode(frame)])
            output.mux(sound.encode(None))
    return path


def _silence(seconds: float) -> list[av.AudioFrame]:
    frames = []
    for start in range(0, round(seconds * 8000), 1024):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 8000, start, Fraction(1, 8000)
        frames.append(frame)
    return frames


def spoil_packet(path: Path, number: int) -> Path:
    """Overwrites a packet of the video with zeros."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        position, size = packets[number].pos, packets[number].size
    assert position is not None
    data = bytearray(path.read_bytes())
    data[position : position + size] = bytes(size)
    path.write_bytes(data)
    return path
