"""Studies: their variants, and a tiny one that really runs."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from runs import ROOT, SMALL, run_pipeline, small

from pipelines.local import run_study
from pipelines.request import Request
from stmae import config
from stmae.config import ConfigError
from stmae.datasets.readers import resolve
from stmae.evaluation.study import STUDIES, variants
from stmae.evaluation.study_table import FIGURES, Result, Table
from stmae.report.study import study_report

# The tiny study has as many steps as three runs of the training pipeline.
pytestmark = pytest.mark.timeout(900)

TINY = variants(config.load("walkway", SMALL), "encoders", [1, 2])


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Two variants with two seeds, run as a local pipeline."""
    workspace = tmp_path_factory.mktemp("workspace")
    request = Request.of("walkway", SMALL, "encoders", "1 2")
    data_root = str(workspace / "datasets" / "walkway")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("STMAE_CHECKPOINTS", str(workspace / "checkpoints"))
        environment.setenv("STMAE_FLOW", str(workspace / "flow"))
        path = run_study(request, data_root=data_root, workspace=workspace)
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


@pytest.mark.slow
def test_flow_is_kept_for_the_next_run_and_not_twice(summary: dict[str, Any]) -> None:
    run = Path(summary["run"])
    used = sorted(run.glob("stmae-study-*/extract-flow/flow/*/*/*.npy"))
    kept = sorted((run.parents[2] / "flow").glob("*/*/*.npy"))
    assert used
    assert [path.name for path in used] == [path.name for path in kept]
    assert all(one.samefile(other) for one, other in zip(used, kept, strict=True))


@pytest.mark.slow
def test_the_table_holds_what_each_variant_s_own_evaluation_says(summary: dict[str, Any]) -> None:
    assert [(row["name"], row["seed"]) for row in summary["variants"]] == [
        ("frozen", 1),
        ("frozen", 2),
        ("tuned", 1),
        ("tuned", 2),
    ]
    made = {(one.name, one.seed): one for one in TINY}
    for row in summary["variants"]:
        evaluation = json.loads(Path(row["evaluation"]).read_text(encoding="utf-8"))
        assert evaluation["config"] == json.loads(resolve(made[row["name"], row["seed"]].config).to_json())
        assert row["figures"] == evaluation["figures"]
        assert list(row["columns"].items()) == list(made[row["name"], row["seed"]].columns.items())
    tuned = [row["figures"]["combined_auc_micro_raw"] for row in summary["variants"][2:]]
    assert summary["figures"]["tuned_combined_auc_micro_raw"] == tuned
    assert summary["seeds"] == [1, 2]


@pytest.mark.slow
def test_what_variants_share_is_computed_once(summary: dict[str, Any]) -> None:
    steps = summary["seconds_by_step"]
    assert sorted(step for step in steps if step.startswith(("prepare", "extract", "pretrain"))) == [
        "extract-flow",
        "prepare-dataset",
        "pretrain-appearance (seed 1)",
        "pretrain-appearance (seed 2)",
        "pretrain-motion (seed 1)",
        "pretrain-motion (seed 2)",
    ]
    assert len([step for step in steps if step.startswith("train-adversarial")]) == 4
    assert "evaluate (tuned seed 2)" in steps


@pytest.mark.slow
def test_the_study_and_each_evaluation_are_pages_that_request_nothing(summary: dict[str, Any]) -> None:
    pages = [Path(summary["run"]) / f"{name}-seed{seed}.html" for name in ("frozen", "tuned") for seed in (1, 2)]
    assert [row["evaluation_report"] for row in summary["variants"]] == [str(page) for page in pages]
    study = Path(summary["study_report"])
    assert study == Path(summary["run"]) / "study.html"
    for page in (study, *pages):
        text = page.read_text(encoding="utf-8")
        assert text.startswith("<!doctype html>")
        assert "http://" not in text
        assert "https://" not in text
    assert all(f'<th scope="row">{name}</th>' in study.read_text(encoding="utf-8") for name in ("frozen", "tuned"))


@pytest.mark.slow
def test_the_results_file_has_a_list_by_seed_and_the_command_that_was_typed(
    summary: dict[str, Any], tmp_path: Path
) -> None:
    typed = "make pipeline-run PIPELINE=encoders DATASET=walkway SEEDS='1 2'"
    source = str(Path(summary["run"]) / "summary.json")
    command = [sys.executable, "benchmarks/record.py", "pipeline", source, "--out", str(tmp_path), "--command", typed]
    subprocess.run(command, cwd=ROOT, check=True)
    result = json.loads((tmp_path / "encoders-walkway.json").read_text(encoding="utf-8"))
    assert result["command"] == typed
    assert result["figures"]["seed"] == [1, 2]
    assert result["figures"]["seconds"] == summary["seconds"]
    assert result["figures"]["frozen_psnr_auc_macro"] == summary["figures"]["frozen_psnr_auc_macro"]


