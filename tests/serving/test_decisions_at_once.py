"""Decisions by hand, and registrations, at the same moment: real requests to a real server, from several threads."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from made_up_versions import pending, register
from platform_server import Platform

from hrm.errors import UserError
from hrm.serving.by_hand import promote, rollback
from hrm.serving.champion import Decision, decide
from hrm.serving.history import HAND, ROLLBACK, RULE, Entry, State
from hrm.tracking.server import connect

ROUNDS = 4


@pytest.fixture
def shared(shared_mlflow: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{shared_mlflow}")


def at_once(*actions: Callable[[], object]) -> list[object]:
    """What each says; they begin together."""
    barrier = threading.Barrier(len(actions))

    def begun(action: Callable[[], object]) -> object:
        barrier.wait()
        try:
            return action()
        except UserError as error:  # for instance: it is the champion already
            return str(error)

    with ThreadPoolExecutor(len(actions)) as threads:
        return list(threads.map(begun, actions))


def by_hand(name: str) -> None:
    """Promotions and rollbacks at once, on a model with four versions."""
    for version in range(4):
        register(name, "1" * (5 + 10 * version) + "0" * (35 - 10 * version))
    client = connect()
    for number in range(ROUNDS):
        before = State.read(client, name)
        said = at_once(
            lambda: promote(connect(), name, 1, "one"),
            lambda: promote(connect(), name, 2, "two"),
            lambda number=number: (
                rollback(connect(), name, "back") if number % 2 else promote(connect(), name, 3, "three")
            ),
        )
        after = State.read(client, name)
        new = [entry for key, entry in after.log.items() if key not in before.log]
        # Each is in the log, the last one in it holds, and whoever was told of a champion was told of one in the log.
        assert len(new) == sum(isinstance(one, Entry) for one in said)
        assert after.champion == new[-1].version == list(after.log.values())[-1].version
        assert all(one in new for one in said if isinstance(one, Entry))
        assert {entry.how for entry in new} <= {HAND, ROLLBACK}
        assert after.champion in after.champions()


def with_a_registration(name: str) -> None:
    """A version that beats all others is decided on while a person promotes another."""
    register(name, "1" * 5 + "0" * 200)
    register(name, "1" * 6 + "0" * 199)
    client = connect()
    for number in range(ROUNDS):
        solved = 20 + 20 * number
        version = pending(name, "1" * solved + "0" * (205 - solved))
        holder = State.read(client, name).champion
        other = 2 if holder == 1 else 1
        said = at_once(
            lambda version=version: decide(connect(), name, version),
            lambda other=other: promote(connect(), name, other, "by hand"),
        )
        state = State.read(client, name)
        newest = list(state.log.values())[-1]
        assert isinstance(said[0], Decision)
        # It is better than either, whoever came first; a person who came last is heard all the same.
        assert state.champion == newest.version
        assert (newest.version, newest.how) in ((version, RULE), (other, HAND))
        assert client.get_model_version(name, str(version)).tags["decision"] == "champion"
        assert [entry.version for entry in state.log.values()].count(version) == 1
        assert [entry.how for entry in state.log.values()].count(HAND) == number + 1


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("decisions", [by_hand, with_a_registration])
def test_exactly_one_champion(decisions: Callable[[str], None]) -> None:
    decisions(decisions.__name__)


@pytest.mark.services
@pytest.mark.parametrize("decisions", [by_hand, with_a_registration])
def test_exactly_one_champion_on_a_platform(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, decisions: Callable[[str], None]
) -> None:
    for key, value in platform.environment.items():
        monkeypatch.setenv(key, value)
    decisions(decisions.__name__)
