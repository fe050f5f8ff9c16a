"""The params file as a whole: its three parts, and the names in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hrm.config.yaml_text import parse
from hrm.errors import UserError
from hrm.settings import safe_name

PARTS = {"run": list, "sources": dict, "experiments": dict}


def read_params(path: Path) -> dict[str, Any]:
    """The three parts of a params file, not yet validated in depth.

    Raises:
        UserError: when the file is missing, is not YAML, has other parts, or a name in it is not allowed.
    """
    try:
        content = parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run this in the project's folder or give --params FILE") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not text in UTF-8; save it as that") from None
    except ValueError as error:
        raise UserError(f"{path}: not valid YAML: {error}") from None
    return checked(content, str(path))


def checked(content: Any, where: str) -> dict[str, Any]:
    """What a params file holds, if it has the three parts.

    Raises:
        UserError: naming the part, or the name in it, that is not allowed; `where` is said before it.
    """
    if not isinstance(content, dict):
        raise UserError(f"{where}: expected the keys run, sources and experiments")
    for key, kind in PARTS.items():
        if not isinstance(content.get(key), kind):
            raise UserError(f"{where}: {key}: expected a {'list' if kind is list else 'mapping'}")
    if unknown := [key for key in content if key not in PARTS]:
        shown = " ".join(", ".join(map(str, unknown)).split())
        raise UserError(f"{where}: {shown}: no such key; allowed are {', '.join(PARTS)}")
    for key in ("sources", "experiments"):
        for name in content[key]:
            if not isinstance(name, str):
                raise UserError(f"{where}: {key}: {name!r}: a name is text; put quotes around it")
            try:
                safe_name(name)
            except ValueError as error:
                raise UserError(f"{where}: {key}: {name!r}: {error}") from None
    return plain(content, where)


def plain(content: dict[str, Any], where: str) -> dict[str, Any]:
    """The same as JSON has it: a date is its text, and what the file has once under an alias is there twice.

    Raises:
        UserError: when a key is no text, or something holds itself.
    """
    try:
        found: dict[str, Any] = json.loads(json.dumps(content, default=str))
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{where}: holds what JSON cannot: {error}; a key is text, and nothing holds itself") from None
    return found


def run_list(params: Path) -> list[str]:
    """The experiments that `dvc repro` carries out.

    Raises:
        UserError: when the file cannot be used, or one of them is not in it.
    """
    content = read_params(params)
    for name in content["run"]:
        if not isinstance(name, str) or name not in content["experiments"]:
            raise UserError(f"{params}: run: {name!r} is not under experiments: {', '.join(content['experiments'])}")
    return list(content["run"])
