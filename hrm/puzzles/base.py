"""What a kind of puzzle is: the small protocol behind which ARC, Sudoku and Maze differ.

Shapes are written with these letters: B examples of a batch, N examples of a table, H and W the canvas, L = H * W
tokens, K bytes of one symmetry, G groups, V variants.

Three representations follow one another:

- **raw files**, as people publish them (JSON tasks, CSV rows of characters);
- **grids**: cells as small integers on an H x W canvas, each with its own height and width at the top left;
- **tokens**: what the model reads and writes, L a sequence.

A symmetry is one row of K small integers (a `uint8` array), and row `identity` changes nothing. Datasets store the
symmetries of the variants, not the variants.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hrm.puzzles.drawing import Legend
from hrm.puzzles.steps import Step, words
from hrm.settings import Settings

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Rng = np.random.Generator


@dataclass(frozen=True)
class Grids:
    """Grids on a common canvas; cells outside a grid's own extent are 0."""

    cells: Bytes
    """(N, H, W) cell values."""
    shapes: NDArray[np.uint8]
    """(N, 2) height and width of each grid."""

    @classmethod
    def of(cls, grids: Sequence[Bytes], canvas: tuple[int, int]) -> Grids:
        """Grids at the top left of canvases of a height and width.

        Raises:
            ValueError: when one is larger than its canvas.
        """
        height, width = canvas
        cells_NHW = np.zeros((len(grids), height, width), np.uint8)
        for target, grid in zip(cells_NHW, grids, strict=True):
            if grid.shape[0] > height or grid.shape[1] > width:
                raise ValueError(f"a grid of {grid.shape[0]} × {grid.shape[1]} cells is larger than {height} × {width}")
            target[: grid.shape[0], : grid.shape[1]] = grid
        return cls(cells_NHW, np.array([grid.shape for grid in grids], np.uint8).reshape(-1, 2))

    def __len__(self) -> int:
        return len(self.cells)

    def take(self, rows: NDArray[np.integer[Any]] | slice) -> Grids:
        """The grids of the given rows."""
        return Grids(self.cells[rows], self.shapes[rows])

    def joined(self, others: Grids) -> Grids:
        """These grids, then others on a canvas of the same size."""
        return Grids(np.concatenate([self.cells, others.cells]), np.concatenate([self.shapes, others.shapes]))

    def grid(self, row: int) -> Bytes:
        """One grid, cut to its own height and width."""
        height, width = self.shapes[row]
        return self.cells[row, :height, :width]


@dataclass(frozen=True)
class Examples:
    """The examples of one split, ordered by group."""

    questions: Grids
    answers: Grids
    groups: Ints
    """(N,) the group each example belongs to, ascending."""
    ratings: Ints
    """(N,) how hard each example is (Sudoku: search effort, Maze: path length); 0 where a kind has no rating."""

    def __len__(self) -> int:
        return len(self.groups)

    def take(self, rows: Ints) -> Examples:
        """The examples of the given rows."""
        return Examples(self.questions.take(rows), self.answers.take(rows), self.groups[rows], self.ratings[rows])

    def joined(self, others: Examples) -> Examples:
        """These examples, then others of groups after theirs."""
        return Examples(
            self.questions.joined(others.questions),
            self.answers.joined(others.answers),
            np.concatenate([self.groups, others.groups]),
            np.concatenate([self.ratings, others.ratings]),
        )


@dataclass(frozen=True)
class Sets:
    """Which set each test example comes from, such as the list that a Sudoku was published in."""

    names: list[str]
    """Of the sets, each once."""
    members: Ints
    """(N,) the set of each example, as a place in `names`."""

    @classmethod
    def of(cls, labels: Sequence[str]) -> Sets:
        """The sets that each example's label names."""
        places = {label: place for place, label in enumerate(dict.fromkeys(labels))}
        return cls(list(places), np.array([places[label] for label in labels], np.int64))


@dataclass(frozen=True)
class Table:
    """Everything read from the raw files: groups by number, and their examples in the two splits."""

    names: Sequence[str]
    """(G,) the name of each group, unique."""
    train: Examples
    test: Examples
    notes: dict[str, int]
    """Counts worth telling, such as tasks left out because they do not fit the canvas."""
    test_sets: Sets | None = None
    """The sets of the test examples, if they are known."""


