"""The rule of promotion: one process, and many at the same moment."""

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import made_up_versions
import pytest
import small_run
from made_up_versions import pending, register
from platform_server import Platform

from hrm.errors import UserError
from hrm.evaluation.paired import Paired
from hrm.serving import champion as rule
from hrm.serving.by_hand import promote, rollback
from hrm.serving.champion import decide
from hrm.serving.history import State
from hrm.tracking.server import connect

TESTS_DIR = Path(made_up_versions.__file__).parent


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_run.use_embedded_mlflow(tmp_path, monkeypatch)


def solves(*rows: range) -> str:
    """Of 40 test puzzles."""
    return "".join("1" if any(row in part for part in rows) else "0" for row in range(40))


def champion(name: str = "small") -> int | None:
    return State.read(connect(), name).champion


def page(number: int, name: str = "small") -> str:
    return connect().get_model_version(name, str(number)).description or ""


@pytest.mark.usefixtures("embedded")
def test_who_cannot_be_compared_is_not_promoted() -> None:
    assert register("small", solves(range(10))).verdict == "champion"
    other = register("small", solves(range(40)), tests="other puzzles")
    assert other.verdict == "not compared"
    assert (
        "Not compared with the champion, version 1: it was tested on other puzzles; `hrm registry promote small 2`"
        in (page(2))
    )
    connect().delete_model_version_tag("small", "1", "solved")  # as versions were before
    assert register("small", solves(range(40))).verdict == "not compared"
    assert "which puzzles it solved is not on record" in page(3)
    assert champion() == 1
    version = connect().get_model_version("small", "3")
    assert (version.tags["decision"], version.tags["champion_before"]) == ("not compared", "1")


@pytest.mark.usefixtures("embedded")
def test_a_rollback_restores_and_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ann")
    client = connect()
    for solved in (solves(range(5)), solves(range(20)), solves(range(40))):
        assert register("small", solved).verdict == "champion"
    register("small", solves(range(7)))
    assert rollback(client, "small", "too slow").version == champion() == 2
    assert rollback(client, "small", "slower still").version == champion() == 1
    with pytest.raises(UserError, match=r"^small: no champion before to go back to; see `hrm registry show small`$"):
        rollback(client, "small", "none left")
    assert promote(client, "small", 4, "for the demo").version == champion() == 4
    assert rollback(client, "small", "after the demo").version == champion() == 1
    with pytest.raises(UserError, match="small version 1: it is the champion already"):
        promote(client, "small", 1, "again")
    log = list(State.read(client, "small").log.values())
    assert [(entry.version, entry.before, entry.how, entry.by) for entry in log] == [
        (1, None, "rule", "ann"),
        (2, 1, "rule", "ann"),
        (3, 2, "rule", "ann"),
        (2, 3, "rollback", "ann"),
        (1, 2, "rollback", "ann"),
        (4, 1, "hand", "ann"),
        (1, 4, "rollback", "ann"),
    ]
    assert log[3].reason == "too slow"
    assert "Champion by a person's decision: ann, 2" in page(4)
    assert page(4).endswith(". for the demo\n")


@pytest.mark.usefixtures("embedded")
def test_a_champion_that_was_set_in_mlflow_itself_counts() -> None:
    client = connect()
    register("small", solves(range(30)))
    register("small", solves(range(5)))
    client.set_registered_model_alias("small", "champion", "2")
    third = register("small", solves(range(20)))
    assert (third.verdict, third.before, champion()) == ("champion", 2, 3)
    assert rollback(client, "small", "back").version == 2
    client.delete_model_version("small", "2")
    assert champion() is None
    assert rollback(client, "small", "and on").version == 1
    client.delete_registered_model_alias("small", "champion")
    assert rollback(client, "small", "and again").version == 1


@pytest.mark.usefixtures("embedded")
def test_a_version_whose_process_died_is_decided_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule, "PATIENCE", 0.5)
    register("small", solves(range(5)))
    dead = [pending("small", solves(range(20))), pending("small", solves(range(21)))]
    connect().set_registered_model_alias("small", "champion", str(dead[0]))  # it came this far
    last = register("small", solves(range(40)))
    assert (last.verdict, last.before, champion()) == ("champion", 2, 4)
    assert connect().get_model_version("small", "2").tags["champion_before"] == "1"
    assert "Champion: beats version 1, the champion before" in page(2)
    assert "Challenger: version 2 stays" in page(3)
    # Not dead but slow: what was decided stays.
    assert decide(connect(), "small", 3).verdict == "challenger"
    assert State.read(connect(), "small").champions() == [1, 2, 4]


