"""A model that is there already, from a bucket to the registry."""

from kfp import dsl

from components import IMAGE
from components.resolve.component import resolve
from pipelines.kubernetes import SETTINGS, Place, provide
from pipelines.steps import dataset_of, finished, judged, registered


@dsl.pipeline(name="hrm-evaluate", description="Evaluates a model that was trained before, and registers it.")
def evaluate_pipeline(
    model: str,
    experiment: str = "sudoku-extreme-1k",
    overrides: list = [],  # noqa: B006
    catalogue: dict = {},  # noqa: B006
    gpus: str = "1",
    image: str = IMAGE,
    register_as: str = "",
    minimum_scores: dict = {},  # noqa: B006
    node_selector: dict = {},  # noqa: B006
    tolerations: list = [],  # noqa: B006
) -> None:
    """Evaluate and register the model of an earlier training step.

    Args:
        model: address of the artifact, as the page of that step shows it: a folder with checkpoints/ and its records.
        experiment: that it was trained as.
        overrides: settings to change, each as KEY=VALUE.
        catalogue: content of a params.yaml; the image's own when empty.
        gpus: of the evaluation, as text: 1 or 0.
        image: of every step.
        register_as: name of the registered model; the experiment's when empty.
        minimum_scores: that a model must reach to be registered, as {"pass@2": 0.3}.
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
            mirror="",
        )
        provide(settings, SETTINGS, place)
        imported = dsl.importer(artifact_uri=model, artifact_class=dsl.Model, reimport=False)
        known = judged(settings, place, experiment, dataset_of(settings, place), imported.output)
        registered(experiment, settings.outputs["register"], place, known)
