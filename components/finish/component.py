"""Whatever happens: a pipeline that failed is on record where people look."""

from kfp import dsl

from components import component


@component
def finish(experiment: str, status: dsl.PipelineTaskFinalStatus) -> None:
    """Record a failed pipeline in MLflow, as a failed run beside the experiment's others; nothing where it succeeded.

    Args:
        experiment: its name.
        status: how the pipeline ended; given by Kubeflow.
    """
    from hrm.tracking import log_failure

    if status.state != "SUCCEEDED":
        log_failure(
            experiment,
            pipeline=status.pipeline_job_resource_name,
            step=status.pipeline_task_name,
            message=status.error_message or f"ended as {status.state}",
        )
