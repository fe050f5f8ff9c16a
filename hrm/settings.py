"""The base of every settings model: strict, frozen, and explained in one line when it refuses a value."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from hrm.errors import UserError, without_credentials


class Settings(BaseModel):
    """A block of settings: unknown keys are refused, values are never changed after validation.

    The docstring under a field is its documentation; defaults live beside the fields and nowhere else.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=False,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


SettingsT = TypeVar("SettingsT", bound=Settings)


LONGEST_NAME = 100
"""Characters: of a folder and of a registered model, with what is put before and behind."""


def safe_name(name: str) -> str:
    """The name itself, which becomes a folder's name and a word on the command line.

    Raises:
        ValueError: when it is not fit for that.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name):
        raise ValueError("a name has only letters, digits, '.', '_' and '-', and begins with a letter, a digit or '_'")
    if len(name) > LONGEST_NAME:
        raise ValueError(f"a name has at most {LONGEST_NAME} characters")
    return name


Fraction = Annotated[float, Field(ge=0, le=1)]
LARGEST = 10**12
"""Of settings that count something: what is larger is a slip, and would overflow where sizes are multiplied."""
NonNegativeInt = Annotated[int, Field(ge=0, le=LARGEST)]
PositiveInt = Annotated[int, Field(gt=0, le=LARGEST)]
NonNegativeFloat = Annotated[float, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, le=2**53)]
"""Of random draws; a larger number would not come through JSON, where Kubeflow makes it a float, as it is."""
Name = Annotated[str, AfterValidator(safe_name)]
"""The name of an experiment or of a source."""


def one_line(error: ValidationError, where: str, values: Any = None) -> str:
    """Every problem of a validation error in one line: key, value and what is allowed.

    Args:
        error: what pydantic raised.
        where: the file, and the key under which the validated block stands in it.
        values: the validated block, which tells the user's keys from pydantic's names for the members of a union.
    """
    problems: dict[str, list[str]] = {}
    for detail in error.errors(include_url=False):
        problem, message = _explain(detail, values)
        problems.setdefault(problem, []).append(message)
    # A value that no member of a union takes is told once, with what each of them would take.
    told = "; ".join(f"{problem}: {' or '.join(messages)}" for problem, messages in problems.items())
    return without_credentials(" ".join(f"{where}: {told}".split()))


def validate(model: type[SettingsT], values: Any, where: str) -> SettingsT:
    """`values`, as a YAML or JSON file holds them, as a validated `model`.

    They are taken as JSON and strictly: a list may become a tuple and an integer a float, but neither `true` nor `"64"`
    is a number.

    Raises:
        UserError: when a key is unknown or a value is not allowed; the message names each.
    """
    try:
        return model.model_validate_json(json.dumps(values, default=str), strict=True)
    except ValidationError as error:
        raise UserError(one_line(error, where, values)) from None


def _explain(detail: ErrorDetails, values: Any) -> tuple[str, str]:
    """The key with its value, and what is wrong with it."""
    key = ".".join(_keys(detail, values))
    value = detail["input"]
    shown = "" if detail["type"] == "missing" or isinstance(value, dict) else f" = {value!r}"
    match detail["type"]:
        case "extra_forbidden":
            message = "no such setting"
        case "union_tag_not_found":
            key, message = _tag_key(key, detail), "Field required"
        case "union_tag_invalid":
            context = detail["ctx"]
            key, shown = _tag_key(key, detail), f" = {context['tag']!r}"
            message = f"Input should be one of {context['expected_tags']}"
        case "json_invalid":  # its value is the whole file, as JSON
            shown, message = "", "holds characters that are no text"
        case _:
            message = detail["msg"].removeprefix("Value error, ")
    return f"{key or 'value'}{shown}", message


def _keys(detail: ErrorDetails, values: Any) -> list[str]:
    """The place of a problem in the user's own keys.

    Pydantic puts the chosen member of a union (`sudoku`, `constrained-int`) into the place; there is no such key.
    """
    if values is None:
        return [str(part) for part in detail["loc"]]
    keys = []
    *_, last = detail["loc"] or ("",)
    for part in detail["loc"]:
        try:
            values = values[part]
        except (KeyError, IndexError, TypeError):
            continue
        keys.append(str(part))
    return [*keys, str(last)] if detail["type"] == "missing" else keys


def _tag_key(key: str, detail: ErrorDetails) -> str:
    tag = detail["ctx"]["discriminator"].strip("'")
    return f"{key}.{tag}" if key else tag


def whole_again(content: Any) -> Any:
    """JSON whose whole numbers have become floats, as Kubeflow hands it on, with them whole again."""
    match content:
        case dict():
            return {key: whole_again(value) for key, value in content.items()}
        case list():
            return [whole_again(value) for value in content]
        case float() if content.is_integer():
            return int(content)
    return content
