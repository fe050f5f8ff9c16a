"""A Sudoku solver for any box size: constraint propagation and search on bit masks.

Cells are numbered row by row. `candidates` holds for each cell the digits it may still take, digit d as bit d - 1. All
is whole-number arithmetic in a fixed order, so results and ratings are the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

Order = Callable[[list[int]], list[int]]
"""In which order the search tries the candidates (as bits) of a cell."""


@dataclass(frozen=True)
class Solved:
    """What a complete search finds."""

    answers: list[list[int]]
    """The solutions, up to the limit of the search."""
    dead_ends: int
    """Guesses that turned out wrong: 0 where naked and hidden singles are enough."""


class Solver:
    """Solves Sudokus of one box size."""

    def __init__(self, box: tuple[int, int]) -> None:
        height, width = box
        side = height * width
        self._all = (1 << side) - 1
        lines = [[row * side + column for column in range(side)] for row in range(side)]
        boxes: list[list[int]] = [[] for _ in range(side)]
        for cell in range(side * side):
            row, column = divmod(cell, side)
            boxes[row // height * height + column // width].append(cell)
        self._units = [*lines, *(list(line) for line in zip(*lines, strict=True)), *boxes]
        self._peers = [
            sorted({peer for unit in self._units if cell in unit for peer in unit} - {cell})
            for cell in range(side * side)
        ]

    def candidates(self, digits: Sequence[int]) -> list[int] | None:
        """What is possible after the given digits (0 = blank), or None if they contradict each other."""
        candidates = [self._all] * len(digits)
        for cell, digit in enumerate(digits):
            if digit and not (candidates[cell] >> (digit - 1) & 1 and self.place(candidates, cell, 1 << (digit - 1))):
                return None
        return candidates

    def place(self, candidates: list[int], cell: int, bit: int) -> bool:
        """Put a digit into a cell and follow the naked singles; False at a contradiction. Changes `candidates`."""
        candidates[cell] = bit
        singles = [cell]
        while singles:
            cell = singles.pop()
            bit = candidates[cell]
            for peer in self._peers[cell]:
                mask = candidates[peer]
                if mask & bit:
                    mask ^= bit
                    if not mask:
                        return False
                    candidates[peer] = mask
                    if not mask & (mask - 1):
                        singles.append(peer)
        return True

    def solve(self, digits: Sequence[int], *, limit: int = 2) -> Solved:
        """Search for solutions; with the default limit, one solution means that it is the only one."""
        candidates = self.candidates(digits)
        if candidates is None:
            return Solved([], 0)
        search = Search(self, candidates)
        return Solved(list(islice(search, limit)), search.dead_ends)

    def has_other(self, digits: Sequence[int], cell: int) -> bool:
        """Whether a puzzle without the given in `cell` has a solution with another digit there."""
        rest = list(digits)
        rest[cell] = 0
        candidates = self.candidates(rest)
        assert candidates is not None
        for bit in _bits(candidates[cell] & ~(1 << (digits[cell] - 1))):
            branch = candidates.copy()
            if self.place(branch, cell, bit) and next(iter(Search(self, branch)), None):
                return True
        return False

    def settle(self, candidates: list[int]) -> bool:
        """Place hidden singles until there are none; False at a contradiction. Changes `candidates`."""
        while True:
            found = False
            for unit in self._units:
                once = twice = 0
                for cell in unit:
                    mask = candidates[cell]
                    twice |= once & mask
                    once |= mask
                if once != self._all:
                    return False
                hidden = once & ~twice
                for cell in unit:
                    mask = candidates[cell]
                    single = mask & hidden
                    if single and mask & (mask - 1):
                        # Two hidden singles in one cell: the first leaves the second no place, which is found next.
                        found = True
                        if not self.place(candidates, cell, single & -single):
                            return False
            if not found:
                return True


class Search:
    """Iterates over the solutions that a state of candidates allows, counting wrong guesses.

    Guesses at the first of the cells with fewest candidates.
    """

    def __init__(self, solver: Solver, candidates: list[int], order: Order = lambda bits: bits) -> None:
        self.dead_ends = 0
        self._solver, self._start, self._order = solver, candidates, order

    def __iter__(self) -> Iterator[list[int]]:
        states = [self._start.copy()]
        while states:
            state = states.pop()
            if not self._solver.settle(state):
                self.dead_ends += 1
                continue
            choices = [(mask.bit_count(), cell) for cell, mask in enumerate(state) if mask & (mask - 1)]
            if not choices:
                yield [mask.bit_length() for mask in state]
                continue
            _, cell = min(choices)
            for bit in reversed(self._order(_bits(state[cell]))):
                branch = state.copy()
                if self._solver.place(branch, cell, bit):
                    states.append(branch)
                else:
                    self.dead_ends += 1


def _bits(mask: int) -> list[int]:
    """The single bits of a mask, ascending."""
    bits = []
    while mask:
        bits.append(mask & -mask)
        mask &= mask - 1
    return bits