@pytest.mark.slow
def test_the_results_of_seeds_have_their_learning_curves(summary: dict[str, Any], tmp_path: Path) -> None:
    variants = [row for row in summary["variants"] if row["name"] == "tuned"]
    source = tmp_path / "summary.json"
    source.write_text(json.dumps(summary | {"study": "seeds", "variants": variants}), encoding="utf-8")
    command = [sys.executable, "benchmarks/record.py", "pipeline", str(source), "--out", str(tmp_path)]
    subprocess.run([*command, "--command", "make"], cwd=ROOT, check=True)
    figures = json.loads((tmp_path / f"{summary['config']}.json").read_text(encoding="utf-8"))["figures"]
    for curve, row in zip(figures["calibration_psnr_by_tenth"], variants, strict=True):
        assert len(curve) == 8
        assert curve[-1] == pytest.approx(row["figures"]["calibration_psnr"], abs=3)


@pytest.mark.slow
def test_a_failure_names_the_turn_and_stops_the_study_and_each_walkway_has_footage_of_its_own(tmp_path: Path) -> None:
    options = ("--pipeline", "seeds", "--seeds", "4 5", *small("train.learning_rate=1e30", "name=gate"))
    run = run_pipeline(tmp_path, *options)
    assert run.returncode == 1
    assert re.search(r"step pretrain-\w+ \(seed 4\) failed", run.stderr)
    assert "training diverged" in run.stderr
    assert "seed 5" not in run.stderr
    assert (tmp_path / "datasets" / "gate" / "training").is_dir()


@pytest.mark.parametrize(
    ("options", "valid"),
    [
        (("--pipeline", "ablaton"), "ablation"),
        (("--pipeline", "seeds", "--seeds", "1,two"), "1,2,3"),
        (("--pipeline", "seeds", "--seeds", "1,1"), "each once"),
        (("--pipeline", "seeds", "--seeds", ""), "1,2,3"),
    ],
)
def test_a_study_or_seeds_that_do_not_exist_are_bad_usage(options: tuple[str, ...], valid: str, tmp_path: Path) -> None:
    run = run_pipeline(tmp_path, *options)
    assert run.returncode == 2
    assert valid in run.stderr
    assert not (tmp_path / "runs").exists()


def test_an_unknown_study_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="seeds, ablation, sensitivity"):
        variants(config.load("ped2"), "ablaton", [1])


def test_the_docs_have_a_command_for_each_study() -> None:
    page = (ROOT / "docs" / "pipeline.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^make pipeline-run PIPELINE=(\w+)", page, re.MULTILINE)) == set(STUDIES)


def test_the_ablation_has_the_eight_models_of_the_papers_table() -> None:
    made = variants(config.load("ped2-cpu"), "ablation", [1])
    checks = {one.name: "".join("x" if value else "-" for value in one.columns.values()) for one in made}
    parts = ["appearance stream", "motion stream", "spatial memory", "temporal memory"]
    assert list(made[0].columns) == [*parts, "motion loss", "compactness loss", "adversarial loss"]
    assert checks == {
        "appearance": "x-x-xxx",
        "motion": "-x-xxxx",
        "no-memory": "xx--xxx",
        "full": "xxxxxxx",
        "no-motion-loss": "xxxx-xx",
        "no-compactness": "xxxxx-x",
        "no-adversary": "xxxxxx-",
        "no-motion-loss-no-compactness": "xxxx--x",
    }
    assert made[3].config == config.load("ped2-cpu")


def test_sensitivity_is_a_grid_of_n_and_k() -> None:
    made = variants(config.load("ped2-cpu"), "sensitivity", [1, 2])
    grid = {(one.config.model.memory_items, one.config.model.top_k) for one in made}
    assert grid == {(items, top_k) for items in (8, 16, 32, 64) for top_k in (0, 2, 4, 8, 16)}
    assert len(made) == 2 * len(grid)
    assert {one.columns["k"] for one in made if one.config.model.top_k == 0} == {"no top-k"}


def test_a_quarter_of_the_steps_is_as_much_pretraining_as_all_of_them() -> None:
    full, *_, quarter = variants(config.load("ped2-cpu", ["train.steps=2006"]), "effects", [1])
    assert (full.config.train.steps, quarter.config.train.steps) == (2006, 501)
    assert full.config.train.pretrain_steps == quarter.config.train.pretrain_steps


