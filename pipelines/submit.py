"""`submit`: start a pipeline on a server, now or at set times, after everything that can be checked here has been."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import yaml

from hrm.errors import UserError
from hrm.progress import note
from pipelines.arguments import add_options, arguments
from pipelines.compile import compiled
from pipelines.schedule import six_fields
from pipelines.server import add_server_options, connect

_PART = r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*"
IMAGE = re.compile(
    rf"(?:[A-Za-z0-9][A-Za-z0-9.-]*(?::\d+)?/)?{_PART}(?:/{_PART})*(?::\w[\w.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?",
    re.ASCII,
)
"""[host[:port]/]name[:tag][@digest]"""


@dataclass(frozen=True)
class Submission:
    """All that is sent."""

    pipeline: str
    name: str
    """Of the run, for people."""
    experiment: str
    """The group of runs that it joins on the server."""
    parameters: dict[str, Any]
    cron: str | None
    package: dict[str, Any]
    """The compiled pipeline as a server takes it."""


def add_verb(verbs: Any, parents: list[argparse.ArgumentParser]) -> None:
    """`submit`."""
    parser = verbs.add_parser("submit", parents=parents, help="start a pipeline on a server", description=__doc__)
    add_options(parser)
    parser.add_argument("--image", default="", metavar="IMAGE", help="of every step (default: the pipeline's)")
    parser.add_argument("--gpus", default="", metavar="N", help="of each training step (default: the pipeline's)")
    parser.add_argument("--no-cache", action="store_true", help="let no step be answered by an equal one before it")
    parser.add_argument("--dry-run", action="store_true", help="print what would be sent, and send nothing")
    when = parser.add_mutually_exclusive_group()
    when.add_argument("--wait", action="store_true", help="follow the run to its end; exit status 1 when it fails")
    when.add_argument(
        "--recurring",
        metavar="CRON",
        help="run at set times of the server's clock: '0 0 3 * * 1' is Mondays at 3:00:00",
    )
    add_server_options(parser)
    parser.set_defaults(action=_run)


def _run(options: argparse.Namespace) -> None:
    submission = prepare(options)
    if options.dry_run:
        print(as_yaml(submission), end="")  # noqa: T201
        return
    server = connect(options)
    group = server.experiment_id(submission.experiment)
    what = (submission.name, group, submission.package, submission.parameters)
    if submission.cron:
        recurring_id = server.repeat(*what, submission.cron)
        _tell(recurring_id, server.page(recurring_id, "recurringrun"))
        return
    run_id = server.submit(*what)
    _tell(run_id, server.page(run_id))
    if options.wait:
        from pipelines.follow import follow

        follow(server, run_id)


def prepare(options: argparse.Namespace) -> Submission:
    """What the options ask to send, checked as far as it can be without the server.

    Raises:
        UserError: when something cannot be used as it was given.
    """
    parameters = arguments(options.pipeline, options, image=options.image, gpus=options.gpus)
    spec, *platform = yaml.safe_load_all(compiled(options.pipeline))
    _check_image(parameters.get("image", spec["root"]["inputDefinitions"]["parameters"]["image"]["defaultValue"]))
    if options.no_cache:
        _without_cache(spec)
    experiments = "+".join(dict.fromkeys(options.experiment))
    return Submission(
        pipeline=options.pipeline,
        name=f"{options.pipeline} {experiments} {datetime.now():%Y-%m-%d %H:%M}",
        experiment=experiments,
        parameters=parameters,
        cron=None if options.recurring is None else six_fields(options.recurring),
        package={"pipeline_spec": spec, "platform_spec": platform[0]} if platform else spec,
    )


def as_yaml(submission: Submission) -> str:
    """What a person wants to see of a submission: all but the compiled pipeline, which `compile` writes."""
    shown = {name: value for name, value in vars(submission).items() if name != "package" and value is not None}
    return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True)


def _check_image(image: str) -> None:
    """Refuse an image that cannot exist; whether it does, only the cluster knows."""
    if not IMAGE.fullmatch(image):
        raise UserError(f"--image {image}: not an image's name; it looks like registry.example.org/hrm-mlops:gpu")


def _without_cache(spec: dict[str, Any]) -> None:
    """Have every step carried out anew, also those inside loops and handlers, which kfp's own switch leaves out."""
    for part in (spec["root"], *spec["components"].values()):
        for task in part.get("dag", {}).get("tasks", {}).values():
            task["cachingOptions"] = {}


def _tell(run_id: str, page: str) -> None:
    """The id alone on standard output, for scripts."""
    print(run_id, flush=True)  # noqa: T201
    note(page)
