"""A pipeline on this machine: the same steps and artifacts as on a cluster, as processes or as containers."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import yaml

from hrm.errors import UserError
from hrm.progress import note
from hrm.tracking.server import connect, impatient, required, resolved_uri
from pipelines.arguments import add_options, arguments
from pipelines.compile import compiled
from pipelines.output import Output

ROOT = Path("runs/pipelines")


def add_verb(verbs: Any, parents: list[argparse.ArgumentParser]) -> None:
    """`run`."""
    parser = verbs.add_parser("run", parents=parents, help="run a pipeline on this machine", description=__doc__)
    add_options(parser)
    parser.add_argument("--local", action="store_true", required=True, help="on this machine; for a cluster: submit")
    parser.add_argument("--docker", metavar="IMAGE", help="each step in a container of this local image")
    parser.add_argument("--gpus", default="0", metavar="N", help="for training; 0: what the settings say (default: 0)")
    parser.add_argument(
        "--root", type=Path, default=ROOT, metavar="FOLDER", help=f"where artifacts go (default: {ROOT})"
    )
    parser.set_defaults(action=_run)


def _run(options: argparse.Namespace) -> None:
    given = arguments(options.pipeline, options, gpus=options.gpus)
    if "://" not in (model := given.get("model", "://")):
        given["model"] = str(Path(model).absolute())  # each step has a folder of its own
        if not (Path(model) / "checkpoints").is_dir():
            raise UserError(f"--param model={model}: no folder with checkpoints/; give that of a step `train`")
    run_local(options.pipeline, given, options.root, docker=options.docker)


def run_local(pipeline: str, given: Mapping[str, Any], root: Path, *, docker: str | None = None) -> None:
    """Run a pipeline to its end.

    Args:
        pipeline: a name of `pipelines.catalogue.PIPELINES`.
        given: its parameters.
        root: the folder for artifacts; each run makes one of its own in it.
        docker: the image of every step; None for processes in this Python.

    Raises:
        UserError: when a step failed by a mistake of the user, or MLflow cannot be reached.
        SystemExit: with status 1 when one failed otherwise.
    """
    from kfp import components, local

    root.mkdir(parents=True, exist_ok=True)
    if not os.access(root, os.W_OK | os.X_OK):
        raise UserError(f"--root {root}: cannot be written to; name another folder")
    function = components.load_component_from_text(_for_local(compiled(pipeline), docker))
    output = Output()
    with _runner(docker, output) as runner, tempfile.TemporaryDirectory() as workspace, _quiet():
        # Steps that begin side by side would each make the tables of a fresh database.
        with required("register the model"), impatient():
            connect().search_experiments(max_results=1)
        local.init(runner, pipeline_root=str(root.absolute()), workspace_root=workspace, raise_on_error=True)
        try:
            function(**given)
        except RuntimeError:  # that a step failed, or that KFP itself did
            if not output.failures:
                raise
    if output.failures:
        first = output.failures[0]
        if first.is_mistake:
            raise UserError(str(first))
        print(f"hrm: error: {first}", file=sys.stderr)  # noqa: T201
        raise SystemExit(1)
    assert output.folder is not None, "there is no pipeline without steps"
    folder = root / output.folder.name
    for report in sorted(folder.glob("*/report")):
        note(f"{report}: the report")
    note(f"{folder}: the artifacts")


def _runner(docker: str | None, output: Output) -> AbstractContextManager[Any]:
    if docker is None:
        from pipelines.subprocess_runner import subprocesses

        os.environ["MLFLOW_TRACKING_URI"] = resolved_uri()  # a path of its own would end with the step's folder
        return subprocesses(output)
    from pipelines.docker_runner import containers

    return containers(output)


def _for_local(text: str, image: str | None) -> str:
    """The pipeline without what only a cluster can do: retries, GPUs, an image that is a parameter."""
    first, *rest = yaml.safe_load_all(text)
    for component in (first["root"], *first["components"].values()):
        for task in component.get("dag", {}).get("tasks", {}).values():
            task.pop("retryPolicy", None)
    for executor in first["deploymentSpec"]["executors"].values():
        if container := executor.get("container"):
            container["image"] = image or "python"
            container.pop("resources", None)
    return yaml.safe_dump_all([first, *rest], sort_keys=False)


@contextmanager
def _quiet() -> Iterator[None]:
    """KFP prints as it goes; the steps are shown by our own runners."""
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
