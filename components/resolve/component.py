"""The first step: the settings of an experiment, checked before anything is spent."""

from typing import NamedTuple

from components import component


@component
def resolve(
    experiment: str,
    overrides: list,
    catalogue: dict,
    gpus: str,
    nodes: int,
    register_as: str,
    minimum_scores: dict,
    mirror: str,
    seed: int = -1,
) -> NamedTuple(
    "Settings", sources=dict, build=dict, train=dict, evaluate=dict, vote=dict, register=dict, evaluation_gpus=str
):
    """Check an experiment's settings, on a CPU and in seconds, and hand each later step its own block.

    A step depends on its own block alone: another voting setting leaves the cached dataset in place.

    Args:
        experiment: a name under `experiments:` in params.yaml.
        overrides: settings to change, each as KEY=VALUE.
        catalogue: content of a params.yaml; the image's own when empty.
        gpus: of a node, as text; 0 trains on CPUs.
        nodes: that train together.
        register_as: name of the registered model; the experiment's when empty.
        minimum_scores: that a model must reach to be registered, by name.
        mirror: s3://bucket/prefix for checkpoints, from which a retried training goes on; none when empty.
        seed: of the training; the settings' when negative.

    Returns:
        A block of settings for each stage, and the GPUs that the evaluation takes, as text.
    """
    from hrm.stages.resolve import processes_of
    from hrm.stages.resolve import resolve as resolved

    blocks = resolved(
        experiment,
        [*overrides, *([f"train.seed={seed}"] if seed >= 0 else [])],
        catalogue=catalogue,
        processes=processes_of(gpus, nodes),
        register_as=register_as,
        minimum=minimum_scores,
        mirror=mirror,
    ).model_dump(mode="json", by_alias=True, exclude={"name"}, exclude_none=True)
    stages = ("sources", "build", "train", "evaluate", "vote", "register")
    return (*(blocks[stage] for stage in stages), str(min(1, int(gpus))))
