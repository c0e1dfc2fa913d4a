"""How much of a file is decoded at most, whatever it holds or states."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """Each is far above what a recorder writes. A file beyond one is told, and the rest of the archive goes on."""

    bytes: int = 256 << 30
    """Size of the file."""
    pixels: int = 8192 * 8192
    """Width times height of a picture: a small file may expand to any size."""
    frames: int = 20_000_000
    """Frames, and packets that may hold some: a week at 33 a second."""
    seconds: float = 7 * 86_400.0
    """Length of the footage, by its time stamps."""
    memory_bytes: int = 4 << 30
    """Address space of the decoder: enough for 8K footage, too little for a decompression bomb."""
    silent_seconds: float = 60.0
    """So long a decoder may say nothing before it is taken for stuck."""
    decoder_seconds: float = 12 * 3600.0
    """So long one file may keep its reader waiting in all."""
