"""Reaching the MLflow server: quietly, without long waits, and without ever printing a password."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hrm.errors import UserError, without_credentials

if TYPE_CHECKING:
    from mlflow import MlflowClient

SQLITE = "sqlite:///"
DEFAULT_URI = f"{SQLITE}mlflow.db"
"""An embedded database in the current folder; artifacts go to `mlruns` beside it."""

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
REFUSALS = {
    "You are not authenticated": (
        "not signed in, or with a wrong password",
        "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to an account of that server",
    ),
    "error responses": ("it fails again and again", "the log of that server says why"),
    "Permission denied": ("permission denied", "an administrator of that server can grant it to your account"),
    "Invalid Host header": (
        "it does not go by that name",
        "an administrator of that server can add the name to its MLFLOW_SERVER_ALLOWED_HOSTS",
    ),
}
"""By what a server says when it refuses: what that means, and what helps."""
IMPATIENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


def tracking_uri() -> str:
    """Where MLflow keeps its records: `MLFLOW_TRACKING_URI`, else the embedded database."""
    return os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI


def resolved_uri() -> str:
    """The tracking address for MLflow, which remembers a database by its address: a path must be absolute."""
    uri = tracking_uri()
    path = uri.removeprefix(SQLITE)
    return uri if path in (uri, "", ":memory:") else f"{SQLITE}{Path(path).absolute()}"


def artifact_folder() -> str | None:
    """Where a new experiment's artifacts go: beside an embedded database; None where a server decides.

    MLflow itself would take the current folder, which need not be the database's.
    """
    path = resolved_uri().removeprefix(SQLITE)
    return str(Path(path).with_name("mlruns")) if path != resolved_uri() else None


def public_uri(uri: str | None = None) -> str:
    """A tracking address that may be shown and stored: without user, password and query."""
    text = re.sub("//.*@", "//", tracking_uri() if uri is None else uri, flags=re.DOTALL)
    return re.split("[?#]", text, maxsplit=1)[0]


def quiet() -> None:
    """Tell MLflow to be quiet; it listens while it is imported, which takes seconds and hence happens late."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    # A fresh database reports each migration, and every retry of a request is a warning of its own.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)


def import_mlflow() -> ModuleType:
    """MLflow, told to be quiet before it is imported."""
    quiet()
    import mlflow

    return mlflow


def connect() -> MlflowClient:
    """A client of the server; nothing is sent yet, but a database is opened.

    Raises:
        UserError: when nothing can be kept at that address.
        MlflowException: when the address is of no known kind.
        ImportError: when the database's driver is not installed.
        SQLAlchemyError: when the database cannot be opened.
    """
    _check_address()
    client: MlflowClient = import_mlflow().MlflowClient(tracking_uri=resolved_uri())
    return client


def _check_address() -> None:
    uri, remedy = resolved_uri(), "sqlite:///mlflow.db is one, or http://HOST:PORT"
    try:
        urlsplit(uri)
    except ValueError:
        raise UserError(f"MLFLOW_TRACKING_URI = {public_uri()}: not an address; {remedy}") from None
    if re.match(r"sqlite:(///?)?(:memory:|[?#]|$)", uri):
        raise UserError(f"MLFLOW_TRACKING_URI = {public_uri()}: memory, which ends with each process; {remedy}")
    if uri.startswith(SQLITE) and "'" in uri:
        raise UserError(f"{public_uri(uri)}: MLflow can use no database in a folder with ' in its name; rename it")


@contextmanager
def impatient() -> Iterator[None]:
    """Inside, requests to an absent server fail within seconds instead of minutes, unless the user set other limits.

    Not for uploads: a server may take its time to store a large model.
    """
    with set_meanwhile({name: value for name, value in IMPATIENT.items() if name not in os.environ}):
        yield


@contextmanager
def set_meanwhile(variables: Mapping[str, str]) -> Iterator[None]:
    """Inside, these variables of the environment have these values."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def as_default() -> Iterator[None]:
    """Inside, MLflow's functions that take no client use this server as well."""
    import mlflow

    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(resolved_uri())
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)  # type: ignore[arg-type]  # None is what it was


@contextmanager
def required(purpose: str) -> Iterator[None]:
    """Inside, whatever MLflow raises becomes one line.

    Args:
        purpose: what needs the server, as it stands in "MLflow is needed to ...".

    Raises:
        UserError: when the server cannot be reached or refuses.
    """
    quiet()
    import requests
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, ImportError, requests.RequestException, SQLAlchemyError) as error:
        _, remedy = _refusal(error) or ("", "check MLFLOW_TRACKING_URI, or unset it to use the embedded database")
        raise UserError(f"MLflow at {public_uri()} is needed to {purpose}: {reason(error)}; {remedy}") from error


def reason(error: BaseException) -> str:
    """What went wrong, in part of a line, without credentials."""
    text = " ".join(str(error).replace(tracking_uri(), public_uri()).split()) or type(error).__name__
    if "Max retries exceeded" in text or "Connection refused" in text:
        text = "no connection"
    if refusal := _refusal(error):
        text, _ = refusal
    text = without_credentials(text)
    return text if len(text) <= 200 else f"{text[:199]}…"


def _refusal(error: BaseException) -> tuple[str, str] | None:
    return next((known for said, known in REFUSALS.items() if said in str(error)), None)
