"""Footage that is made to exhaust or to mislead: it ends at a limit, with a reason, and what is beside it is scored."""

from __future__ import annotations

import http.server
import os
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from nights import Night, covered, film
from recordings import bomb, record

from stmae.batch import copies
from stmae.video.limits import Limits
from stmae.video.sandbox import Sandbox

AT = "2026-03-01/08-00-00"
BILLION = 10**9


def states_a_billion_frames(path: Path) -> Path:
    """Writes an AVI whose headers state a billion frames."""
    data = bytearray(record(path, 40, codec="mjpeg", pix_fmt="yuvj420p").read_bytes())
    struct.pack_into("<I", data, data.index(b"avih") + 8 + 16, BILLION)  # dwTotalFrames
    struct.pack_into("<I", data, data.index(b"strh") + 8 + 32, BILLION)  # dwLength
    path.write_bytes(data)
    return path


def indexes_a_billion_frames(path: Path) -> Path:
    """Writes an MP4 whose index has a billion samples of the same size."""
    data = bytearray(record(path, 40).read_bytes())
    at = data.index(b"stsz")
    struct.pack_into(">II", data, at + 8, 100, BILLION)  # sample_size, sample_count
    at = data.index(b"stts")
    struct.pack_into(">III", data, at + 8, 1, BILLION, 100)  # entries, count, duration of each
    path.write_bytes(data)
    return path


def names_itself(path: Path) -> Path:
    """Writes a script of FFmpeg's that plays itself, under the name of a video."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("ffconcat version 1.0\n" + f"file {path.name}\n" * 100)
    return path


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str]]]:
    """A web server: its address, and the paths that it was asked for."""
    paths: list[str] = []

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", paths
        server.shutdown()


def health(path: Path, limits: Limits | None = None) -> tuple[str, str, int]:
    """Returns status, reason and decoded frames of a file, as a sandbox tells them."""
    with Sandbox(limits) as sandbox:
        source = sandbox.read(path, 32)
        frames = sum(1 for _ in source)
        assert source.health.frames_decoded >= frames
        return source.health.status, source.health.reason or "", frames


@pytest.mark.parametrize("make", [states_a_billion_frames, indexes_a_billion_frames])
def test_a_billion_stated_frames_are_a_reason_and_no_work(tmp_path: Path, make: object) -> None:
    suffix = "avi" if make is states_a_billion_frames else "mp4"
    status, reason, frames = health(make(tmp_path / f"many.{suffix}"))  # type: ignore[operator]
    assert status in ("truncated", "undecodable")
    assert reason
    assert frames <= 40


def test_a_script_that_names_a_file_is_no_video(tmp_path: Path) -> None:
    film(tmp_path / "other.mp4", 10)
    path = tmp_path / "script.mp4"
    for text in ("ffconcat version 1.0\nfile other.mp4\n", names_itself(tmp_path / "self.mp4").read_text()):
        path.write_text(text)
        status, reason, frames = health(path)
        assert (status, frames) == ("undecodable", 0)
        assert "not a video" in reason


@pytest.mark.parametrize("suffix", ["mp4", "m3u8", "sdp", "mpd"])
def test_a_playlist_asks_no_other_host(tmp_path: Path, asked: tuple[str, list[str]], suffix: str) -> None:
    url, paths = asked
    texts = {
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
        "a=rtpmap:96 H264/90000\n",
        "mpd": '<?xml version="1.0"?><MPD><Period><AdaptationSet>'
        f"<BaseURL>{url}/x</BaseURL></AdaptationSet></Period></MPD>",
    }
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{url}/secret.ts\n#EXT-X-ENDLIST\n"
    path = tmp_path / f"list.{suffix}"
    path.write_text(texts.get(suffix, playlist))
    status, _, frames = health(path, Limits(silent_seconds=10.0))
    assert (status, frames) == ("undecodable", 0)
    assert paths == []


def test_an_endless_stream_ends_at_the_limit_of_frames(tmp_path: Path) -> None:
    _, jpeg = cv2.imencode(".jpg", np.full((48, 64, 3), 90, np.uint8))
    path = tmp_path / "endless.mjpeg"
    os.mkfifo(path)

    def write_for_ever() -> None:
        try:
            with path.open("wb", buffering=0) as stream:
                while True:
                    stream.write(jpeg.tobytes())
        except BrokenPipeError:
            pass

    threading.Thread(target=write_for_ever, daemon=True).start()
    status, reason, frames = health(path, Limits(frames=300))
    assert (status, frames) == ("truncated", 300)
    assert "more than 300 frames: what follows is not decoded" in reason


@pytest.mark.parametrize(
    ("limits", "status", "said"),
    [
        (Limits(frames=20), "truncated", "it has more than 20 frames: what follows is not decoded"),
        (Limits(seconds=2.0), "truncated", "it lasts longer than 2 s: what follows is not decoded"),
        (Limits(bytes=1000), "undecodable", "bytes: more than is decoded"),
        (Limits(pixels=64 * 64), "undecodable", "its pictures are 192x144: larger than is decoded"),
        (Limits(decoder_seconds=0.0), "undecodable", "the decoder took 0 s, and was stopped"),
    ],
)
def test_each_limit_ends_a_file_with_its_reason(tmp_path: Path, limits: Limits, status: str, said: str) -> None:
    found, reason, frames = health(record(tmp_path / "x.mp4", 40), limits)
    assert found == status
    assert said in reason
    assert frames <= 21


def test_the_decoder_s_process_has_no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "STMAE_TLS_KEY", "OTEL_EXPORTER_OTLP_HEADERS"):
        monkeypatch.setenv(name, "a-canary")
    with Sandbox() as sandbox:
        assert len(list(sandbox.read(record(tmp_path / "x.mp4", 10), 32))) == 10
        environment = Path(f"/proc/{sandbox.pid}/environ").read_bytes()
    assert b"PATH=" in environment
    assert b"a-canary" not in environment


@pytest.mark.fault("footage made to exhaust the decoder")
def test_hostile_footage_is_rows_with_reasons_and_the_rest_is_scored(
    night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, tables = tmp_path / "site", tmp_path / "tables"
    film(site / f"gate/{AT}.mp4", 30)
    bomb(site / f"bomb/{AT}.mov", 10_000)
    states_a_billion_frames(site / f"states/{AT}.avi")
    indexes_a_billion_frames(site / f"indexes/{AT}.mp4")
    names_itself(site / f"itself/{AT}.mp4")
    large = record(site / f"large/{AT}.mp4", 40)
    with large.open("ab") as file:
        file.write(bytes(50_000_000))
    monkeypatch.setattr(copies, "Limits", lambda: Limits(bytes=40_000_000))
    assert night.score(site, tables).complete
    found = {row["camera"]: (row["status"], row["frames_scored"], row["reason"]) for row in covered(tables)}
    assert found["gate"] == ("scored", 26, None)
    assert found["bomb"][:2] == ("undecodable", 0)
    assert found["large"][:2] == ("skipped", 0)
    assert "more than is decoded" in found["large"][2]
    assert found["itself"][:2] == ("undecodable", 0)
    assert found["states"][0] == "truncated"
    assert f"of {BILLION} frames could be decoded" in found["states"][2]
    assert found["indexes"][0] in ("truncated", "undecodable")
    assert all(reason for camera, (_, _, reason) in found.items() if camera != "gate")
    assert night.score(site, tables).sources_scored == 0, "they are done"
