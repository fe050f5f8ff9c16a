"""The base of every settings model: strict, frozen, and explained in one line when it refuses a value."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from hrm.errors import UserError


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


def one_line(error: ValidationError, where: str) -> str:
    """Every problem of a validation error in one line: key, value and what is allowed.

    Args:
        error: what pydantic raised.
        where: the file, and the key under which the validated block stands in it.
    """
    problems = []
    for detail in error.errors(include_url=False):
        # Pydantic names the members of a union inside the path; the user's file has no such key.
        key = ".".join(str(part) for part in detail["loc"])
        message = detail["msg"].removeprefix("Value error, ")
        value = detail["input"]
        if detail["type"] == "extra_forbidden":
            message = "no such setting"
        shown = "" if detail["type"] == "missing" or isinstance(value, dict) else f" = {value!r}"
        problems.append(f"{key or 'value'}{shown}: {message}")
    return f"{where}: " + "; ".join(problems)


def validate(model: type[SettingsT], values: Any, where: str) -> SettingsT:
    """`values` as a validated `model`.

    Raises:
        UserError: when a key is unknown or a value is not allowed; the message names each.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise UserError(one_line(error, where)) from None
