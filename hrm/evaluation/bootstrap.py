"""Bootstrap intervals: how sure a mean over tasks or puzzles is where it is no plain share of them.

Shapes: N cases, D different values among them, R resamples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 4000
SEED = 0
"""The same values always have the same interval."""


def bootstrap(values_N: NDArray[np.generic]) -> tuple[float, float]:
    """The 95 % percentile interval of the mean over cases that are drawn anew with replacement.

    A resample is how often it has each different value, a multinomial draw: N is of no account to time and memory. Two
    runs are compared by the interval of their cases' differences, which keeps each case paired with itself.

    Args:
        values_N: a value a case, at least one. Few should differ, as those of shares do.
    """
    values_D, counts_D = np.unique(values_N.astype(np.float64), return_counts=True)
    rng = np.random.Generator(np.random.Philox(SEED))
    drawn_RD = rng.multinomial(len(values_N), counts_D / len(values_N), size=RESAMPLES)
    low, high = np.quantile(drawn_RD @ values_D / len(values_N), [0.025, 0.975])
    return float(low), float(high)
