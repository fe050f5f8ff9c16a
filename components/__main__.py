"""`python -m components`: the README of each component, made from its signature, its docstring and its metadata."""

from __future__ import annotations

import argparse
import importlib
import inspect
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
from docstring_parser import Docstring, parse

from hrm.artifacts import write_text
from hrm.cli import carry_out, loudness
from hrm.errors import UserError
from hrm.progress import note

FOLDER = Path(__file__).parent
NAMES = sorted(file.parent.name for file in FOLDER.glob("*/component.py"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status is that of `hrm.cli.main`."""
    parser = argparse.ArgumentParser(prog="python -m components", description=__doc__, parents=[loudness()])
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a README is not current")
    parser.set_defaults(action=_run, verb="components")
    return carry_out(parser.parse_args(arguments))


def component(name: str) -> Any:
    """A component by the name of its folder."""
    return getattr(importlib.import_module(f"components.{name}.component"), name)


def readme(name: str) -> str:
    """The text of a component's README."""
    found = component(name)
    spec, words = found.component_spec, parse(inspect.getdoc(found.python_func) or "")
    metadata = yaml.safe_load((FOLDER / name / "metadata.yaml").read_text(encoding="utf-8"))
    defaults = inspect.signature(found.python_func).parameters
    inputs = [
        (key, kind.type.removeprefix("system.").partition("@")[0], _default(defaults[key].default), _about(words, key))
        for key, kind in (spec.inputs or {}).items()
        if key in defaults
    ]
    outputs = [
        (key, kind.type.removeprefix("system.").partition("@")[0], _about(words, key))
        for key, kind in (spec.outputs or {}).items()
    ]
    services = ", ".join(metadata["dependencies"]["external_services"]) or "none"
    parts = [
        f"# {name}",
        f"{words.short_description}\n\n{words.long_description or ''}".strip(),
        "## Inputs\n\n" + _table(("name", "type", "default", "meaning"), inputs),
        "## Outputs\n\n" + _table(("name", "type", "meaning"), outputs) if outputs else "",
        " ".join((words.returns.description or "").split()) if words.returns else "",
        f"Stability: {metadata['stability']}. Tags: {', '.join(metadata['tags'])}. Other services: {services}.",
        "Made by `python -m components` from `component.py` and `metadata.yaml`.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _about(words: Docstring, key: str) -> str:
    """What the docstring says of a parameter."""
    said = {parameter.arg_name: parameter.description or "" for parameter in words.params}
    return " ".join(said.get(key, "").split())


def _default(value: Any) -> str:
    return "" if value is inspect.Parameter.empty else f"`{value!r}`"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _run(options: argparse.Namespace) -> None:
    for name in NAMES:
        file, text = FOLDER / name / "README.md", readme(name)
        current = file.is_file() and file.read_text(encoding="utf-8") == text
        if options.check and not current:
            raise UserError(f"{file}: not what component.py says; run `python -m components`")
        if not current:
            write_text(file, text)
            note(f"{file}: written")


if __name__ == "__main__":
    sys.exit(main())
