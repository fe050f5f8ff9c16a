"""The first step of a sweep: which runs it has, each checked before anything is spent."""

from components import component


@component
def plan(
    experiments: list,
    seeds: list,
    overrides: list,
    catalogue: dict,
    gpus: str,
    register_as: str,
    minimum_scores: dict,
    mirror: str,
    metric: str,
) -> list:
    """Each experiment with each seed.

    Args:
        experiments: names under `experiments:` in params.yaml.
        seeds: of the trainings.
        overrides: settings to change in all of them, each as KEY=VALUE.
        catalogue: content of a params.yaml; the image's own when empty.
        gpus: of a node, as text; 0 trains on CPUs.
        register_as: name of the registered model.
        minimum_scores: that a model must reach to be registered, by name.
        mirror: s3://bucket/prefix for checkpoints; none when empty.
        metric: the score that will decide.

    Returns:
        The runs, each with its experiment and its seed.
    """
    from hrm.stages.plan import plan as planned
    from hrm.stages.resolve import processes_of

    return planned(
        experiments,
        seeds,
        overrides,
        metric=metric,
        catalogue=catalogue,
        processes=processes_of(gpus),
        register_as=register_as,
        minimum=minimum_scores,
        mirror=mirror,
    )
