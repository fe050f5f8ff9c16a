"""From raw puzzles to a registered model, trained on one node or on several."""

from kfp import dsl

from components import IMAGE
from components.resolve.component import resolve
from components.train.component import train
from pipelines.kubernetes import SETTINGS, TRAINING, Place, provide
from pipelines.steps import dataset_of, finished, judged, registered


@dsl.pipeline(name="hrm-train", description="Raw puzzles to a registered model, trained on the GPUs of one node.")
def train_pipeline(
    experiment: str = "sudoku-extreme-1k",
    overrides: list = [],  # noqa: B006
    catalogue: dict = {},  # noqa: B006
    gpus: str = "8",
    image: str = IMAGE,
    register_as: str = "",
    minimum_scores: dict = {},  # noqa: B006
    mirror: str = "",
    node_selector: dict = {},  # noqa: B006
    tolerations: list = [],  # noqa: B006
) -> None:
    """Train, evaluate and register one experiment.

    Args:
        experiment: a name under experiments: in params.yaml.
        overrides: settings to change, each as KEY=VALUE.
        catalogue: content of a params.yaml; the image's own when empty.
        gpus: of the training step, as text.
        image: of every step.
        register_as: name of the registered model; the experiment's when empty.
        minimum_scores: that a model must reach to be registered, as {"pass@2": 0.3}.
        mirror: s3://bucket/prefix for checkpoints, from which a retried training goes on.
        node_selector: labels of the nodes with GPUs.
        tolerations: of their taints.
    """
    place = Place(image, node_selector, tolerations)
    with dsl.ExitHandler(finished(experiment, place), name="run"):
        settings = resolve(
            experiment=experiment,
            overrides=overrides,
            catalogue=catalogue,
            gpus=gpus,
            nodes=1,
            register_as=register_as,
            minimum_scores=minimum_scores,
            mirror=mirror,
        )
        provide(settings, SETTINGS, place)
        dataset = dataset_of(settings, place)
        trained = train(experiment=experiment, train=settings.outputs["train"], dataset=dataset)
        provide(trained, TRAINING, place, gpus)
        known = judged(settings, place, experiment, dataset, trained.outputs["model"])
        registered(experiment, settings.outputs["register"], place, known)
