"""A sweep before it begins: which runs it has, each checked before anything is spent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hrm.errors import UserError
from hrm.settings import whole_again
from hrm.stages.resolve import check_score, resolve


def plan(
    experiments: Sequence[str], seeds: Sequence[Any], overrides: Sequence[str], *, metric: str, **given: Any
) -> list[dict[str, Any]]:
    """Each experiment with each seed.

    Args:
        experiments: names.
        seeds: of the trainings.
        overrides: `key=value` for all of them.
        metric: the score that will decide.
        given: what else `hrm.stages.resolve.resolve` takes.

    Raises:
        UserError: when there is nothing to do, something twice, or settings that cannot be used.
    """
    seeds = whole_again(list(seeds))
    for what, values in (("experiments", experiments), ("seeds", seeds)):
        if not values:
            raise UserError(f"{what}: none; a sweep needs at least one")
        if twice := [value for place, value in enumerate(values) if value in values[:place]]:
            raise UserError(f"{what}: {twice[0]!r} stands there twice, and would give the same run twice")
    for seed in seeds:
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise UserError(f"seeds: {seed!r}: expected a whole number from 0 on")
    for name in experiments:
        for seed in seeds:
            found = resolve(name, [*overrides, f"train.seed={seed}"], **given)
        check_score(found, "metric", metric)
    return [{"experiment": name, "seed": seed} for name in experiments for seed in seeds]
