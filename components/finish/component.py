"""Whatever happens: a pipeline that failed is on record where people look."""

from kfp import dsl

from components import component


@component
def finish(experiment: str, run_id: str, status: dsl.PipelineTaskFinalStatus) -> None:
    """Record in MLflow that a pipeline registered no model, as a failed run beside the experiment's others.

    Args:
        experiment: its name.
        run_id: of the pipeline's run.
        status: how the pipeline ended; given by Kubeflow.
    """
    from hrm.tracking import log_failure

    look = f"see `python -m pipelines status {run_id}`"
    log_failure(experiment, run_id, f"{status.error_message or 'no model was registered'}; {look}")
