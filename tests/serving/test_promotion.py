"""Promotion beside a running Triton: no request fails, no answer is of two models."""

from __future__ import annotations

import dataclasses
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from processes import find, kill_9

from stmae.serving import models, parity
from stmae.serving.client import Client
from stmae.serving.models.control import Control
from stmae.serving.models.installation import installed, sync
from stmae.serving.models.sidecar import Sidecar, health_server
from stmae.serving.triton.launcher import EmbeddedTriton
from stmae.storage import open_store


@pytest.fixture
def served(releases, triton_runtime, tmp_path):
    """A store with three versions, and a Triton that serves the first and takes orders."""
    store = open_store(str(tmp_path / "models"))
    versions = [each.add(store).version for each in releases]
    models.promote(store, "tiny", versions[0])
    sync(store, tmp_path / "repository")
    with (
        EmbeddedTriton(tmp_path / "repository", runtime=triton_runtime, control=True) as triton,
        Control(triton.grpc_url) as control,
    ):
        yield store, versions, tmp_path / "repository", triton, control


def test_promotion_under_load_fails_no_request_and_mixes_no_models(served, releases):
    store, versions, repository, triton, control = served
    segment = parity.load_golden(releases[0].export)["FRAMES"]
    sidecar = Sidecar(store, repository, control)
    over, answers = threading.Event(), []

    def ask():
        with Client(triton.grpc_url, "tiny") as client:
            while not over.is_set():
                answers.append(client.score_segment(segment))
            return client.score_segment(segment)

    def answer():
        with Client(triton.grpc_url, "tiny") as client:
            return client.score_segment(segment)

    alone = [answer()]
    with ThreadPoolExecutor(2) as clients:
        asked = [clients.submit(ask) for _ in range(2)]
        try:
            for version in versions[1:]:
                models.promote(store, "tiny", version)
                assert sidecar.follow() == ""
                alone.append(answer())
            models.rollback(store, "tiny")
            assert sidecar.follow() == ""
        finally:
            over.set()
        last = [each.result() for each in asked]

    def same(one, other):
        return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("psnr", "error_tiles"))

    assert not any(same(alone[i], alone[j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    assert all(any(same(each, model) for model in alone) for each in answers)
    assert len(answers) > 20
    assert all(same(each, alone[1]) for each in last)
    assert installed(repository, "tiny") == versions[1] == control.version("tiny")
    assert len(list(repository.glob("tiny_encode/*/model.onnx"))) == 1


def test_a_version_that_does_not_load_gives_way_to_the_one_before(served, releases, tmp_path):
    store, versions, repository, _, control = served
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in releases[1].export.iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    (broken / "decode.onnx").write_bytes(b"no graph")
    bad = dataclasses.replace(releases[1], export=broken).add(store)
    models.promote(store, "tiny", bad.version)

    sidecar = Sidecar(store, repository, control)
    assert "tiny_decode" in sidecar.follow()
    assert control.version("tiny") == versions[0]
    control.infer("tiny")
    models.rollback(store, "tiny")
    assert sidecar.follow() == ""
    control.infer("tiny")
    assert len(list(repository.glob("tiny_decode/*/model.onnx"))) == 1


def test_health_is_an_inference(served):
    store, versions, repository, triton, control = served
    sidecar = Sidecar(store, repository, control, fresh_seconds=0)
    server = health_server(sidecar, 0, "127.0.0.1")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        assert get(f"{address}/ready") == "ok\n"
        assert f'stmae_models_current_info{{deployment="tiny",version="{versions[0]}"}} 1.0' in get(
            f"{address}/metrics"
        )
        kill_9(find(triton.process.pid, "tiny_encode_0_0"))
        assert "model 'tiny'" in refused(f"{address}/live")  # it is dead, or just being started anew
        assert 'stmae_models_healthy{deployment="tiny"} 0.0' in get(f"{address}/metrics")
    finally:
        server.shutdown()
        server.server_close()


def test_a_store_without_a_promoted_version_is_told_once(tmp_path, caplog):
    (tmp_path / "models").mkdir()
    store = open_store(str(tmp_path / "models"))
    with Control("127.0.0.1:1") as nobody:
        sidecar = Sidecar(store, tmp_path / "repository", nobody)
        assert sidecar.follow() == sidecar.follow() == ""
    (told,) = caplog.messages
    assert "nothing is promoted yet" in told


def get(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read().decode()


def refused(url):
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(url)
    with caught.value as answer:
        assert answer.code == 503
        return answer.read().decode()
