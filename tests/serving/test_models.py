"""The models store: versions that never change, and one pointer to what is served."""

from __future__ import annotations

import hashlib
import json

import pytest

from stmae.cli import main
from stmae.serving import models
from stmae.serving.models import ModelsError
from stmae.serving.models.installation import installed, sync
from stmae.serving.models.signature import SignatureError
from stmae.storage import open_store


@pytest.fixture
def two(store, releases):
    """A store with two versions, the first of which is promoted."""
    first, second = (each.add(store) for each in releases[:2])
    models.promote(store, "tiny", first.version)
    return store, first, second


def test_a_version_holds_all_that_is_served_and_what_is_known_of_it(two):
    store, first, _ = two

    assert {item.path.removeprefix(first.folder) for item in store.list(first.folder)} == {
        "flow.onnx", "encode.onnx", "decode.onnx", "psnr.onnx", "normality.json", "calibration.json", "config.json",
        "evaluation.json", "parity.json", "provenance.json", "manifest.json",
    }  # fmt: skip
    assert models.current(store, "tiny") == first
    assert models.deployments(store) == ["tiny"]


def test_what_is_published_again_is_the_version_that_is_there(two, releases):
    store, first, _ = two
    before = {item.path: item.etag for item in store.list()}

    assert releases[0].add(store) == first
    assert {item.path: item.etag for item in store.list()} == before


def test_a_version_that_was_not_completed_does_not_exist(two, releases):
    store, first, second = two
    store.delete(f"{second.folder}manifest.json")

    assert models.versions(store, "tiny") == [first]
    with pytest.raises(ModelsError, match=rf"no version '{second.version}' of 'tiny'; there are: {first.version}"):
        models.promote(store, "tiny", second.version)
    assert releases[1].add(store).version == second.version


def test_rollback_returns_to_what_was_promoted_before_and_then_further(two, releases):
    store, first, second = two
    third = releases[2].add(store)
    for each in (second, second, third):
        models.promote(store, "tiny", each.version)

    assert [models.rollback(store, "tiny").version for _ in range(2)] == [second.version, first.version]
    assert models.current(store, "tiny") == first
    with pytest.raises(ModelsError, match="nothing was promoted before"):
        models.rollback(store, "tiny")


def test_a_rollback_to_a_version_that_is_gone_changes_nothing(two):
    store, first, second = two
    models.promote(store, "tiny", second.version)
    store.delete(f"{first.folder}manifest.json")

    with pytest.raises(ModelsError, match=rf"no version '{first.version}' of 'tiny'"):
        models.rollback(store, "tiny")
    assert models.current(store, "tiny") == second


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"format": 9, "history": []}', b'{"format": 1, "history": [{}]}'])
def test_a_damaged_pointer_is_named(two, content):
    store, *_ = two
    store.put("tiny/current.json", content)

    with pytest.raises(ModelsError, match=r"tiny/current\.json: damaged .*promote a version again"):
        models.current(store, "tiny")


def test_what_is_promoted_is_installed_with_graphs_of_their_own_numbers(two, tmp_path):
    store, first, second = two
    repository = tmp_path / "repository"
    sync(store, repository)
    files = {path.relative_to(repository).as_posix(): path.stat().st_mtime_ns for path in repository.rglob("*")}

    sync(store, repository)
    assert files == {path.relative_to(repository).as_posix(): path.stat().st_mtime_ns for path in repository.rglob("*")}
    models.promote(store, "tiny", second.version)
    sync(store, repository)
    assert installed(repository, "tiny") == second.version
    for model in ("flow", "psnr", "tiny_encode", "tiny_decode"):
        (graph,) = repository.glob(f"{model}/*/model.onnx")
        assert (graph.relative_to(repository).as_posix() in files) == (model in ("flow", "psnr"))
        assert f"versions: [{graph.parent.name}]" in (repository / model / "config.pbtxt").read_text()
        assert f'"{model}"\n    model_version: {graph.parent.name}\n' in (repository / "tiny/config.pbtxt").read_text()
    models.rollback(store, "tiny")
    sync(store, repository)
    assert installed(repository, "tiny") == first.version


def test_a_deployment_that_is_not_promoted_any_more_is_removed(two, tmp_path):
    store, *_ = two
    sync(store, tmp_path / "repository")
    store.delete("tiny/current.json")
    sync(store, tmp_path / "repository")

    assert not list((tmp_path / "repository").iterdir())


