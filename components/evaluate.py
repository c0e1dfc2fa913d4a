"""Pipeline step that scores the test clips, fits the calibration on normal clips, and reports."""

from kfp import dsl

from components.image import BASE_IMAGE


@dsl.component(base_image=BASE_IMAGE, install_kfp_package=False)
def evaluate(
    config: str,
    dataset_digest: str,
    model_digest: str,
    dataset: dsl.Input[dsl.Dataset],
    flow: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    evaluation: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    roc: dsl.Output[dsl.ClassificationMetrics],
    report: dsl.Output[dsl.HTML],
):
    """Evaluates the last checkpoint.

    Args:
        config: The resolved configuration as JSON.
        dataset_digest: Digest of the dataset; part of the cache key.
        model_digest: Digest of the model's weights; part of the cache key.
        dataset: The prepared dataset.
        flow: The flow of the dataset's clips.
        model: The trained model.
        evaluation: `evaluation.json`, `scores.npz` and `calibration.json`; where there are several scenes,
            `calibration-<scene>.json` for each of them.
        metrics: The figures of the evaluation.
        roc: The ROC curve of the combined score over all test frames; empty where there are no labels.
        report: One self-contained page.
    """
    from pathlib import Path

    from stmae.config import from_json
    from stmae.datasets.manifest import Manifest
    from stmae.evaluation.evaluate import evaluate
    from stmae.report.evaluation import evaluation_report, roc_points

    manifest = Manifest.load(Path(dataset.path))
    result = evaluate(from_json(config), manifest, Path(flow.path), Path(model.path), Path(evaluation.path))
    for name, value in result.figures.items():
        metrics.log_metric(name, value)
    if result.roc:
        roc.log_roc_curve(*roc_points(result.roc))
    evaluation_report(Path(evaluation.path), Path(dataset.path), Path(report.path))
