"""From raw puzzles to a registered model, trained on several nodes."""

from kfp import dsl

from components import IMAGE
from components.resolve.component import resolve
from components.train_job.component import train_job
from pipelines.kubernetes import FOLLOWING, SETTINGS, Place, provide
from pipelines.steps import dataset_of, finished, judged, registered


@dsl.pipeline(name="hrm-train-nodes", description="Raw puzzles to a registered model, trained on several nodes.")
def train_nodes_pipeline(
    mirror: str,
    experiment: str = "arc-1",
    overrides: list = [],  # noqa: B006
    catalogue: dict = {},  # noqa: B006
    nodes: int = 2,
    gpus: str = "8",
    image: str = IMAGE,
    register_as: str = "",
    minimum_scores: dict = {},  # noqa: B006
    node_selector: dict = {},  # noqa: B006
    tolerations: list = [],  # noqa: B006
) -> None:
    """Train in a TrainJob of Kubeflow Trainer, evaluate and register one experiment.

    Args:
        mirror: s3://bucket/prefix that data, checkpoints and results travel through.
        experiment: a name under experiments: in params.yaml.
        overrides: settings to change, each as KEY=VALUE.
        catalogue: content of a params.yaml; the image's own when empty.
        nodes: that train together.
        gpus: of each, as text.
        image: of every step and node.
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
            nodes=nodes,
            register_as=register_as,
            minimum_scores=minimum_scores,
            mirror=mirror,
        )
        provide(settings, SETTINGS, place)
        dataset = dataset_of(settings, place)
        trained = train_job(
            experiment=experiment,
            train=settings.outputs["train"],
            dataset=dataset,
            nodes=nodes,
            gpus=gpus,
            image=image,
            node_selector=node_selector,
            tolerations=tolerations,
            run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        )
        provide(trained, FOLLOWING, place)
        known = judged(settings, place, experiment, dataset, trained.outputs["model"])
        registered(experiment, settings.outputs["register"], place, known)
