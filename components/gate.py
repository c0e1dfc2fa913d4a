"""Pipeline step that decides whether a model is promoted: it must be no worse than the one that is served."""

from typing import NamedTuple

from kfp import dsl

from components.image import BASE_IMAGE


@dsl.component(base_image=BASE_IMAGE, install_kfp_package=False)
def gate(
    evaluation: dsl.Input[dsl.Artifact],
    models: str,
    auc_tolerance: float,
    alert_tolerance: float,
    report: dsl.Output[dsl.Markdown],
) -> NamedTuple("Decision", [("passed", bool)]):
    """Compares the evaluation of each deployment with that of its promoted version.

    Args:
        evaluation: The evaluation of the new model.
        models: URI of the models store.
        auc_tolerance: So much lower the frame AUC may be.
        alert_tolerance: By so large a fraction the alert rate on normal footage may rise, where there are no labels.
        report: The decision and its reasons.

    Returns:
        Whether the model may be promoted. A model that may not is published all the same.
    """
    import json
    from pathlib import Path

    from stmae.evaluation.gate import decide
    from stmae.serving.models import current
    from stmae.storage import open_store

    store = open_store(models)
    candidate = json.loads(Path(evaluation.path, "evaluation.json").read_text(encoding="utf-8"))

    def served(deployment: str) -> dict | None:
        version = current(store, deployment)
        return None if version is None else dict(version.evaluation)

    decision = decide(candidate, served, auc_tolerance=auc_tolerance, alert_tolerance=alert_tolerance)
    print(json.dumps({"event": "gate", "passed": decision.passed, "reasons": decision.reasons}))
    Path(report.path).write_text(decision.to_markdown(), encoding="utf-8")
    report.metadata["passed"] = decision.passed
    report.metadata["reasons"] = decision.reasons
    return (decision.passed,)
