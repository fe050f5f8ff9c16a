"""A dataset to a trained model, on the GPUs of one node."""

from kfp import dsl

from components import component


@component
def train(
    experiment: str,
    train: dict,
    dataset: dsl.Input[dsl.Dataset],
    model: dsl.Output[dsl.Model],
) -> None:
    """Train the model in one process a GPU, as torchrun does; a retried step goes on from the mirrored checkpoint.

    Args:
        experiment: its name; the run in MLflow has it.
        train: the settings' block of this stage.
        dataset: what is trained on.
        model: the last checkpoint, the curves, and the record of what they were made from.
    """
    from pathlib import Path

    from hrm.config import TrainSettings
    from hrm.stages.handover import TRAINED, hand_over, settings_of, workspace
    from hrm.stages.metadata import of_training
    from hrm.stages.train import train as trained

    with workspace() as run:
        trained(settings_of(TrainSettings, train), Path(dataset.path), run, experiment)
        hand_over(run, TRAINED, Path(model.path))
    model.metadata.update(of_training(Path(model.path)))
