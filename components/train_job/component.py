"""A dataset to a trained model, on the GPUs of several nodes."""

from kfp import dsl

from components import component


@component
def train_job(
    experiment: str,
    train: dict,
    dataset: dsl.Input[dsl.Dataset],
    nodes: int,
    gpus: str,
    image: str,
    node_selector: dict,
    tolerations: list,
    run_id: str,
    model: dsl.Output[dsl.Model],
) -> None:
    """Train the model in a TrainJob of Kubeflow Trainer, whose log this step shows, and hand back what it leaves.

    A step that is killed finds its job again; one that is stopped deletes it. Data, checkpoints and results travel
    through the bucket of the setting `train.checkpoints.mirror`.

    Args:
        experiment: its name; the run in MLflow has it.
        train: the settings' block of this stage.
        dataset: what is trained on.
        nodes: pods that train together.
        gpus: of each, as text.
        image: of the pods.
        node_selector: labels of the machines they may run on.
        tolerations: of those machines' taints.
        run_id: of the pipeline's run, in which a step that is started again finds its job.
        model: the last checkpoint, the curves, and the record of what they were made from.
    """
    from pathlib import Path

    from hrm.cluster import Job, train_on_nodes
    from hrm.config import TrainSettings
    from hrm.stages.handover import TRAINED, hand_over, settings_of, workspace
    from hrm.stages.metadata import of_training

    places = {"node_selector": node_selector, "tolerations": tolerations}
    job = settings_of(Job, {"image": image, "nodes": nodes, "gpus_per_node": int(gpus), "run_id": run_id, **places})
    with workspace() as run:
        train_on_nodes(settings_of(TrainSettings, train), Path(dataset.path), run, experiment, job)
        hand_over(run, TRAINED, Path(model.path))
    model.metadata.update(of_training(Path(model.path)))
