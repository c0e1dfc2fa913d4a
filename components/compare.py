"""Pipeline step that puts the evaluations of a study side by side."""

from kfp import dsl

from components.image import BASE_IMAGE


@dsl.component(base_image=BASE_IMAGE, install_kfp_package=False)
def compare(
    study: str,
    variants: list,
    evaluations: dsl.Input[list[dsl.Artifact]],
    table: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    report: dsl.Output[dsl.HTML],
):
    """Writes one table, one page and the mean of each figure over the seeds.

    Args:
        study: Name of the study; stmae/evaluation/study.py has them all.
        variants: The evaluated variants, each with `name`, `columns` and `config`; empty where tables are compared.
        evaluations: Evaluations of the variants, or tables that this step made from some of them.
        table: Folder with `study.json`.
        metrics: The mean over the seeds of each figure of each variant.
        report: One self-contained page.
    """
    from pathlib import Path
    from statistics import fmean

    from stmae.evaluation.study_table import Table
    from stmae.report.study import study_report

    compared = Table.of(study, variants, {evaluation.uri: Path(evaluation.path) for evaluation in evaluations})
    compared.save(Path(table.path))
    for name, values in compared.by_seed().items():
        metrics.log_metric(name, fmean(values))
    study_report(compared, Path(report.path))
