"""ARC: tasks of coloured grids (Chollet 2019), as the published release encodes, augments and names them.

A symmetry is 11 bytes: the number of a dihedral transform, then the image of each of the colours 0..9; 0 stays 0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hrm.errors import UserError
from hrm.puzzles import dihedral
from hrm.puzzles.arc_tasks import COLOURS, EVALUATION, MAX_SIZE, Pair, TaskFile, read_source, to_grid
from hrm.puzzles.base import Bytes, Examples, Grids, Ints, PuzzleKind, Rng, Sets, Table
from hrm.puzzles.drawing import Legend, svg_grid
from hrm.puzzles.steps import Step

PAD, END, FIRST_COLOUR = 0, 1, 2
TRIES = 5
"""Draws per wanted variant before a symmetric task is left with fewer."""

# The colours in which ARC is usually shown.
PALETTE = (
    *("#000000", "#0074d9", "#ff4136", "#2ecc40", "#ffdc00"),
    *("#aaaaaa", "#f012be", "#ff851b", "#7fdbff", "#870c25"),
)
COLOUR_NAMES = (
    *("black", "blue", "red", "green", "yellow"),
    *("grey", "magenta", "orange", "light blue", "maroon"),
)

_VARIANT = re.compile(r"(?P<task>.+)_t(?P<transform>[0-7])_(?P<colours>0[1-9]{9})")


class Arc(PuzzleKind):
    """ARC on a square canvas; tasks with a larger grid are left out."""

    kind: Literal["arc"] = "arc"
    canvas_size: Annotated[int, Field(ge=1, le=MAX_SIZE)] = MAX_SIZE
    """Height and width of the canvas."""

    vocab_size: ClassVar[int] = FIRST_COLOUR + COLOURS
    ignored_label: ClassVar[int | None] = PAD
    has_puzzle_ids: ClassVar[bool] = True
    arc_prize: ClassVar[bool] = True
    title: ClassVar[str] = "ARC"
    steps: ClassVar[tuple[Step, ...]] = (Step("turn", at=0), Step("values", at=1, size=COLOURS))
    legend: ClassVar[Legend] = Legend(PALETTE, COLOUR_NAMES, ("",) * COLOURS)
    limits: ClassVar[str] = (
        "Knows the tasks it was trained on, by their demonstrations: name one in the column `task`. "
        "For any other task it has no embedding, and will hardly solve it. No rule tells whether an answer is right."
    )

    @property
    def canvas(self) -> tuple[int, int]:
        """Height and width of the canvas."""
        return self.canvas_size, self.canvas_size

    @property
    def translates(self) -> bool:
        """Training pairs are moved about the canvas."""
        return True

    # -- raw files -----------------------------------------------------------------------------------------------------

    def read(self, sources: Sequence[Path]) -> Table:
        """Read task files `<source>/{training,evaluation}/<task>.json`.

        Groups are numbered by source as given, subset, and task name. The train split holds the demonstrations of all
        tasks and the test pairs of the training subsets; the test split, those of the evaluation subsets.

        Raises:
            UserError: naming file and place of the first thing that is wrong.
        """
        entries = [entry for source in sources for entry in read_source(source)]
        table = self.table(entries)
        if not table.names:
            raise UserError(
                f"{', '.join(map(str, sources))}: none of {len(entries)} tasks fits canvas_size = {self.canvas_size}; "
                "give a larger one"
            )
        source_of = {name: file.parents[1].name for _, name, file, _ in entries}
        return replace(
            table, test_sets=Sets.of([source_of[table.names[group]] for group in table.test.groups.tolist()])
        )

    def table(self, entries: Iterable[TaskFile]) -> Table:
        """Tasks as a table, without those that are too large for the canvas; `read` says what is in which split.

        Raises:
            UserError: when two have the same name.
        """
        files: dict[str, Path] = {}
        splits: dict[str, list[tuple[int, Pair]]] = {"train": [], "test": []}
        names: list[str] = []
        for subset, name, file, task in entries:
            if name in files:
                raise UserError(f"{file}: {files[name]} has the same task id; use one of the two sources")
            files[name] = file
            if task.size > self.canvas_size:
                continue
            group = len(names)
            names.append(name)
            splits["train"] += [(group, pair) for pair in task.train]
            splits["test" if subset == EVALUATION else "train"] += [(group, pair) for pair in task.test]
        notes = {"left_out_too_large": len(files) - len(names)}
        return Table(names, self._examples(splits["train"]), self._examples(splits["test"]), notes)

    def _examples(self, pairs: list[tuple[int, Pair]]) -> Examples:
        groups = np.array([group for group, _ in pairs], dtype=np.int64)
        questions = Grids.of([question for _, (question, _) in pairs], self.canvas)
        answers = Grids.of([answer for _, (_, answer) in pairs], self.canvas)
        return Examples(questions, answers, groups, ratings=np.zeros_like(groups))

    def parse(self, text: str) -> Bytes:
        """A grid from JSON lists (`[[0, 1], [2, 3]]`) or from rows of digits (`01 23`, or a row a line).

        Raises:
            ValueError: saying what is wrong with the text.
        """
        if text.lstrip().startswith("["):
            try:
                grid = to_grid(json.loads(text))
            except RecursionError:
                raise ValueError("nested too deeply") from None
        else:
            grid = to_grid([[int(cell) if cell in "0123456789" else cell for cell in row] for row in text.split()])
        if max(grid.shape) > self.canvas_size:
            height, width = grid.shape
            raise ValueError(f"{height} rows of {width} cells; the canvas has {self.canvas_size} of each")
        return grid

    def format(self, grid: Bytes) -> str:
        """A grid as JSON lists without spaces."""
        return json.dumps(grid.tolist(), separators=(",", ":"))

    # -- symmetries ----------------------------------------------------------------------------------------------------

    @property
    def identity(self) -> Bytes:
        """(11,) no transform, every colour itself."""
        return np.array([0, *range(COLOURS)], dtype=np.uint8)

    def sample(self, count: int, rng: Rng) -> Bytes:
        """(count, 11) uniform transforms with uniform permutations of the colours 1..9."""
        symmetries_BK = np.tile(self.identity, (count, 1))
        symmetries_BK[:, 0] = rng.integers(dihedral.COUNT, size=count)
        rng.permuted(symmetries_BK[:, 2:], axis=1, out=symmetries_BK[:, 2:])
        return symmetries_BK

    def variants(self, table: Table, count: int, rng_seed: int) -> tuple[Bytes, Ints]:
        """The symmetries of each task's variants: the identity, then up to `count` drawn ones.

        No two variants of a task are equal, compared over all its pairs; a task too symmetric for `count` different
        ones within 5 draws each ends with fewer. The draws depend on the seed and the task's name alone, so that other
        tasks may come and go.

        Returns:
            (V, 11) symmetries of all tasks one after another, and (G + 1,) where each task's begin.
        """
        chosen = []
        for name, task in zip(table.names, _tasks(table), strict=True):
            rng = np.random.default_rng([rng_seed, *name.encode()])
            tries_BK = np.concatenate([self.identity[None], self.sample(TRIES * count, rng)])
            firsts = np.unique(variant_keys(task, tries_BK), return_index=True)[1]
            chosen.append(tries_BK[np.sort(firsts)[: count + 1]])
        return np.concatenate(chosen), np.cumsum([0, *map(len, chosen)])

    def transform(self, grids: Grids, symmetries_BK: Bytes) -> Grids:
        """Each grid turned or flipped within its own extent, then recoloured."""
        codes = symmetries_BK[:, 0]
        shapes = np.where(dihedral.SWAPS_AXES[codes, None], grids.shapes[:, ::-1], grids.shapes)
        turned = np.zeros_like(grids.cells)
        rows = zip(turned, grids.cells, shapes.tolist(), grids.shapes.tolist(), codes.tolist(), strict=True)
        for target, canvas, (rows_after, columns_after), (height, width), code in rows:
            target[:rows_after, :columns_after] = dihedral.apply(canvas[:height, :width], code)
        # Cells outside the extent are 0, and 0 keeps its colour.
        cells = np.take_along_axis(symmetries_BK[:, 1:], turned.reshape(len(grids), -1), axis=1)
        return Grids(cells.reshape(turned.shape), shapes)

    def inverse(self, symmetries_BK: Bytes) -> Bytes:
        """The symmetries that undo the given ones; transforms and colours do not touch each other."""
        colours = np.argsort(symmetries_BK[:, 1:], axis=1)
        return np.column_stack([dihedral.INVERSE[symmetries_BK[:, 0]], colours.astype(np.uint8)])

    def variant_name(self, group: str, symmetry: Bytes) -> str:
        """`<task>_t<transform>_<images of colours 0..9>`; the task's own name for the identity."""
        if np.array_equal(symmetry, self.identity):
            return group
        return f"{group}_t{symmetry[0]}_{''.join(map(str, symmetry[1:]))}"

    def read_variant_name(self, name: str) -> tuple[str, Bytes]:
        """The task and the symmetry (11,) that a name stands for; any other name is a task's own."""
        return parse_variant_name(name)

    # -- tokens --------------------------------------------------------------------------------------------------------

    def encode(self, grids: Grids, offsets_B2: NDArray[np.integer[Any]] | None = None) -> Bytes:
        """(B, L) tokens: colours + 2, the end token below and right of each grid where that is on the canvas, pads."""
        size = self.canvas_size
        offsets = np.zeros((len(grids), 2), dtype=np.int64) if offsets_B2 is None else offsets_B2
        assert (offsets + grids.shapes <= size).all(), "a grid is moved off the canvas"
        # A margin of one row and one column takes the end tokens that are not on the canvas.
        tokens = np.full((len(grids), size + 1, size + 1), PAD, dtype=np.uint8)
        coloured = grids.cells + np.uint8(FIRST_COLOUR)
        for target, canvas, (height, width), (top, left) in zip(
            tokens, coloured, grids.shapes.tolist(), offsets.tolist(), strict=True
        ):
            bottom, right = top + height, left + width
            target[top:bottom, left:right] = canvas[:height, :width]
            target[bottom, left:right] = END
            target[top:bottom, right] = END
        return tokens[:, :size, :size].reshape(len(grids), size * size)

    def decode(self, tokens_BL: Bytes) -> Grids:
        """From each canvas the largest rectangle of colours at its top left, maybe 0 x 0; of equals the shallowest."""
        size = self.canvas_size
        tokens_BHW = tokens_BL.reshape(-1, size, size)
        is_colour = (tokens_BHW >= FIRST_COLOUR) & (tokens_BHW < self.vocab_size)
        run_BH = np.where(is_colour.all(axis=2), size, is_colour.argmin(axis=2))
        width_BH = np.minimum.accumulate(run_BH, axis=1)
        last_B = (width_BH * np.arange(1, size + 1)).argmax(axis=1)
        width_B = width_BH[np.arange(len(last_B)), last_B]
        height_B = np.where(width_B > 0, last_B + 1, 0)
        place = np.arange(size)
        inside = (place[:, None] < height_B[:, None, None]) & (place < width_B[:, None, None])
        cells = np.where(inside, tokens_BHW - np.uint8(FIRST_COLOUR), np.uint8(0))
        return Grids(cells, np.stack([height_B, width_B], axis=1).astype(np.uint8))

    # -- answers -------------------------------------------------------------------------------------------------------

    def is_valid(self, question: Bytes, answer: Bytes) -> bool | None:
        """None: only the true answer tells."""
        return None

    def draw(self, grid: Bytes, question: Bytes | None = None) -> str:
        """A grid in ARC's usual colours; the question is another picture and leaves no mark in it."""
        if not grid.size:
            return svg_grid([["#ffffff"]], label="an empty ARC grid")
        fills = [[PALETTE[colour] for colour in row] for row in grid.tolist()]
        return svg_grid(fills, label=f"ARC grid of {grid.shape[0]} rows and {grid.shape[1]} columns")


