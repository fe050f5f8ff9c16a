"""A person's decisions: another champion, or the one before again. Each is in the log with who, when and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hrm.errors import UserError
from hrm.serving.description import fitting
from hrm.serving.history import CHAMPION, HAND, ROLLBACK, Entry, State, crown
from hrm.serving.reference import versions_of

if TYPE_CHECKING:
    from mlflow import MlflowClient


def promote(client: MlflowClient, name: str, version: int, reason: str) -> Entry:
    """Make a version the champion, whatever the rule says.

    Returns:
        The newest entry of the log: of this decision, or of one that was made at the same moment and came out later.

    Raises:
        UserError: when it is the champion already.
        MlflowException: when there is no such version.
    """
    client.get_model_version(name, str(version))
    state = State.read(client, name)
    if state.champion == version:
        raise UserError(f"{name} version {version}: it is the champion already")
    return _carry_out(client, state, version, HAND, reason)


def rollback(client: MlflowClient, name: str, reason: str) -> Entry:
    """Make the champion before champion again; said again, the one before that.

    Returns:
        As `promote`.

    Raises:
        UserError: when there was none before that still exists.
    """
    state = State.read(client, name)
    existing = versions_of(client, name)
    before = [version for version in state.champions() if version in existing and version != state.champion]
    if not before:
        raise UserError(f"{name}: no champion before to go back to; see `hrm registry show {name}`")
    return _carry_out(client, state, before[-1], ROLLBACK, reason)


def _carry_out(client: MlflowClient, state: State, version: int, how: str, reason: str) -> Entry:
    """Crown, and see that of two decisions at the same moment the later one in the log holds."""
    key = crown(client, state, version, how, reason)
    entry = State.read(client, state.name).log[key]
    page = client.get_model_version(state.name, str(version))
    words = "Champion again, by a rollback" if how == ROLLBACK else "Champion by a person's decision"
    line = f"{words}: {entry.by}, {entry.at}. {entry.reason}"
    client.update_model_version(state.name, str(version), fitting(f"{(page.description or '').rstrip()}\n\n{line}\n"))
    while True:
        after = State.read(client, state.name)
        newest = list(after.log.values())[-1]
        if after.champion == newest.version:
            return newest
        client.set_registered_model_alias(state.name, CHAMPION, str(newest.version))