def test_each_effect_leaves_out_one_thing() -> None:
    full, *others = variants(config.load("ped2-cpu"), "effects", [1])
    assert full.config == config.load("ped2-cpu")
    whole = dataclasses.asdict(full.config.train)
    for one in others:
        changed = {name: value for name, value in dataclasses.asdict(one.config.train).items() if value != whole[name]}
        assert len(changed) == 1 or changed.keys() == {"steps", "pretrain_fraction"}, one.name
        assert one.config == dataclasses.replace(full.config, train=one.config.train)
    assert len({one.config for one in others}) == 4


@pytest.mark.parametrize("override", ["train.lambda_adversarial=0", "train.steps=1 train.pretrain_fraction=1"])
def test_a_study_whose_variants_would_not_differ_is_refused(override: str) -> None:
    with pytest.raises(ConfigError, match=r"full and .* are the same model with these settings"):
        variants(config.load("ped2-cpu", override.split()), "effects", [1])


AUCS = ("combined_auc_micro_raw", "psnr_auc_micro_raw", "flow_magnitude_auc_micro_raw")


def test_sensitivity_is_drawn_as_a_curve_for_each_k(tmp_path: Path) -> None:
    page = study_report(_table("sensitivity", AUCS), tmp_path / "study.html").read_text(encoding="utf-8")
    charts = _charts(page)
    assert len(charts) == 2, "the combined score and PSNR"
    for chart in charts:
        assert len(re.findall(r'id="values-\d"', chart)) == 5
        assert all(f">{name}<" in chart for name in ("k = 2", "k = 16", "no top-k", "8", "64"))


def test_the_bars_of_a_study_name_its_variants_and_the_baseline(tmp_path: Path) -> None:
    table = _table("ablation", AUCS)
    (chart,) = _charts(study_report(table, tmp_path / "study.html").read_text(encoding="utf-8"))
    assert all(f">{name}<" in chart for name in (*table.rows(), "combined", "flow magnitude (the baseline)"))


def test_footage_without_labels_has_a_table_and_no_chart(tmp_path: Path) -> None:
    page = study_report(_table("ablation", ()), tmp_path / "study.html").read_text(encoding="utf-8")
    assert "30.50" in page
    assert not _charts(page)
    assert "Without labels there is no AUC" in page


@pytest.mark.parametrize("study", STUDIES)
def test_each_study_has_a_page_with_its_variants_and_headings_in_words(study: str, tmp_path: Path) -> None:
    table = _table(study, (*AUCS, *FIGURES))
    page = study_report(table, tmp_path / "study.html").read_text(encoding="utf-8")
    assert all(f'<th scope="row">{name}</th>' in page for name in table.rows())
    assert _charts(page)
    heads = re.findall(r'<th class="number">(.*?)</th>', page)
    assert len(heads) == len(table.variants[0].columns) + len(FIGURES)
    assert not [head for head in heads if "_" in head]


def test_a_cell_has_the_mean_over_the_seeds_and_each_of_them(tmp_path: Path) -> None:
    table = _table("seeds", ("combined_auc_micro_raw",))
    one = table.variants[0]
    second = dataclasses.replace(one, seed=2, figures={"combined_auc_micro_raw": 0.95, "calibration_psnr": 31.5})
    both = dataclasses.replace(table, variants=[one, second])
    page = study_report(both, tmp_path / "study.html").read_text(encoding="utf-8")
    for mean, *each in (("0.9250", "0.9000", "0.9500"), ("31.00", "30.50", "31.50")):
        seeds = "".join(f'<span class="seed">{value}</span>' for value in each)
        assert f">{mean}{seeds}<" in page


def test_the_name_of_a_configuration_cannot_become_markup(tmp_path: Path) -> None:
    table = dataclasses.replace(_table("seeds", AUCS), config="<b>ped2")
    page = study_report(table, tmp_path / "study.html").read_text(encoding="utf-8")
    assert "Seeds: &lt;b&gt;ped2" in page
    assert "<b>ped2" not in page


def _charts(page: str) -> list[str]:
    return [base64.b64decode(data).decode() for data in re.findall(r"data:image/svg\+xml;base64,([^\"]+)", page)]


def _table(study: str, aucs: tuple[str, ...]) -> Table:
    name = "walkway-scenes" if study == "scenes" else "ped2-cpu"
    results = [
        Result(
            name=one.name,
            columns=one.columns,
            row=row,
            seed=1,
            figures={"calibration_psnr": 30.5, **dict.fromkeys(aucs, 0.9 + row / 1000)},
            evaluation="",
        )
        for row, one in enumerate(variants(config.load(name), study, [1]))
    ]
    return Table(study=study, config=name, variants=results)
