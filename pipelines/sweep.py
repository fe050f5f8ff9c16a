"""Several experiments and seeds, and the best of them in the registry."""

from kfp import dsl

from components import IMAGE
from components.choose.component import choose
from components.plan.component import plan
from components.resolve.component import resolve
from components.train.component import train
from pipelines.kubernetes import SETTINGS, TRAINING, VOTING, Place, provide
from pipelines.steps import dataset_of, finished, judged, registered


@dsl.pipeline(name="hrm-sweep", description="Several experiments and seeds; the best model is registered.")
def sweep_pipeline(
    experiments: list = ["sudoku-extreme-1k"],  # noqa: B006
    seeds: list = [0, 1, 2],  # noqa: B006
    overrides: list = [],  # noqa: B006
    catalogue: dict = {},  # noqa: B006
    metric: str = "exact_accuracy",
    gpus: str = "8",
    image: str = IMAGE,
    register_as: str = "",
    minimum_scores: dict = {},  # noqa: B006
    mirror: str = "",
    node_selector: dict = {},  # noqa: B006
    tolerations: list = [],  # noqa: B006
) -> None:
    """Train each experiment with each seed, and register the run that scores highest.

    Args:
        experiments: names under experiments: in params.yaml.
        seeds: of the trainings.
        overrides: settings to change in all of them, each as KEY=VALUE.
        catalogue: content of a params.yaml; the image's own when empty.
        metric: the score that decides, of evaluate.json or vote.json.
        gpus: of each training step, as text.
        image: of every step.
        register_as: name of the registered model; that of the best run's experiment when empty.
        minimum_scores: that the best model must reach to be registered, as {"pass@2": 0.3}.
        mirror: s3://bucket/prefix for checkpoints, from which a retried training goes on.
        node_selector: labels of the nodes with GPUs.
        tolerations: of their taints.
    """
    place = Place(image, node_selector, tolerations)
    common = {
        "overrides": overrides,
        "catalogue": catalogue,
        "gpus": gpus,
        "register_as": register_as,
        "minimum_scores": minimum_scores,
        "mirror": mirror,
    }
    with dsl.ExitHandler(finished("sweep", place), name="sweep"):
        planned = provide(plan(experiments=experiments, seeds=seeds, metric=metric, **common), SETTINGS, place)
        with dsl.ParallelFor(planned.output, name="run") as run:
            settings = resolve(experiment=run.experiment, seed=run.seed, nodes=1, **common)
            provide(settings, SETTINGS, place)
            dataset = dataset_of(settings, place)
            trained = train(experiment=run.experiment, train=settings.outputs["train"], dataset=dataset)
            provide(trained, TRAINING, place, gpus)
            known = judged(settings, place, run.experiment, dataset, trained.outputs["model"])
        chosen = choose(
            runs=planned.output,
            registers=dsl.Collected(settings.outputs["register"]),
            metric=metric,
            datasets=dsl.Collected(known["dataset"]),
            models=dsl.Collected(known["model"]),
            evaluations=dsl.Collected(known["evaluation"]),
            answers=dsl.Collected(known["answers"]),
        )
        provide(chosen, VOTING, place)
        best = {name: chosen.outputs[name] for name in ("dataset", "model", "evaluation")}
        best["answers"] = chosen.outputs["answer"]
        registered(chosen.outputs["experiment"], chosen.outputs["register"], place, best)
