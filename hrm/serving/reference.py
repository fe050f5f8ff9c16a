"""Finding what a person names: a registered model, and a version of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hrm.errors import UserError
from hrm.serving.history import CHAMPION
from hrm.tracking.server import connect, impatient, public_uri, required, resolved_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel


@contextmanager
def open_registry(purpose: str) -> Iterator[MlflowClient]:
    """A client of the registry, for a command that somebody waits for.

    Args:
        purpose: what the registry is needed for, as it stands in "MLflow is needed to ...".

    Raises:
        UserError: when it cannot be reached or refuses, and where an embedded database is not there yet.
    """
    database = resolved_uri().removeprefix("sqlite:///")
    if database != resolved_uri() and not Path(database).is_file():
        raise UserError(f"{database}: no such file; register a model first, or set MLFLOW_TRACKING_URI")
    with required(purpose), impatient():
        yield connect()


def find_model(client: MlflowClient, name: str) -> RegisteredModel:
    """A registered model by its name.

    Raises:
        UserError: when there is none of that name.
    """
    from mlflow.exceptions import MlflowException

    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
    known = ", ".join(sorted(model.name for model in client.search_registered_models())) or "none yet"
    raise UserError(f"{name}: no such model in the registry at {public_uri()}; there are: {known}")


def versions_of(client: MlflowClient, name: str) -> list[int]:
    """The numbers of a model's versions, ascending."""
    quote = '"' if "'" in name else "'"
    return sorted(int(version.version) for version in client.search_model_versions(f"name = {quote}{name}{quote}"))


def find_version(client: MlflowClient, text: str) -> ModelVersion:
    """A version by `NAME/3`, `NAME@alias`, or `NAME` alone: the champion, the newest where there is none.

    Raises:
        UserError: when there is no such model, version or alias.
    """
    name, separator, which = re.fullmatch(r"([^/@]*)([/@]?)(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
    model = find_model(client, name)
    versions = versions_of(client, name)
    if not versions:
        raise UserError(f"{name}: no version yet; register one with `hrm register`")
    if separator == "@" and which not in model.aliases:
        known = ", ".join(sorted(model.aliases)) or "none"
        raise UserError(f"{text}: no version of {name} has the alias {which!r}; there are: {known}")
    if separator == "/" and which not in map(str, versions):
        raise UserError(f"{text}: no such version; {name} has {', '.join(map(str, versions))}")
    found = {"/": which, "@": model.aliases.get(which), "": model.aliases.get(CHAMPION, versions[-1])}[separator]
    return client.get_model_version(name, str(found))


def version_of(client: MlflowClient, name: str, which: str) -> ModelVersion:
    """A version of a model by its number or alias, with or without a sign before it.

    Raises:
        UserError: when there is no such model, version or alias.
    """
    bare = which.lstrip("/@")
    return find_version(client, f"{name}{'/' if bare.isdecimal() else '@'}{bare}")