class PuzzleKind(Settings, ABC):
    """A kind of puzzle with its settings (a canvas, a box size), and all that is particular to it."""

    kind: str
    """The name of the kind, which `params.yaml` selects it by."""

    ignored_label: ClassVar[int | None]
    """The label token that is not learned, if any."""
    has_puzzle_ids: ClassVar[bool]
    """Whether each variant has a puzzle id of its own (ARC), or all share id 0."""
    limits: ClassVar[str]
    """What a user of a trained model must know, in a sentence or two."""
    rating_name: ClassVar[str] = "rating"
    """What the ratings of its puzzles are."""
    eases: ClassVar[bool] = False
    """Whether a question with some of the answer's cells copied into it is an easier question with the same answer."""
    arc_prize: ClassVar[bool] = False
    """Whether answers are scored, and written down for submission, by the rules of the ARC Prize as well."""

    @property
    def title(self) -> str:
        """What people call this kind of puzzle."""
        return self.kind.capitalize()

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """Number of different tokens; the pad token is 0."""

    @property
    @abstractmethod
    def canvas(self) -> tuple[int, int]:
        """Height and width of the canvas; their product is the sequence length."""

    # -- raw files -----------------------------------------------------------------------------------------------------

    @abstractmethod
    def read(self, sources: Sequence[Path]) -> Table:
        """Read and check raw source folders.

        Raises:
            UserError: naming file and place of the first thing that is wrong.
        """

    @abstractmethod
    def parse(self, text: str) -> Bytes:
        """One question or answer as people write it, as a grid (height, width).

        Raises:
            ValueError: saying what is wrong with the text.
        """

    @abstractmethod
    def format(self, grid: Bytes) -> str:
        """A grid as text; `parse` reads it back."""

    # -- symmetries ----------------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def identity(self) -> Bytes:
        """(K,) the symmetry that changes nothing."""

    @abstractmethod
    def sample(self, count: int, rng: Rng) -> Bytes:
        """(count, K) random symmetries."""

    def variants(self, table: Table, count: int, rng_seed: int) -> tuple[Bytes, Ints]:
        """The symmetries of each group's variants: the identity, then `count` random ones if it has training examples.

        Args:
            table: the puzzles.
            count: variants wanted besides the original.
            rng_seed: the result is a pure function of it and of the table.

        Returns:
            (V, K) symmetries of all groups one after another, and (G + 1,) where each group's begin.
        """
        drawn = np.zeros(len(table.names), dtype=np.int64)
        drawn[table.train.groups] = count
        starts = np.concatenate([[0], np.cumsum(1 + drawn)])
        is_identity = np.zeros(starts[-1], dtype=bool)
        is_identity[starts[:-1]] = True
        symmetries_VK = np.empty((starts[-1], len(self.identity)), dtype=np.uint8)
        symmetries_VK[is_identity] = self.identity
        symmetries_VK[~is_identity] = self.sample(int(drawn.sum()), np.random.default_rng(rng_seed))
        return symmetries_VK, starts

    @abstractmethod
    def transform(self, grids: Grids, symmetries_BK: Bytes) -> Grids:
        """Each grid under its symmetry."""

    @abstractmethod
    def inverse(self, symmetries_BK: Bytes) -> Bytes:
        """(B, K) the symmetries that undo the given ones."""

    @abstractmethod
    def variant_name(self, group: str, symmetry: Bytes) -> str:
        """The published name of a variant; the group's own name for the identity."""

    def read_variant_name(self, name: str) -> tuple[str, Bytes]:
        """The group and the symmetry (K,) that a name of `variant_name` stands for; kinds with puzzle ids have it."""
        return name, self.identity

    @property
    def steps(self) -> tuple[Step, ...]:
        """What a symmetry does, as data that a page can carry out; none where a kind's symmetries are not of such."""
        return ()

    def describe(self, symmetry: Bytes) -> str:
        """What a symmetry (K,) does, for people."""
        if self.steps or np.array_equal(symmetry, self.identity):
            return words(self.steps, symmetry, self.legend.names)
        return self.variant_name("", symmetry).strip("_")

    # -- tokens --------------------------------------------------------------------------------------------------------

    @abstractmethod
    def encode(self, grids: Grids, offsets_B2: NDArray[np.integer[Any]] | None = None) -> Bytes:
        """(B, L) tokens of grids, each moved down and right by its offset (only kinds that `translates`)."""

    @abstractmethod
    def decode(self, tokens_BL: Bytes) -> Grids:
        """The answer cut from each canvas of tokens."""

    @property
    def translates(self) -> bool:
        """Whether training examples may be moved on the canvas."""
        return False

    # -- answers -------------------------------------------------------------------------------------------------------

    @abstractmethod
    def is_valid(self, question: Bytes, answer: Bytes) -> bool | None:
        """Whether an answer solves the question by the rules alone; None where only the true answer can tell (ARC)."""

    def are_valid(self, questions: Grids, answers: Grids) -> NDArray[np.bool_] | None:
        """(N,) which answers solve their questions by the rules alone; None where only the true answer can tell.

        A kind with a faster way to look at many puzzles at once has its own.
        """
        verdicts = np.zeros(len(questions), np.bool_)
        for row in range(len(questions)):
            verdict = self.is_valid(questions.grid(row), answers.grid(row))
            if verdict is None:
                return None
            verdicts[row] = verdict
        return verdicts

    def first_fault(self, questions: Grids, answers: Grids) -> tuple[int, str] | None:
        """The first row whose answer does not solve its question by the rules, and what is wrong.

        A kind with a faster way to look at many puzzles at once, or more to say, has its own.
        """
        for row in range(len(questions)):
            if self.is_valid(questions.grid(row), answers.grid(row)) is False:
                return row, "the answer does not solve the question"
        return None

    @abstractmethod
    def draw(self, grid: Bytes, question: Bytes | None = None) -> str:
        """A grid as a self-contained SVG made by `svg_grid`; cells that differ from the question may be drawn apart."""

    @property
    def legend(self) -> Legend:
        """How a page draws each cell value; a kind without colours of its own shows numbers."""
        return Legend.numbered(self.vocab_size)

    @property
    def symbols(self) -> str:
        """A character for each cell value, for where there are no colours."""
        return "0123456789abcdefghijklmnopqrstuvwxyz"