@pytest.mark.usefixtures("embedded")
@pytest.mark.parametrize(("by_hand", "verdict", "holder"), [(20, "champion", 3), (39, "challenger", 2)])
def test_a_person_who_decides_meanwhile_is_heard(
    monkeypatch: pytest.MonkeyPatch, by_hand: int, verdict: str, holder: int
) -> None:
    register("small", solves(range(5)))
    register("small", "0" * 40)
    number = pending("small", solves(range(40)))
    connect().set_model_version_tag("small", "2", "solved", made_up_solved(number, solves(range(by_hand))))
    judge, calls = rule._judge, []

    def interrupted(*arguments: object) -> rule.Decision:
        decision = judge(*arguments)
        calls.append(decision.before)
        if len(calls) == 1:
            promote(connect(), "small", 2, "I know better")
        return decision

    monkeypatch.setattr(rule, "_judge", interrupted)
    assert decide(connect(), "small", number).verdict == verdict
    assert (calls, champion()) == ([1, 2], holder)
    assert State.read(connect(), "small").champions() == ([1, 2, 3] if holder == 3 else [1, 2])


def made_up_solved(number: int, solved: str) -> str:
    """An artifact in version 2's run that says it solves these; its path."""
    other = connect().get_model_version("small", str(pending("small", solved)))
    connect().set_model_version_tag("small", other.version, "decision", "challenger")
    connect().set_model_version_tag("small", "2", "decision", "challenger")
    path = other.tags["solved"]
    text = made_up_versions.Outcome("tests", made_up_versions.np.array([one == "1" for one in solved])).text()
    connect().log_text(connect().get_model_version("small", "2").run_id, text, path)
    return path


def race(name: str, solved: list[list[str]], environment: Mapping[str, str]) -> None:
    """Processes that register at the same moment, each some versions one after another."""
    command = [sys.executable, str(TESTS_DIR / "made_up_versions.py"), name]
    place = {"env": {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environment}, "text": True}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with ExitStack() as ended:
        processes = [ended.enter_context(subprocess.Popen([*command, *each], **place, **pipes)) for each in solved]
        for process in processes:
            assert process.stdout.readline() == "ready\n", process.stderr.read()
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()
        for process in processes:
            _, said = process.communicate(timeout=300)
            assert process.returncode == 0, said


def assert_rule_held(name: str) -> None:
    """The log of MLflow's own order of versions, gone through again from the start."""
    client = connect()
    versions = sorted(client.search_model_versions(f"name = '{name}'"), key=lambda version: int(version.version))
    holder, outcomes, reigns = None, {}, []
    for version in versions:
        number = int(version.version)
        outcomes[number] = rule.read_outcome(client, version).solved_E
        won = holder is None or Paired.of(outcomes[number], outcomes[holder]).new_is_better
        assert version.tags["decision"] == ("champion" if won else "challenger"), number
        assert version.tags.get("champion_before") == (None if holder is None else str(holder))
        if won:
            holder = number
            reigns.append(number)
    aliases = {alias: int(version) for alias, version in client.get_registered_model(name).aliases.items()}
    assert aliases == {"champion": holder, "challenger": len(versions)}
    assert [entry.version for entry in State.read(client, name).log.values()] == reigns


RACES = [
    [[solves(range(20))], [solves(range(20, 40))]],
    [[solves(range(4 * step)), solves(range(4 * step + 20))] for step in range(4)],
]


@pytest.mark.parametrize("versions", RACES, ids=["two equal ones", "four with two each"])
def test_at_the_same_moment(
    shared_mlflow: int, monkeypatch: pytest.MonkeyPatch, versions: list[list[str]], request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{shared_mlflow}")
    name = f"race-{len(versions)}"
    race(name, versions, {})
    assert len(connect().search_model_versions(f"name = '{name}'")) == sum(map(len, versions))
    assert_rule_held(name)


@pytest.mark.services
def test_at_the_same_moment_on_a_platform(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in platform.environment.items():
        monkeypatch.setenv(key, value)
    race("race", RACES[1], platform.environment)
    assert_rule_held("race")
