"""Pipeline step that runs when all others have ended, whatever became of them, and says what became of them."""

from kfp import dsl

from components.image import BASE_IMAGE


@dsl.component(base_image=BASE_IMAGE, install_kfp_package=False)
def report_run(
    pipeline: str,
    dataset: str,
    run: str,
    kubeflow_api: str,
    status: dsl.PipelineTaskFinalStatus,
    report: dsl.Output[dsl.Markdown],
):
    """Prints one line of JSON and writes a page: which steps ran, which failed and why, where the artifacts are.

    Args:
        pipeline: Name of the pipeline.
        dataset: Name of the configuration.
        run: Identifier of the run.
        kubeflow_api: Address of the Kubeflow Pipelines API, which knows the states of the steps; empty for none.
        status: What Kubeflow says became of the other steps.
        report: The page.
    """
    from pathlib import Path

    from stmae.report.run import RunReport

    about = RunReport.of(
        pipeline=pipeline,
        dataset=dataset,
        run=run,
        state=status.state,
        error=status.error_message or "",
        artifact=report.uri,
        kubeflow_api=kubeflow_api,
    )
    print(about.to_json())
    Path(report.path).write_text(about.to_markdown(), encoding="utf-8")
