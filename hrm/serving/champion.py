"""The rule of promotion, and how processes on several machines keep it.

A new version becomes champion when there is none, or when it solves more of the same test puzzles than the champion by
more than chance. MLflow cannot set an alias on the condition that it is still what it was; but it hands out version
numbers one at a time, and a version comes into being together with its tags. So a version is born with the tag
`decision: pending`, and versions are decided in the order of their numbers: whoever finds an earlier one pending waits
for it, and decides it when its own process seems to be dead. What else changes the champion, a person's decision, is
found in the log afterwards, and the version is compared anew.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hrm.evaluation.paired import LEVEL, Paired
from hrm.serving.description import fitting
from hrm.serving.history import CHAMPION, RULE, State, crown
from hrm.serving.outcome import TESTS, read_outcome

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHALLENGER = "challenger"
DECISION, PENDING, NOT_COMPARED = "decision", "pending", "not compared"
UNDECIDED = "Whether it becomes the champion is not decided yet."
"""Stands in a description until it is."""
PATIENCE, PAUSE = 60.0, 0.2
"""Seconds to wait for each earlier version, many times what a decision takes; and between two looks."""


@dataclass(frozen=True)
class Decision:
    """What the rule says of a version."""

    verdict: str
    """`champion`, `challenger` or `not compared`."""
    text: str
    """The reason with its numbers."""
    before: int | None = None
    """The champion that the version was held against."""
    paired: Paired | None = None

    @property
    def tags(self) -> dict[str, str]:
        """For the version."""
        tags = {DECISION: self.verdict}
        if self.before is not None:
            tags["champion_before"] = str(self.before)
        if self.paired is not None:
            tags["solved_by_both"] = str(self.paired.both)
            tags["solved_by_this_alone"] = str(self.paired.only_new)
            tags["solved_by_champion_alone"] = str(self.paired.only_old)
            tags["solved_by_none"] = str(self.paired.none)
            tags["p_value"] = f"{self.paired.p_value:.3g}"
        return tags


def decide(client: MlflowClient, name: str, number: int) -> Decision:
    """Decide on a pending version in its turn: set aliases, the log, its tags and its description.

    May be said again, and by several processes: the result is the same.
    """
    _wait_turn(client, name, number)
    version = client.get_model_version(name, str(number))
    if version.tags[DECISION] != PENDING:
        return Decision(version.tags[DECISION], "Decided by another process meanwhile.")
    client.set_registered_model_alias(name, CHALLENGER, str(number))
    while True:
        before = State.read(client, name)
        decision = _judge(client, version, before)
        ours = None
        if decision.verdict == CHAMPION and before.champion != number:
            ours = crown(client, before, number, RULE, decision.text)
        after = State.read(client, name)
        others = [key for key in after.log if key not in before.log and key != ours]
        if not others:
            break
        if ours is not None:
            # Someone else decided meanwhile: theirs stands until this version has been compared with it.
            client.set_registered_model_alias(name, CHAMPION, str(after.log[others[-1]].version))
            client.delete_registered_model_tag(name, ours)
    _write(client, version, decision)
    return decision


def _wait_turn(client: MlflowClient, name: str, number: int) -> None:
    """Return when no earlier version is pending."""
    seen: list[int] = []
    until = 0.0
    while earlier := _pending(client, name, number):
        if earlier != seen:
            seen, until = earlier, time.monotonic() + PATIENCE * len(earlier)
        if time.monotonic() > until:
            decide(client, name, earlier[0])
        else:
            time.sleep(PAUSE)


def _pending(client: MlflowClient, name: str, number: int) -> list[int]:
    pending = client.search_model_versions(f"name = '{name}' and tags.{DECISION} = '{PENDING}'")
    return sorted(int(version.version) for version in pending if int(version.version) < number)


def _judge(client: MlflowClient, version: ModelVersion, state: State) -> Decision:
    """Hold a version against the champion, or where it is that already against the champion before."""
    number = int(version.version)
    champions = [champion for champion in state.champions() if champion != number]
    if state.champion is None or not champions:
        return Decision(CHAMPION, "The first champion: there was none.")
    before = champions[-1]
    decision = judge(client, version, client.get_model_version(state.name, str(before)))
    if state.champion == number and decision.verdict != CHAMPION:
        return Decision(CHAMPION, f"Champion: made so by hand. {decision.text}", before, decision.paired)
    return decision


def judge(client: MlflowClient, version: ModelVersion, champion: ModelVersion) -> Decision:
    """Hold a version against a champion by the rule."""
    before = int(champion.version)
    refused = f"Not compared with the champion, version {before}: "
    remedy = f"; `hrm registry promote {version.name} {version.version}` makes this version champion all the same."
    if champion.tags.get(TESTS) != version.tags.get(TESTS):
        return Decision(NOT_COMPARED, f"{refused}it was tested on other puzzles{remedy}", before)
    new, old = read_outcome(client, version), read_outcome(client, champion)
    if new is None or old is None:
        return Decision(NOT_COMPARED, f"{refused}which puzzles it solved is not on record{remedy}", before)
    paired = Paired.of(new.solved_E, old.solved_E)
    won = paired.new_is_better
    start = f"Champion: beats version {before}, the champion before," if won else f"Challenger: version {before} stays,"
    more = "more than chance" if paired.p_value < LEVEL else "no more than chance"
    text = (
        f"{start} on the same {paired.count:,} test puzzles. This version alone solves {paired.only_new:,}, version "
        f"{before} alone {paired.only_old:,}, both {paired.both:,}, none {paired.none:,} ({new.solved_E.mean():.1%} "
        f"and {old.solved_E.mean():.1%}): {more}, p = {paired.p_value:.2g} (exact two-sided sign test over puzzles, "
        f"level {LEVEL:g})."
    )
    return Decision(CHAMPION if won else CHALLENGER, text, before, paired)


def _write(client: MlflowClient, version: ModelVersion, decision: Decision) -> None:
    """The version's page says so; the tag that ends its turn comes last."""
    name, number = version.name, str(version.version)
    text = client.get_model_version(name, number).description or ""
    client.update_model_version(name, number, fitting(text.replace(UNDECIDED, decision.text)))
    for key, value in reversed(decision.tags.items()):
        client.set_model_version_tag(name, number, key, value)