TAMPERED = {
    "a graph": lambda store, folder: store.put(f"{folder}encode.onnx", b"other weights"),
    "a calibration": lambda store, folder: store.put(f"{folder}calibration.json", b"{}"),
    "a file that is gone": lambda store, folder: store.delete(f"{folder}decode.onnx"),
    "code": lambda store, folder: store.put(f"{folder}1/model.py", b"import os"),
    "a configuration": lambda store, folder: store.put(f"{folder}config.pbtxt", b'backend: "python"'),
}


@pytest.mark.parametrize("change", TAMPERED)
def test_a_version_that_was_tampered_with_is_refused_and_what_was_served_stays(two, tmp_path, change):
    store, _, second = two
    sync(store, tmp_path / "repository")
    models.promote(store, "tiny", second.version)
    TAMPERED[change](store, second.folder)
    before = snapshot(tmp_path / "repository")

    with pytest.raises(ModelsError, match=r"changed since it was published|does not belong there"):
        sync(store, tmp_path / "repository")
    assert snapshot(tmp_path / "repository") == before


def test_a_manifest_that_was_rewritten_with_the_graphs_names_another_version(two, tmp_path):
    store, first, _ = two
    table = json.loads(store.get(f"{first.folder}manifest.json"))
    evil = b"other weights"
    table["files"]["encode.onnx"] = hashlib.sha256(evil).hexdigest()
    store.put(f"{first.folder}encode.onnx", evil)
    store.put(f"{first.folder}manifest.json", json.dumps(table).encode())

    with pytest.raises(ModelsError, match="its files are those of version"):
        sync(store, tmp_path / "repository")


def test_with_a_key_only_what_its_owner_signed_is_installed(releases, keys, tmp_path):
    store = open_store(str(tmp_path / "models"))
    (ours, public), (theirs, _) = keys("ours"), keys("theirs")
    signed, unsigned, foreign = (each.add(store, key) for each, key in zip(releases, (ours, None, theirs), strict=True))
    assert [each.signed for each in (signed, unsigned, foreign)] == [True, False, True]

    for version, trouble in ((unsigned, "not signed; publish the"), (foreign, "not signed with the private key")):
        models.promote(store, "tiny", version.version)
        with pytest.raises(SignatureError, match=trouble):
            sync(store, tmp_path / "repository", trust=public)
        assert installed(tmp_path / "repository", "tiny") is None
    models.promote(store, "tiny", signed.version)
    sync(store, tmp_path / "repository", trust=public)
    assert installed(tmp_path / "repository", "tiny") == signed.version


def test_a_signature_covers_the_records_too(releases, keys, tmp_path):
    store = open_store(str(tmp_path / "models"))
    private, public = keys("ours")
    version = releases[0].add(store, private)
    models.promote(store, "tiny", version.version)
    table = json.loads(store.get(f"{version.folder}manifest.json"))
    store.put(f"{version.folder}manifest.json", json.dumps(table | {"published": "2026-01-01"}).encode())

    with pytest.raises(SignatureError, match="changed"):
        sync(store, tmp_path / "repository", trust=public)


def test_a_key_that_is_none_is_named(releases, keys, tmp_path):
    store = open_store(str(tmp_path / "models"))
    (tmp_path / "key.pem").write_text("no key")
    with pytest.raises(SignatureError, match=r"key\.pem: not the PEM file of a private"):
        releases[0].add(store, tmp_path / "key.pem")
    models.promote(store, "tiny", releases[0].add(store, keys("ours")[0]).version)
    with pytest.raises(SignatureError, match=r"key\.pem: not the PEM file of a public"):
        sync(store, tmp_path / "repository", trust=tmp_path / "key.pem")


def test_the_verbs_promote_show_and_roll_back(two, tmp_path, capsys):
    store, first, second = two

    assert main(["promote", store.root, "tiny", second.version]) == 0
    assert main(["versions", store.root]) == 0
    told = capsys.readouterr().out
    assert f"* tiny                 {second.version}" in told
    assert f"  tiny                 {first.version}" in told
    assert main(["rollback", store.root, "tiny", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"deployment": "tiny", "version": first.version}
    assert main(["sync", store.root, str(tmp_path / "repository")]) == 0
    assert installed(tmp_path / "repository", "tiny") == first.version
    assert main(["promote", store.root, "tiny", "nothing"]) == 1
    assert main(["rollback", store.root, "nobody"]) == 1
    assert "nothing was promoted before" in capsys.readouterr().err


def snapshot(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