def parse_variant_name(name: str) -> tuple[str, Bytes]:
    """The task and the symmetry (11,) that a published variant name stands for; any other name is a task's own."""
    match = _VARIANT.fullmatch(name)
    if match is None or len(set(match["colours"])) < COLOURS:
        return name, Arc().identity
    return match["task"], np.array([int(match["transform"]), *map(int, match["colours"])], dtype=np.uint8)


def variant_keys(task: Grids, symmetries_BK: Bytes) -> Ints:
    """(B,) numbers, equal exactly where the symmetries give the same variant of a task.

    Name the colours of a variant in the order in which they first occur. Then the variant is its pattern of names and
    the list of colours named, and nothing else. Recolouring leaves the pattern alone, so there are at most eight, one a
    transform, and only the lists need to be computed for each symmetry.
    """
    grids = [task.grid(row) for row in range(len(task))]
    numbers: dict[bytes, int] = {}
    pattern_T = np.zeros(dihedral.COUNT, dtype=np.int64)
    colours_TC = np.zeros((dihedral.COUNT, COLOURS), dtype=np.int64)
    for code in range(dihedral.COUNT):
        turned = [dihedral.apply(grid, code) for grid in grids]
        cells = np.concatenate([grid.ravel() for grid in turned])
        order = list(dict.fromkeys(cells.tobytes()))
        name_of = np.zeros(COLOURS, dtype=np.uint8)
        name_of[order] = np.arange(len(order))
        shapes = np.array([grid.shape for grid in turned], dtype=np.uint8)
        pattern_T[code] = numbers.setdefault(shapes.tobytes() + name_of[cells].tobytes(), len(numbers))
        colours_TC[code, : len(order)] = order
    codes = symmetries_BK[:, 0]
    # The list as a number in base 10; the places after its end repeat colour 0, which is always 0.
    images_BC = np.take_along_axis(symmetries_BK[:, 1:], colours_TC[codes], axis=1)
    keys: Ints = pattern_T[codes] * 10**COLOURS + images_BC @ 10 ** np.arange(COLOURS)
    return keys


def _tasks(table: Table) -> list[Grids]:
    """All grids of each group of a table, from both splits."""
    sides = [side for split in (table.train, table.test) for side in (split.questions, split.answers)]
    groups = np.concatenate([table.train.groups, table.train.groups, table.test.groups, table.test.groups])
    cells, shapes = np.concatenate([side.cells for side in sides]), np.concatenate([side.shapes for side in sides])
    order = np.argsort(groups, kind="stable")
    bounds = np.searchsorted(groups[order], np.arange(len(table.names) + 1))
    everything = Grids(cells, shapes)
    return [everything.take(order[start:end]) for start, end in pairwise(bounds)]
