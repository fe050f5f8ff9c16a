"""The published column format.

Sudoku-Extreme and Maze-Hard are CSV files with the columns `source,question,answer,rating`, a split each (`train.csv`,
`test.csv`), a puzzle a line, question and answer as one string of cells row by row. The largest has 3.8 million lines,
so files are parsed as blocks of bytes: no Python object is made for a cell, a line or a name.

Letters for shapes: N lines, n lines of one block, L cells of a puzzle.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from hrm.artifacts import written_beside
from hrm.errors import UserError
from hrm.puzzles.base import Bytes, Ints

COLUMNS = ("source", "question", "answer", "rating")
BLOCK_BYTES = 1 << 23
NEWLINE, RETURN, COMMA, ZERO, QUOTE = b'\n\r,0"'
UNKNOWN = 255
"""Stands for a character outside the alphabet, while a block is checked."""


class Row(NamedTuple):
    """One line of a table."""

    source: str
    """Where the puzzle comes from."""
    question: str
    """The cells, row by row."""
    answer: str
    """The solved cells, row by row."""
    rating: int
    """How hard it is."""


@dataclass(frozen=True)
class Columns:
    """A table without its `source` column."""

    questions: Bytes
    """(N, L) codes of the alphabet."""
    answers: Bytes
    """(N, L) codes of the alphabet."""
    ratings: Ints
    """(N,) how hard each puzzle is."""

    def __len__(self) -> int:
        return len(self.ratings)


def write_table(path: Path, rows: Iterable[Row]) -> None:
    """Write a table, the same bytes on every machine."""
    with written_beside(path) as beside, beside.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)


def read_table(path: Path, *, length: int, alphabet: Mapping[str, int]) -> Columns:
    """Read a table in one pass of constant memory besides the result.

    Args:
        path: the CSV file; columns in any order, `source` may be missing.
        length: cells of a question and of an answer.
        alphabet: the code (below 255) of each character that a cell may be written with.

    Raises:
        UserError: naming file, line and remedy: no such file, other columns, cut off, a line with too few or many
            columns, a question or answer of another length or with another character, a rating that is no number.
    """
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run `hrm fetch` first") from None
    with stream:
        header = _header(path, stream.readline())
        body = stream.tell()
        count = _count_lines(path, stream)
        stream.seek(body)
        columns = Columns(
            np.empty((count, length), np.uint8), np.empty((count, length), np.uint8), np.empty(count, np.int64)
        )
        codes = np.full(256, UNKNOWN, np.uint8)
        for character, code in alphabet.items():
            codes[ord(character)] = code
        done = 0
        for text, lines in _blocks(path, stream):
            block = _Block(path, lines, header, text)
            rows = slice(done, done + len(block))
            columns.questions[rows] = block.cells("question", length, codes)
            columns.answers[rows] = block.cells("answer", length, codes)
            columns.ratings[rows] = block.numbers("rating")
            done += len(block)
    return columns


def read_sets(path: Path) -> list[str]:
    """What the column `source` of each line of a table says; nothing where there is no such column."""
    with path.open("rb") as stream:
        header = _header(path, stream.readline())
        if COLUMNS[0] not in header:
            return [""] * _count_lines(path, stream)
        blocks = [_Block(path, lines, header, text).texts(COLUMNS[0]) for text, lines in _blocks(path, stream)]
    return [text for block in blocks for text in block]


def _header(path: Path, line: bytes) -> list[str]:
    header = line.decode("utf-8-sig", errors="replace").strip().replace('"', "").split(",")
    if missing := [column for column in COLUMNS[1:] if column not in header]:
        raise UserError(f"{path}: no column {', '.join(missing)}; the first line must be {','.join(COLUMNS)}")
    return header


def _count_lines(path: Path, stream: BinaryIO) -> int:
    """How many puzzles follow; a line break in quotes ends none."""
    count, breaks, last, quoted = 0, 0, b"\n", False
    while chunk := stream.read(BLOCK_BYTES):
        ends, quoted = _ends(chunk, quoted)
        count += len(ends)
        breaks += chunk.count(b"\n")
        last = chunk[-1:]
    if quoted:
        raise UserError(f"{path}: line {breaks + 1}: cut off inside quotes; fetch the file again, or close them")
    if last != b"\n":
        raise UserError(
            f"{path}: line {breaks + 2}: cut off; fetch the file again (a whole one ends with a line break)"
        )
    return count


def _ends(chunk: bytes, quoted: bool = False) -> tuple[Ints, bool]:
    """The line breaks outside quotes, and whether quotes are open at the end as they are, `quoted`, at the start."""
    characters = np.frombuffer(chunk, np.uint8)
    ends = np.flatnonzero(characters == NEWLINE)
    if quoted or b'"' in chunk:
        open_ = (np.cumsum(characters == QUOTE) + quoted) % 2
        return ends[open_[ends] == 0], bool(open_[-1])
    return ends, False


def _blocks(path: Path, stream: BinaryIO) -> Iterator[tuple[bytes, Ints]]:
    """The rest of a file in blocks of n puzzles, quotes removed, and (n,) the line of the file that each begins at."""
    rest, line = b"", 2
    while chunk := stream.read(BLOCK_BYTES):
        rest += chunk
        ends, _ = _ends(rest)
        if not len(ends):
            continue
        block, rest = rest[: ends[-1] + 1], rest[ends[-1] + 1 :]
        breaks = np.flatnonzero(np.frombuffer(block, np.uint8) == NEWLINE)
        lines = line + np.concatenate(([0], np.searchsorted(breaks, ends[:-1]) + 1))
        yield _unquoted(path, block, lines) if b'"' in block else block, lines
        line += len(breaks)


def _unquoted(path: Path, block: bytes, lines: Ints) -> bytes:
    """The same puzzles, a line each, without quotes; only `source` can have held what is lost."""
    reader = csv.reader(block.decode("utf-8", errors="replace").split("\n")[:-1])
    lost = str.maketrans(",\n", ";;")
    ends = [*(lines[1:] - lines[0]).tolist(), block.count(b"\n")]
    text: list[str] = []
    try:
        for fields in reader:
            if reader.line_num != ends[len(text)]:
                raise csv.Error("a quotation mark inside a field without quotes")
            text.append(",".join(field.translate(lost) for field in fields) + "\n")
    except csv.Error as error:
        raise UserError(f"{path}: line {lines[len(text)]}: {error}; correct the line") from None
    return "".join(text).encode()


def line_of(path: Path, row: int) -> int:
    """The line of a file that a puzzle begins at."""
    with path.open("rb") as stream:
        stream.readline()
        for _, lines in _blocks(path, stream):
            if row < len(lines):
                return int(lines[row])
            row -= len(lines)
    raise IndexError(row)


class _Block:
    """Some lines of a file as bytes, with the places of their fields."""

    def __init__(self, path: Path, lines_n: Ints, header: list[str], text: bytes) -> None:
        self._path, self._lines_n, self._header = path, lines_n, header
        self._bytes = np.frombuffer(text, np.uint8)
        ends = np.flatnonzero(self._bytes == NEWLINE)
        starts = np.concatenate(([0], ends[:-1] + 1))
        commas = np.flatnonzero(self._bytes == COMMA)
        counts = np.diff(np.searchsorted(commas, np.append(starts, ends[-1]))) + 1
        self._refuse(
            counts != len(header),
            lambda row: f"{counts[row]} columns instead of {len(header)}: cut off or damaged; fetch the file again",
        )
        stops = ends - (self._bytes[ends - 1] == RETURN)
        self._edges = np.column_stack([starts - 1, commas.reshape(len(ends), -1), stops])

    def __len__(self) -> int:
        return len(self._edges)

    def cells(self, column: str, length: int, codes: Bytes) -> Bytes:
        """(n, length) codes of a column of fixed width."""
        starts, widths = self._field(column)
        self._refuse(
            widths != length, lambda row: f"the {column} has {widths[row]} cells instead of {length}; correct the line"
        )
        text = sliding_window_view(self._bytes, length)[starts]
        cells = codes[text]
        wrong = cells == UNKNOWN

        def explain(row: int) -> str:
            place = int(wrong[row].argmax())
            allowed = "".join(chr(code) for code in np.flatnonzero(codes != UNKNOWN))
            return f"character {chr(text[row, place])!r} at place {place + 1} of the {column}; allowed are {allowed!r}"

        self._refuse(wrong.any(axis=1), explain)
        return cells

    def numbers(self, column: str) -> Ints:
        """(n,) whole numbers of a column."""
        starts, widths = self._field(column)
        # 18 digits always fit 64 bits.
        wrong = (widths < 1) | (widths > 18)
        values = np.zeros(len(self), np.int64)
        for place in range(min(int(widths.max()), 18)):
            there = np.flatnonzero(widths > place)
            digits = self._bytes[starts[there] + place] - np.uint8(ZERO)
            wrong[there] |= digits > 9
            values[there] = values[there] * 10 + digits
        self._refuse(wrong, lambda _: f"the {column} is not a whole number; correct the line")
        return values

    def texts(self, column: str) -> list[str]:
        """The n texts of a column."""
        starts, widths = self._field(column)
        places = zip(starts.tolist(), (starts + widths).tolist(), strict=True)
        text = self._bytes.tobytes()
        return [text[start:end].decode("utf-8", errors="replace") for start, end in places]

    def _field(self, column: str) -> tuple[Ints, Ints]:
        place = self._header.index(column)
        starts = self._edges[:, place] + 1
        return starts, self._edges[:, place + 1] - starts

    def _refuse(self, wrong: np.ndarray[tuple[int, ...], np.dtype[np.bool]], explain: Callable[[int], str]) -> None:
        if wrong.any():
            row = int(wrong.argmax())
            raise UserError(f"{self._path}: line {self._lines_n[row]}: {explain(row)}")
