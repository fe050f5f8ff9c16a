"""Raw puzzles to a dataset."""

from kfp import dsl

from components import component


@component
def build(build: dict, raw: dsl.Input[dsl.Dataset], dataset: dsl.Output[dsl.Dataset]) -> None:
    """Build the dataset that a model is trained and tested on.

    Args:
        build: the settings' block of this stage.
        raw: the raw puzzles.
        dataset: the puzzles, each stored once, and the table of their augmented variants.
    """
    from pathlib import Path

    from hrm.config import BuildSettings
    from hrm.stages.build import build as built
    from hrm.stages.handover import settings_of
    from hrm.stages.metadata import of_dataset

    built(settings_of(BuildSettings, build), Path(raw.path), Path(dataset.path))
    dataset.metadata.update(of_dataset(Path(dataset.path)))
