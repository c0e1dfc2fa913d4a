"""Small videos as recorders write them, made with PyAV: odd time stamps, damage, many containers and codecs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
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
    with _same_scheduling(), av.open(str(path), "w", format=container, options=options or {}) as output:
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


@contextlib.contextmanager
def _same_scheduling() -> Iterator[None]:
    """Undoes what SVT-AV1 does to the thread that opens it: run by root it takes a core for itself, in real time."""
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before)


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


def bomb(path: Path, side: int) -> Path:
    """Writes a few kilobytes that decode to a picture of side x side pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("png", rate=1)
        assert isinstance(stream, av.VideoStream)
        stream.width = stream.height = side
        stream.pix_fmt = "gray"
        output.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((side, side), np.uint8), format="gray")))
        output.mux(stream.encode(None))
    return path


def flip_bits(path: Path, seed: int, flips: int = 20) -> Path:
    """Flips bits here and there behind the first tenth of a file."""
    generator, data = np.random.default_rng(seed), bytearray(path.read_bytes())
    for position in generator.integers(len(data) // 10, len(data), flips):
        data[position] ^= 1 << int(generator.integers(8))
    path.write_bytes(data)
    return path


def changing_size(path: Path, *sizes: tuple[int, int], frames: int = 20) -> Path:
    """Writes an MPEG stream whose pictures change their size."""
    parts = [record(path.with_name(f"{width}.ts"), frames, size=(width, height)) for width, height in sizes]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    for part in parts:
        part.unlink()
    return path


def retouched(path: Path, change: Callable[[list[av.Packet]], None]) -> Path:
    """Writes a recording of which some packets are changed."""
    plain = record(path.with_name(f"plain{path.suffix}"))
    with av.open(str(plain)) as source, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        change(packets)
        for packet in packets:
            packet.stream = stream
            output.mux(packet)
    plain.unlink()
    return path


def step_back(packets: list[av.Packet]) -> None:
    """Gives a frame the time stamp of one two seconds before."""
    packets[40].pts = packets[20].pts
    for number, packet in enumerate(packets):
        packet.dts = min(each.pts for each in packets[number:] if each.pts is not None)


def last_long(packets: list[av.Packet]) -> None:
    """Says that the last frame is shown for more than two hours."""
    packets[-1].duration = round(8520 / packets[-1].time_base)


def with_small_track(path: Path) -> Path:
    """Writes a recording with a small picture in a track before its own."""
    parts = [
        record(path.with_name(f"{width}.mp4"), frames, size=(width, 144)) for width, frames in ((64, 1), (192, 80))
    ]
    with av.open(str(path), "w") as output, av.open(str(parts[0])) as small, av.open(str(parts[1])) as large:
        streams = [(each, output.add_stream_from_template(each.streams.video[0])) for each in (small, large)]
        for source, stream in streams:
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    output.mux(packet)
    for part in parts:
        part.unlink()
    return path


def sound(path: Path, seconds: float = 3.0) -> Path:
    """Writes a file without a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=8000, layout="mono")
        output.mux([packet for frame in _silence(seconds) for packet in stream.encode(frame)])
        output.mux(stream.encode(None))
    return path


def at_intervals(path: Path, bursts: int, every_seconds: float, frames: int = 100) -> Path:
    """Writes a recording of any length at once: so many frames at a time, as of a camera that waits for motion."""
    few = record(path.with_name(f"few{path.suffix}"), frames, codec="mjpeg", pix_fmt="yuvj420p", size=(64, 48))
    with av.open(str(few)) as source, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        pictures = [bytes(packet) for packet in source.demux(video=0) if packet.size]
        for burst in range(bursts):
            for number, picture in enumerate(pictures):
                packet = av.Packet(picture)
                packet.pts = packet.dts = round((burst * every_seconds + even(number)) * TICKS)
                packet.time_base, packet.is_keyframe, packet.stream = Fraction(1, TICKS), True, stream
                output.mux(packet)
    few.unlink()
    return path
