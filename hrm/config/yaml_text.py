"""YAML as DVC reads it: version 1.2, in which `1e-4` is a number and `on` is text; no key may stand twice."""

from __future__ import annotations

from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError


def parse(text: str) -> Any:
    """The value that a YAML text stands for.

    Raises:
        ValueError: in one line, with the line of the text.
    """
    try:
        return YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ValueError(line + str(error.problem).strip().splitlines()[0]) from None
    except (YAMLError, ValueError) as error:
        raise ValueError(" ".join(str(error).split())) from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
