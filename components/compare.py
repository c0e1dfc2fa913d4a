"""Step: put the evaluations of a study side by side."""

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
    """Write one table, one page and the mean of each figure over the seeds.

    Args:
        study: Its name, of stmae/evaluation/study.py.
        variants: Those that were evaluated, each with `name`, `columns` and `config`; tables need none.
        evaluations: Of its variants, or tables that this step made of some of them.
        table: `study.json`.
        metrics: A mean over the seeds for each figure of each variant.
        report: One self-contained page.
    """
    from pathlib import Path
    from statistics import fmean

    from stmae.evaluation.study import Table
    from stmae.report.study import study_report

    compared = Table.of(study, variants, {evaluation.uri: Path(evaluation.path) for evaluation in evaluations})
    compared.save(Path(table.path))
    for name, values in compared.by_seed().items():
        metrics.log_metric(name, fmean(values))
    study_report(compared, Path(report.path))
