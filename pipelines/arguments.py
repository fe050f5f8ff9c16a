"""What is typed becomes the parameters of a pipeline, checked before anything runs or is sent."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hrm.config import read_params
from hrm.config.yaml_text import parse
from hrm.errors import UserError
from hrm.stages.plan import plan
from hrm.stages.resolve import processes_of, resolve
from pipelines.catalogue import PIPELINES

TYPES: dict[str, tuple[type, ...]] = {
    "String": (str,),
    "Integer": (int,),
    "Float": (int, float),
    "Boolean": (bool,),
    "List": (list,),
    "Dict": (dict,),
}
"""What YAML gives for each type of parameter."""
WORDS = {int: "a whole number", float: "a number", bool: "true or false", list: "a list", dict: "a mapping"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that name a pipeline and its parameters."""
    parser.add_argument(
        "pipeline", nargs="?", default="train", choices=list(PIPELINES), help="which one (default: train)"
    )
    parser.add_argument(
        "--experiment",
        action="append",
        required=True,
        metavar="NAME",
        help="a name under experiments: in the params file; a sweep takes several, one --experiment each",
    )
    parser.add_argument(
        "-o",
        dest="override",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a setting, e.g. -o train.batch_size=64; repeatable",
    )
    parser.add_argument(
        "--params", type=Path, default=Path("params.yaml"), metavar="FILE", help="settings (default: params.yaml)"
    )
    parser.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a parameter of the pipeline, its value as YAML, e.g. --param 'minimum_scores={pass@2: 0.3}'; repeatable",
    )


def arguments(pipeline: str, options: argparse.Namespace, **given: str) -> dict[str, Any]:
    """The parameters of a pipeline that differ from its defaults.

    Args:
        pipeline: a name of `PIPELINES`.
        options: what `add_options` parsed.
        given: parameters that the command has options of its own for; those that are empty are left out.

    Raises:
        UserError: when an experiment, a setting or a parameter is unknown or cannot be used.
    """
    found: dict[str, Any] = {key: value for key, value in given.items() if value}
    found |= dict(_parameter(pipeline, text) for text in options.param)
    experiments = list(dict.fromkeys(options.experiment))
    if pipeline == "sweep":
        found["experiments"] = experiments
    elif len(experiments) > 1:
        raise UserError(f"--experiment: {pipeline} takes one; several are for sweep")
    else:
        found["experiment"] = experiments[0]
    found |= {"overrides": options.override} if options.override else {}
    complete = _complete(pipeline, found)
    content = read_params(options.params)
    try:
        catalogue = _checked("catalogue", _part(content, experiments))
    except ValueError as error:
        raise UserError(f"{options.params}: {error}") from None
    _check(pipeline, experiments, {**complete, "catalogue": content}, options.params)
    return found | {"catalogue": catalogue}


def _parameter(pipeline: str, text: str) -> tuple[str, Any]:
    """One `--param`, of the type that the pipeline asks for."""
    key, equals, value = text.partition("=")
    inputs = PIPELINES[pipeline].component_spec.inputs
    reserved = {"experiment", "experiments", "overrides", "catalogue"}
    known = ", ".join(sorted(set(inputs) - reserved))
    if not equals or key not in inputs:
        raise UserError(f"--param {text}: expected KEY=VALUE with a parameter of {pipeline}: {known}")
    if key in reserved:
        raise UserError(f"--param {text}: give it with --experiment, -o or --params")
    wanted = TYPES[inputs[key].type]
    if wanted == (str,):
        if "@" in value.partition("://")[2].partition("/")[0]:
            raise UserError(f"--param {key}: no user or password in an address, which ends up in logs")
        return key, value
    try:
        parsed = parse(value)
    except ValueError as error:
        raise UserError(f"--param {text}: the value is not valid YAML: {error}") from None
    if not isinstance(parsed, wanted) or (isinstance(parsed, bool) and bool not in wanted):
        raise UserError(f"--param {text}: {key} is {WORDS[wanted[-1]]}")
    try:
        return key, _checked(key, parsed)
    except ValueError as error:
        raise UserError(f"--param {text}: {error}") from None


def _checked(key: str, value: Any) -> Any:
    """A value as it travels, in JSON.

    Raises:
        ValueError: when JSON has no such value, or the cluster would not take it.
    """
    try:
        value = json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"not as JSON has it: {error}") from None
    if key == "node_selector" and not all(isinstance(label, str) for label in value.values()):
        raise ValueError("a label is text; put quotes around it")
    if key == "tolerations" and not all(isinstance(item, dict) and None not in item.values() for item in value):
        raise ValueError("expected a list of mappings, as [{key: nvidia.com/gpu, operator: Exists}]")
    return value


def _complete(pipeline: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters, with the defaults of those that were not given.

    Raises:
        UserError: when one that has no default is missing or empty.
    """
    inputs = PIPELINES[pipeline].component_spec.inputs
    for name, spec in inputs.items():
        if not spec.optional and not found.get(name):
            raise UserError(f"{pipeline} needs --param {name}=...: {spec.description}")
    return {**{name: spec.default for name, spec in inputs.items()}, **found}


def _part(content: Mapping[str, Any], experiments: Sequence[str]) -> dict[str, Any]:
    """Of a params file what these experiments need; an unknown name is left to the check."""
    blocks = {name: content["experiments"][name] for name in experiments if name in content["experiments"]}
    return {"run": [], "sources": _without_nulls(content["sources"]), "experiments": _without_nulls(blocks)}


def _without_nulls(content: Any) -> Any:
    """KFP takes no null; where a setting may be null, that is its default."""
    if isinstance(content, dict):
        return {key: _without_nulls(value) for key, value in content.items() if value is not None}
    if isinstance(content, list):
        return [_without_nulls(value) for value in content if value is not None]
    return content


def _check(pipeline: str, experiments: Sequence[str], found: Mapping[str, Any], params: Path) -> None:
    """Do what the pipeline's first step will do."""
    processes = processes_of(str(found["gpus"]), found.get("nodes", 1))
    common: dict[str, Any] = {
        "catalogue": found["catalogue"],
        "processes": processes if pipeline != "evaluate" else 0,
        "register_as": found["register_as"],
        "minimum": found["minimum_scores"],
        "mirror": found.get("mirror", ""),
    }
    try:
        if pipeline == "sweep":
            plan(experiments, found["seeds"], found["overrides"], metric=found["metric"], **common)
        else:
            resolve(experiments[0], found["overrides"], **common)
    except UserError as error:
        raise UserError(str(error).replace("catalogue:", f"{params}:", 1)) from None
