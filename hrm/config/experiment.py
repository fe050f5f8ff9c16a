"""One experiment of the catalogue, with its sources, as the command line changes it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from hrm.config.adapt import AdaptSettings
from hrm.config.build import BuildSettings
from hrm.config.evaluate import EvaluateSettings
from hrm.config.params import read_params
from hrm.config.register import RegisterSettings
from hrm.config.search import SearchSettings
from hrm.config.train import TrainSettings
from hrm.config.vote import VoteSettings
from hrm.config.yaml_text import parse
from hrm.errors import UserError
from hrm.settings import Name, Settings, validate, whole_again
from hrm.sources import Source


class Experiment(Settings):
    """One experiment, complete: what every stage needs to know."""

    name: Name
    sources: dict[Name, Source]
    """Those of `build.sources`."""
    build: BuildSettings
    train: TrainSettings = TrainSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    vote: VoteSettings = VoteSettings()
    adapt: AdaptSettings = AdaptSettings()
    """Of `hrm adapt` alone; no stage of the chain reads it."""
    search: SearchSettings = SearchSettings()
    """Of `hrm search` alone, likewise."""
    register_: Annotated[RegisterSettings, Field(alias="register")]


class _Sources(Settings):
    sources: dict[Name, Source]


def sources_of(block: Mapping[str, Any]) -> dict[str, Source]:
    """The sources of an experiment, from their settings.

    Raises:
        UserError: naming the source and the key that is not allowed.
    """
    return validate(_Sources, {"sources": whole_again(block)}, "settings").sources


def load_experiment(name: str, params: Path, overrides: Sequence[str] = ()) -> Experiment:
    """An experiment of a params file, validated as a whole.

    Args:
        name: its key under `experiments:`.
        params: the file.
        overrides: `key=value` with a dotted key inside the experiment, or `sources.NAME.key=value`; the value is YAML.

    Raises:
        UserError: unknown experiment, key or source, or a value that is not allowed.
    """
    return find_experiment(name, read_params(params), str(params), overrides)


def find_experiment(name: str, content: Mapping[str, Any], origin: str, overrides: Sequence[str] = ()) -> Experiment:
    """The same, of the content of a params file; `origin` is what errors call it."""
    if name not in content["experiments"]:
        known = ", ".join(content["experiments"])
        raise UserError(f"{origin}: experiments.{_line(name)}: no such experiment; there are {known}")
    where = f"{origin}: experiments.{name}"
    # Through JSON, so that no two blocks are one because the file has an alias.
    block, sources = json.loads(json.dumps([content["experiments"][name], content["sources"]]))
    if not isinstance(block, dict):
        raise UserError(f"{where}: expected a mapping with a block per stage")
    for key in ("name", "sources"):
        if key in block:
            raise UserError(f"{where}.{key}: no such setting; a name is a key of experiments, sources are beside them")
    block["sources"] = sources
    for override in overrides:
        _override(block, override)
    block["sources"] = _wanted(block, known=list(content["sources"]), where=where)
    validate(_Sources, {"sources": block["sources"]}, origin)
    return validate(Experiment, {"name": name, **block}, where)


def _wanted(block: dict[str, Any], *, known: Sequence[str], where: str) -> dict[str, Any]:
    """The sources that `build.sources` names; whatever else it holds is left to validation."""
    build, sources = block.get("build"), block["sources"]
    listed = build.get("sources") if isinstance(build, dict) else None
    names = [source for source in listed if isinstance(source, str)] if isinstance(listed, list) else []
    for source in names:
        if source not in sources:
            raise UserError(f"{where}.build.sources: {source!r} is not under sources: {', '.join(known)}")
    for source in sources:
        if source not in known and source not in names:
            raise UserError(f"-o sources.{_line(source)}: no such source; there are {', '.join(known)}")
    return {source: sources[source] for source in names}


def _override(block: dict[str, Any], override: str) -> None:
    shown = f"-o {_line(override)}"
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise UserError(f"{shown}: expected key=value")
    try:
        value = parse(text)
    except ValueError as error:
        raise UserError(f"{shown}: the value is not valid YAML: {error}") from None
    if key in ("name", "sources"):
        raise UserError(f"{shown}: cannot be changed; a setting of a source is sources.NAME.key")
    *parents, last = _parts(key, block["sources"])
    target = block
    for parent in parents:
        # A block that is left out in the file has defaults; the validation afterwards knows which keys exist.
        target = target.setdefault(parent, {})
        if not isinstance(target, dict):
            raise UserError(f"{shown}: {_line(parent)} is not a block of settings")
    target[last] = value


def _parts(key: str, sources: Sequence[str]) -> list[str]:
    """A dotted key in parts; the name of a source is one part, even with a dot in it."""
    first, _, rest = key.partition(".")
    if first == "sources":
        for source in sorted(sources, key=len, reverse=True):
            if f"{rest}.".startswith(f"{source}."):
                inner = rest.removeprefix(source).removeprefix(".")
                return [first, source, *(inner.split(".") if inner else [])]
    return key.split(".")


def _line(text: str) -> str:
    return " ".join(text.split())
