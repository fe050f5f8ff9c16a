"""Pipelines as IR YAML: what a server takes, byte for byte the same each time."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hrm.artifacts import write_text
from hrm.errors import UserError
from hrm.progress import note
from pipelines.catalogue import PIPELINES

FOLDER = Path(__file__).parent / "compiled"


def add_verb(verbs: Any, parents: list[argparse.ArgumentParser]) -> None:
    """`compile`."""
    parser = verbs.add_parser("compile", parents=parents, help="write every pipeline as IR YAML", description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="FOLDER", help="default: pipelines/compiled")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file there is not current")
    parser.set_defaults(action=_run)


def compiled(name: str) -> str:
    """The IR YAML of a pipeline, which says neither when nor where it was made."""
    from kfp import compiler

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{name}.yaml"
        compiler.Compiler().compile(PIPELINES[name], str(file))
        return file.read_text(encoding="utf-8")


def keep_current(files: Iterable[tuple[Path, str]], verb: str, *, check: bool) -> None:
    """Write the files that are not what they should be; with `check`, refuse instead.

    Args:
        files: each with its text.
        verb: of `python -m pipelines`, which makes them.
        check: whether nothing is written.

    Raises:
        UserError: with `check`, when a file is missing or holds another text.
    """
    for file, text in files:
        current = file.is_file() and file.read_text(encoding="utf-8") == text
        if check and not current:
            raise UserError(f"{file}: not what pipelines/ says; run `python -m pipelines {verb}`")
        if not current:
            write_text(file, text)
            note(f"{file}: written")


def _run(options: argparse.Namespace) -> None:
    keep_current(((options.out / f"{name}.yaml", compiled(name)) for name in PIPELINES), "compile", check=options.check)
