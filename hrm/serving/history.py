"""Who was champion when, and why: the log of a registered model, kept as its tags.

An entry is a tag of its own, so that two processes that write at the same moment lose nothing.
"""

from __future__ import annotations

import getpass
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION = "champion"
PREFIX, TIME = "champion.", "%Y%m%dT%H%M%S.%fZ"
RULE, HAND, ROLLBACK = "rule", "hand", "rollback"


@dataclass(frozen=True)
class Entry:
    """A version became champion."""

    version: int
    before: int | None
    """The champion until then."""
    how: str
    """By the `rule`, by `hand`, or by `rollback`."""
    by: str
    """Account in MLflow, or on the machine where MLflow has none."""
    at: str
    """ISO 8601, UTC."""
    reason: str


@dataclass(frozen=True)
class State:
    """A registered model at one moment."""

    name: str
    champion: int | None
    log: Mapping[str, Entry]
    """By tag, oldest first."""

    @classmethod
    def read(cls, client: MlflowClient, name: str) -> State:
        """In a single request: alias and log belong to the same moment."""
        model = client.get_registered_model(name)
        champion = model.aliases.get(CHAMPION)
        keys = sorted(key for key in model.tags if key.startswith(PREFIX))
        log = {key: Entry(**json.loads(model.tags[key])) for key in keys}
        return cls(name, None if champion is None else int(champion), log)

    def champions(self) -> list[int]:
        """Every champion that a rollback can return to, the present one last."""
        stack: list[int] = []
        for entry in self.log.values():
            if entry.before is not None and stack[-1:] != [entry.before]:
                stack.append(entry.before)
            if entry.how == ROLLBACK:
                while entry.version in stack[:-1] and stack[-1] != entry.version:
                    stack.pop()
            if stack[-1:] != [entry.version]:
                stack.append(entry.version)
        if self.champion is not None and stack[-1:] != [self.champion]:
            stack.append(self.champion)  # set in MLflow itself
        return stack


def crown(client: MlflowClient, state: State, version: int, how: str, reason: str) -> str:
    """Make a version the champion and log it; gives the tag of the entry.

    The alias first: should the process end between the two, the log lacks an entry, but names none that never was.
    """
    now = datetime.now(UTC)
    if state.log:
        # Later than what it follows, also where the clock of this machine is behind.
        last = datetime.strptime(list(state.log)[-1].split("/")[0], PREFIX + TIME).replace(tzinfo=UTC)
        now = max(now, last + timedelta(milliseconds=1))
    entry = Entry(version, state.champion, how, person(), now.isoformat(timespec="seconds"), reason[:3000])
    key = f"{PREFIX}{now.strftime(TIME)}/{secrets.token_hex(4)}"
    client.set_registered_model_alias(state.name, CHAMPION, str(version))
    client.set_registered_model_tag(state.name, key, json.dumps(asdict(entry), ensure_ascii=False))
    return key


def person() -> str:
    """Who acts, as they say themselves."""
    try:
        return os.environ.get("MLFLOW_TRACKING_USERNAME") or getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
