"""With which settings the scores of a version were made, and where it answers otherwise once it is served."""

from __future__ import annotations

from hrm.config import EvaluateSettings, VoteSettings
from hrm.evaluation.vote import RANKED


def made_with(asked: EvaluateSettings, voted: VoteSettings, votes: int, trained: int) -> str:
    """The sentences below the scores.

    Args:
        asked: the settings of the evaluation.
        voted: those of the vote.
        votes: most answers that voted on a puzzle.
        trained: most segments of a puzzle in training, which a served model runs.
    """
    limit = asked.max_steps or trained
    halting = ", or fewer where the model prefers to halt" if asked.steps == "halt" else ""
    said = [f"Each answer took {limit} segment{'s' * (limit > 1)}{halting}."]
    served = []
    if halting or limit != trained:
        served.append(f"runs {trained} segment{'s' * (trained > 1)} unless `steps` says otherwise")
    if votes > 1:
        more = f" from {asked.starts} starts with noise of {asked.noise:g}" if asked.starts > 1 else ""
        more += f" by {asked.checkpoints} checkpoints" if asked.checkpoints > 1 else ""
        said.append(f"Copies{more} voted; candidates are ranked {RANKED[voted.rule]}.")
        if more or voted.rule != "votes":
            served.append("lets copies alone vote, ranked as published unless `rule` says otherwise")
    if served:
        said.append(f"Once it is served, the model {' and '.join(served)}: its answers can differ from those scored.")
    return " ".join(said)
