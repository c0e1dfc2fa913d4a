"""The measurement for a machine with a GPU: it runs to its end on a CPU, and cut short it says so."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tiny import moving_blobs

from stmae import config

ROOT = Path(__file__).resolve().parents[2]
ABSENT = ("pyarrow", "pandas", "kfp", "tritonclient", "boto3", "ray")
"""Packages that the machine does not have."""
TINY = ("model.size=32", "model.width=8", "train.steps=4", "train.pretrain_fraction=1")
HEIGHT, WIDTH, TRAIN_FRAMES, TEST_FRAMES = 48, 64, 24, 20


def gpu(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def write_ped2(root: Path) -> Path:
    """Writes a folder in the circulated layout of Ped2: three training and two test clips of moving blobs."""
    ranges = []
    for split, clips, frames in (("training", 3, TRAIN_FRAMES), ("testing", 2, TEST_FRAMES)):
        for clip in range(1, clips + 1):
            folder, masks = root / f"ped2/{split}/frames/{clip:02d}", root / f"ped2/testing/masks/{clip:02d}"
            folder.mkdir(parents=True)
            for index, image in enumerate(moving_blobs(frames, 64, seed=clip)):
                cv2.imwrite(str(folder / f"{index:03d}.jpg"), image[:HEIGHT, :WIDTH])
            if split == "testing":
                masks.mkdir(parents=True)
                for index in range(frames):
                    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
                    mask[10:30, 10:30] = 255 * (index >= frames // 2)
                    cv2.imwrite(str(masks / f"{index:03d}.png"), mask)
                ranges.append(f"TestVideoFile{{end+1}}.gt_frame = [{frames // 2 + 1}:{frames}];")
    (root / "ped2/UCSDped2.m").write_text("\n".join(ranges))
    return root


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that travels, made of a small Ped2."""
    data, out = write_ped2(tmp_path_factory.mktemp("ucsd")), tmp_path_factory.mktemp("travels") / ".gpu"
    done = gpu("folder", "--data-root", data, "--out", out)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def measured(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`gpu.json` of a run where nothing can be imported that the machine does not have."""
    modules = tmp_path_factory.mktemp("absent")
    for name in ABSENT:
        (modules / f"{name}.py").write_text(f"raise ImportError('no {name} on the machine')\n")
    out = tmp_path_factory.mktemp("out")
    overrides = [part for value in TINY for part in ("--set", value)]
    options = ("--data", folder, "--out", out, "--seeds", "1,2", "--seconds", 900, *overrides)
    environment = {"PYTHONPATH": str(modules), "OMP_NUM_THREADS": "1", "STMAE_CHECKPOINTS": str(out / "elsewhere")}
    done = gpu("run", *options, **environment)
    assert done.returncode == 0, done.stderr + done.stdout
    assert [path.name for path in out.iterdir()] == ["gpu.json"]
    return out / "gpu.json"


def results(measured: Path, out: Path) -> dict[str, Any]:
    done = gpu("record", measured, "--out", out)
    assert done.returncode == 0, done.stderr
    return {path.stem: json.loads(path.read_text()) for path in out.iterdir()}


def test_the_folder_holds_the_footage_as_grey_webp_with_its_truth(folder: Path) -> None:
    with tarfile.open(folder / "ped2" / "ped2-webp-q90.tar") as archive:
        names = archive.getnames()
        frame = archive.extractfile("testing/frames/02/019.webp")
        assert frame is not None
        image = cv2.imdecode(np.frombuffer(frame.read(), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert len(names) == 3 * TRAIN_FRAMES + 2 * TEST_FRAMES
    assert image.shape == (HEIGHT, WIDTH)
    truth = {path.relative_to(folder / "ped2").as_posix() for path in folder.rglob("*.[mp]*") if path.is_file()}
    assert truth == {"UCSDped2.m", *(f"testing/masks/{c}/{i:03d}.png" for c in ("01", "02") for i in range(20))}


def test_frames_that_are_packed_already_travel_as_they_are(tmp_path: Path) -> None:
    data = write_ped2(tmp_path / "ucsd")
    (data / "ped2" / "ped2-webp-q90.tar").write_bytes(b"packed")
    done = gpu("folder", "--data-root", data, "--out", tmp_path / ".gpu")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / ".gpu" / "ped2" / "ped2-webp-q90.tar").read_bytes() == b"packed"


def test_a_missing_data_set_is_named(tmp_path: Path) -> None:
    done = gpu("folder", "--data-root", tmp_path / "nowhere", "--out", tmp_path / ".gpu")
    assert done.returncode == 2
    assert "nowhere" in done.stderr


def test_a_machine_without_the_folder_says_how_to_make_it(tmp_path: Path) -> None:
    done = gpu("run", "--data", tmp_path / ".gpu", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "make gpu-folder" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_stage_that_fails_is_told_with_its_error_and_others_go_on(folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / ".gpu"
    shutil.copytree(folder, broken)
    (broken / "ped2" / "ped2-webp-q90.tar").write_bytes(b"cut")
    overrides = [part for value in TINY for part in ("--set", value)]
    done = gpu("run", "--data", broken, "--out", tmp_path, "--seeds", 1, *overrides, OMP_NUM_THREADS="1")
    assert done.returncode == 1
    stages = json.loads((tmp_path / "gpu.json").read_text())["stages"]
    assert stages["prepare"]["unfinished"].startswith("failed: unpack: ReadError: ")
    assert list(stages) == ["prepare", "serving"]
    assert stages["serving"]["complete"]


@pytest.mark.slow
def test_every_stage_comes_to_its_end_and_becomes_three_results_files(measured: Path, tmp_path: Path) -> None:
    stages = json.loads(measured.read_text())["stages"]
    assert list(stages) == ["prepare", "serving", "step", "seed-1", "seed-2"]
    assert all(stage["complete"] and stage["unfinished"] is None for stage in stages.values())
    files = results(measured, tmp_path)
    assert files.keys() == {"ped2-32", "training-gpu", "serving-gpu"}
    for name, file in files.items():
        assert file["name"] == name
        assert file["command"].startswith("python3 -m benchmarks.gpu run")
        assert {"commit", "when", "machine", "versions"} <= file.keys()
        assert "unfinished" not in file["figures"]
    accuracy = files["ped2-32"]["figures"]
    assert accuracy["seed"] == [1, 2]
    assert accuracy["steps_adversarial"] == [4, 4]
    assert all(type(count) is int for count in accuracy["frames"])
    assert accuracy["frames"] == [2 * (TEST_FRAMES - 4)] * 2
    assert all(0 <= auc <= 1 for auc in accuracy["combined_auc_micro_raw"])
    training = files["training-gpu"]["figures"]
    assert len(training["ms_step_side_by_side"]) == 2
    assert min(training[f"ms_{name}"] for name in ("step", "step_eager", "step_fp32", "reading")) > 0
    assert training["windows_per_s"] == pytest.approx(1000 * training["batch"] / training["ms_step"], rel=0.01)
    assert training["largest_loss_difference"] == training["largest_loss_difference_eager"] == 0
    serving = files["serving-gpu"]["figures"]
    assert min(serving["fps_per_clip_fp32"], serving["fps_segment_fp32"], serving["fps_flow_bf16"]) > 0


@pytest.mark.slow
def test_figures_of_other_code_are_not_recorded(measured: Path, tmp_path: Path) -> None:
    other = json.loads(measured.read_text()) | {"code": "0" * 64}
    (tmp_path / "gpu.json").write_text(json.dumps(other))
    done = gpu("record", tmp_path / "gpu.json", "--out", tmp_path / "results")
    assert done.returncode == 1
    assert "check out the commit" in done.stderr
    assert not (tmp_path / "results").exists()


def test_a_stage_without_an_end_is_told_and_its_figures_are_not_made_up(measured: Path, tmp_path: Path) -> None:
    content = json.loads(measured.read_text())
    stopped = content["stages"]["seed-2"]
    content["stages"]["seed-2"] = stopped | {"complete": False, "unfinished": "stopped after 9 s: evaluation"}
    content["stages"]["serving"]["figures"] = {}
    (tmp_path / "gpu.json").write_text(json.dumps(content))
    files = results(tmp_path / "gpu.json", tmp_path / "results")
    assert files.keys() == {"ped2-32", "training-gpu"}
    assert files["ped2-32"]["figures"]["seed"] == [1]
    assert files["ped2-32"]["figures"]["unfinished"] == ["seed-2: stopped after 9 s: evaluation"]


def test_a_run_whose_time_is_up_says_what_it_was_doing(folder: Path, tmp_path: Path) -> None:
    done = gpu("run", "--data", folder, "--out", tmp_path, "--seconds", "0.5")
    assert done.returncode == 1
    stages = json.loads((tmp_path / "gpu.json").read_text())["stages"]
    assert list(stages) == ["prepare", "serving"]
    for stage in stages.values():
        assert stage["unfinished"].startswith("stopped after 0 s: ")
        assert stage["figures"] == {}
    recorded = gpu("record", tmp_path / "gpu.json", "--out", tmp_path / "results")
    assert recorded.returncode == 1
    assert not (tmp_path / "results").exists()


def test_a_training_that_does_not_fit_is_shortened_and_says_so(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.gpu import training
    from benchmarks.gpu.stages import Notes

    settings = config.load("ped2", [*TINY[:2], "train.steps=90", "train.pretrain_fraction=0.1"])
    training.prepare_dataset(Notes(tmp_path / "prepare.json"), settings, folder, tmp_path)
    training.train_seed(Notes(tmp_path / "seed-1.json"), settings, tmp_path, seconds=0.1)
    found = json.loads((tmp_path / "seed-1.json").read_text())
    assert found["shortened"].startswith("1 of 9 steps of pretraining and 1 of 90 of adversarial training")
    assert (found["figures"]["steps_pretraining"], found["figures"]["steps_adversarial"]) == (1, 1)
    assert 0 <= found["figures"]["combined_auc_micro_raw"] <= 1


@pytest.mark.parametrize(("wanted", "fit", "steps"), [(60, 17.9, 17), (60, 100.0, 60), (60, 0.2, 1), (60, -3.0, 1)])
def test_as_many_steps_are_trained_as_fit_and_at_least_one(
    wanted: int, fit: float, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.gpu.training import fitting

    assert fitting(wanted, fit) == steps
