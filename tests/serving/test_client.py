"""The client against the real Triton."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stmae import __version__
from stmae.serving import tensors
from stmae.serving.client import IN_FLIGHT, Client, ServingError
from stmae.serving.triton.ports import Ports
from stmae.video.writer import write_video

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "client.py"


@pytest.fixture(scope="module")
def client(triton_server):
    with Client(triton_server.grpc_url, triton_server.deployment) as client:
        yield client


def test_a_deployment_tells_what_it_is(client, tiny_export):
    described = client.describe()

    assert described.digest == json.loads((tiny_export.folder / "export.json").read_text())["digest"]
    assert (described.name, described.size, described.segment_frames) == ("tiny", 64, 16)
    assert described.stmae_version == __version__


@pytest.mark.parametrize("frames", [5, 64])
def test_a_segment_has_a_score_for_each_frame_from_the_fifth_on(client, film, frames):
    scores = client.score_segment(film(frames, 64))

    for output in tensors.ENSEMBLE.outputs:
        array = getattr(scores, output.name.lower())
        assert array.shape == (frames - 4, *output.dims[1:])
        assert array.dtype == np.float32
    np.testing.assert_allclose(scores.psnr, -10 * np.log10(scores.error_tiles.mean(axis=(1, 2))), atol=1e-3)


def test_overlapping_segments_score_as_one_long_segment(client, film):
    frames = film(50, 64)

    whole = client.score_segment(frames)
    cut = client.score_array(frames)  # the deployment's segments have 16 frames

    assert cut.frames == 50
    for field in dataclasses.fields(whole):
        np.testing.assert_allclose(
            getattr(cut.raw, field.name), getattr(whole, field.name), atol=1e-3, err_msg=field.name
        )


def test_scores_of_a_stream_come_in_the_order_of_its_segments(client, film):
    segments = [film(length, 64, seed=length) for length in (5, 30, 6, 17, 8)]

    streamed = list(client.score_stream(segments))

    for segment, scores in zip(segments, streamed, strict=True):
        np.testing.assert_allclose(scores.psnr, client.score_segment(segment).psnr, atol=1e-4)


def test_a_stream_is_read_no_further_than_its_requests_in_flight(triton_server, film):
    taken = 0

    def segments():
        nonlocal taken
        for index in range(10):
            taken += 1
            yield film(5, 64, seed=index)

    with Client(triton_server.grpc_url, "tiny") as client:
        stream = client.score_stream(segments())
        next(stream)
        assert taken == IN_FLIGHT
        next(stream)
        assert taken == IN_FLIGHT + 1
        stream.close()


def test_a_video_is_scored_from_its_file(client, film, tmp_path):
    write_video(tmp_path / "walk.mp4", film(23, 96), fps=10.0)

    scores = client.score_video(tmp_path / "walk.mp4")

    assert scores.frames == 23
    assert len(scores.raw) == 19
    assert scores.health is not None
    assert scores.health.status == "scored"


@pytest.mark.parametrize("frames", [0, 4])
def test_a_video_of_fewer_than_five_frames_has_no_scores(client, film, frames):
    scores = client.score_array(film(5, 64)[:frames])

    assert scores.frames == frames
    assert len(scores.raw) == 0
    assert scores.raw.flow_tiles.shape == (0, 2, 16, 16)


def test_a_segment_that_is_too_short_is_refused(client, film):
    with pytest.raises(ServingError, match="4 frames; a segment has at least 5") as caught:
        client.score_segment(film(4, 64))

    assert caught.value.cause == "bad input"


def test_a_segment_that_is_too_long_is_refused_before_it_takes_the_servers_memory(client, film):
    with pytest.raises(ServingError, match=r"5000 frames; a segment has at most 64 here: cut it") as caught:
        client.score_segment(np.zeros((5000, 64, 64, 3), np.uint8))

    assert caught.value.cause == "bad input"
    assert len(client.score_segment(film(5, 64))) == 1


def test_frames_of_another_type_are_refused(client, film):
    with pytest.raises(ServingError, match=r"float32 .* give RGB frames as uint8") as caught:
        client.score_segment(film(5, 64).astype(np.float32))

    assert caught.value.cause == "bad input"


def test_frames_of_another_size_are_refused(client, film):
    with pytest.raises(ServingError, match=r"Expected \[-1,64,64,3\], got \[5,96,96,3\].*; resize frames") as caught:
        client.score_segment(film(5, 96))

    assert caught.value.cause == "bad input"


def test_a_server_that_is_down_is_told_with_its_address(film):
    url = f"127.0.0.1:{Ports.free().grpc}"

    with Client(url, "tiny") as client:
        for call in (client.describe, lambda: client.score_segment(film(5, 64))):
            with pytest.raises(ServingError, match=f"{re.escape(url)}.*'tiny'.*`make serve`") as caught:
                call()
            assert caught.value.cause == "unavailable"


def test_a_model_that_is_not_served_is_told_by_name(triton_server, film):
    with Client(triton_server.grpc_url, "nowhere") as client:
        for call in (client.describe, lambda: client.score_segment(film(5, 64))):
            with pytest.raises(ServingError, match=r"'nowhere' is not served there.*publish") as caught:
                call()
            assert caught.value.cause == "missing"


def test_a_single_step_is_not_taken_for_a_deployment(triton_server):
    with (
        Client(triton_server.grpc_url, "tiny_decode") as client,
        pytest.raises(ServingError, match="not a deployment"),
    ):
        client.describe()


def test_a_deadline_ends_the_wait(triton_server, film):
    with (
        Client(triton_server.grpc_url, "tiny", deadline_seconds=0.01) as client,
        pytest.raises(ServingError, match=r"within 0.01 s.*--deadline") as caught,
    ):
        client.score_segment(film(64, 64))

    assert caught.value.cause == "deadline"


def test_the_plain_script_gets_all_outputs_for_short_and_long_segments(triton_server, film, tmp_path):
    write_video(tmp_path / "walk.mp4", film(70, 96), fps=10.0)
    command = [sys.executable, SCRIPT, "--url", triton_server.grpc_url, "--deployment", "tiny"]

    for extra in ([], ["--video", str(tmp_path / "walk.mp4")]):
        answer = subprocess.run([*command, *extra], capture_output=True, text=True, check=True, cwd=tmp_path)

        short, long = answer.stdout.splitlines()
        for line, frames, scored in ((short, 5, 1), (long, 64, 60)):
            shapes = [f"{output.name} {[scored, *output.dims[1:]]}" for output in tensors.ENSEMBLE.outputs]
            assert line.startswith(f"T={frames}: {'  '.join(shapes)}  PSNR ")


def test_the_plain_script_does_not_need_the_package():
    assert "stmae" not in re.sub(r'""".*?"""', "", SCRIPT.read_text(), flags=re.S)
