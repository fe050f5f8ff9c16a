"""Damage of every kind, done to built datasets and to raw files: one line each that names file and place."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_tasks import write_tasks

from hrm.cli import main
from hrm.config import BuildSettings
from hrm.data.build import build_dataset
from hrm.data.check import check_dataset
from hrm.data.dataset import Dataset, open_dataset
from hrm.errors import UserError
from hrm.puzzles import Maze, MazeGenerator, Sudoku, SudokuGenerator
from hrm.puzzles.base import Grids

ROOT = Path(__file__).parents[2]
Damage = Callable[[Path], None]


@pytest.fixture(scope="module")
def built(arc: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A dataset of each kind."""
    folder = tmp_path_factory.mktemp("kinds")
    SudokuGenerator(box=(2, 2), train=30, test=10, seed=2).write(folder / "raw/sudoku")
    MazeGenerator(size=5, wall_density=(0.3, 0.4), min_path=4, train=12, test=4, seed=2).write(folder / "raw/maze")
    for puzzle in (Sudoku(box=(2, 2)), Maze(size=5)):
        settings = BuildSettings(puzzle=puzzle, sources=[puzzle.kind], variants=3, seed=1)
        build_dataset(settings, folder / "raw", folder / puzzle.kind)
    return {"arc": arc.path, "sudoku": folder / "sudoku", "maze": folder / "maze"}


@pytest.mark.parametrize("kind", ["arc", "sudoku", "maze"])
def test_what_was_built_is_sound(built: dict[str, Path], kind: str) -> None:
    assert check_dataset(built[kind]).digest == open_dataset(built[kind]).digest


@pytest.mark.parametrize("block", [1, 7])
def test_places_do_not_depend_on_the_blocks(
    built: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr("hrm.data.check.BLOCK", block)
    check_dataset(built["sudoku"])
    folder = shutil.copytree(built["sudoku"], tmp_path / "sudoku")
    put("train/answers", (20, 1, 1), 9)(folder)
    with pytest.raises(UserError, match=r"train/answers.npy\[20, 1, 1\]: 9: no cell of sudoku has this value"):
        check_dataset(folder)
    folder = shutil.copytree(built["maze"], tmp_path / "maze")
    put("symmetries", (13, 0), 8)(folder)
    with pytest.raises(UserError, match=r"symmetries.npy\[13\]: no symmetry of maze"):
        check_dataset(folder)


# -- ways of damage ----------------------------------------------------------------------------------------------------


def change(name: str, edit: Callable[[Any], Any]) -> Damage:
    """Another array in the place of one."""

    def damage(folder: Path) -> None:
        array = np.load(folder / f"{name}.npy")
        np.save(folder / f"{name}.npy", edit(array), allow_pickle=True)

    return damage


def put(name: str, place: Any, value: Any) -> Damage:
    """Another value in one place of an array."""

    def edit(array: Any) -> Any:
        array[place] = value
        return array

    return change(name, edit)


def header(**values: Any) -> Damage:
    def damage(folder: Path) -> None:
        file = folder / "dataset.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | values))

    return damage


def raw_bytes(name: str, edit: Callable[[bytes], bytes]) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).write_bytes(edit((folder / name).read_bytes()))

    return damage


def zipped(folder: Path) -> None:
    with zipfile.ZipFile(folder / "starts.npy", "w") as archive:
        archive.writestr("starts.npy", b"")


def other_symmetry(folder: Path) -> None:
    """The second variant of the first group once more in the place of the third."""
    symmetries = np.load(folder / "symmetries.npy")
    symmetries[2] = symmetries[1]
    np.save(folder / "symmetries.npy", symmetries)


def equal_by_a_lost_colour(folder: Path) -> None:
    """Two variants that differ in colours that no grid of the group has are the same variant."""
    dataset = open_dataset(folder)
    symmetries, train, test = (np.array(a) for a in (dataset.symmetries, dataset.train.groups, dataset.test.groups))
    for split, groups in (("train", train), ("test", test)):
        for side in ("questions", "answers"):
            cells = np.load(folder / split / f"{side}.npy")
            few = cells[groups == 4]
            cells[groups == 4] = np.where(few > 7, 0, few)
            np.save(folder / split / f"{side}.npy", cells)
    last = dataset.starts[4]
    symmetries[last + 1] = dataset.puzzle.identity
    symmetries[last + 1, [9, 10]] = 9, 8
    np.save(folder / "symmetries.npy", symmetries)


def broken_bands(folder: Path) -> None:
    """A permutation of rows that takes a band apart: undone by its inverse, but no symmetry of Sudokus."""
    put("symmetries", (1, slice(1, 5)), [0, 2, 1, 3])(folder)


def trained_on(folder: Path) -> None:
    for side in ("questions", "answers"):
        train, test = (np.load(folder / f"{split}/{side}.npy") for split in ("train", "test"))
        test[6] = train[4]
        np.save(folder / f"test/{side}.npy", test)


def two_digits_changed(folder: Path) -> None:
    """A given and its answer are the same other digit."""
    questions, answers = (np.load(folder / f"train/{side}.npy") for side in ("questions", "answers"))
    row, column = np.argwhere(questions[3])[0]
    questions[3, row, column] = answers[3, row, column] = 1 + answers[3, row, column] % 4
    np.save(folder / "train/questions.npy", questions)
    np.save(folder / "train/answers.npy", answers)


def given_changed(folder: Path) -> None:
    questions, answers = (np.load(folder / f"train/{side}.npy") for side in ("questions", "answers"))
    row, column = np.argwhere(questions[3] == 0)[0]
    questions[3] = 0
    questions[3, row, column] = 1 + answers[3, row, column] % 4
    np.save(folder / "train/questions.npy", questions)


def unlike_path(folder: Path) -> None:
    """An answer without its path."""
    answers = np.load(folder / "test/answers.npy")
    answers[2][answers[2] == 5] = 2
    np.save(folder / "test/answers.npy", answers)


def outside(folder: Path) -> None:
    """A cell beside a grid."""
    shapes = np.load(folder / "train/question_shapes.npy")
    put("train/questions", (1, 0, int(shapes[1, 1])), 3)(folder)


def untrained(folder: Path) -> None:
    """The last group loses its demonstrations to the one before."""
    put("train/groups", slice(-3, None), 3)(folder)


DAMAGED_DATASETS: dict[str, tuple[str, Damage, str]] = {
    # Files and headers.
    "cut off": ("arc", raw_bytes("train/answers.npy", lambda data: data[:-5]), "train/answers.npy: damaged ("),
    "empty": ("arc", raw_bytes("starts.npy", lambda data: b""), "starts.npy: damaged ("),
    "header cut off": ("arc", raw_bytes("starts.npy", lambda data: data[:30]), "starts.npy: damaged ("),
    "header is no Python": (
        "arc",
        raw_bytes("starts.npy", lambda data: data.replace(b"'shape': (", b"'shape': {")),
        "starts.npy: damaged (",
    ),
    "header ends early": (
        "arc",
        raw_bytes("starts.npy", lambda data: data.replace(b"}", b" ")),
        "starts.npy: damaged (",
    ),
    "an archive": ("arc", zipped, "starts.npy: damaged ("),
    "a pickle": ("arc", change("starts", lambda array: array.astype(object)), "starts.npy: damaged ("),
    "lost": ("arc", lambda folder: (folder / "test/ratings.npy").unlink(), "test/ratings.npy: missing; build"),
    "a single number": ("arc", change("names", lambda array: array[0]), "names.npy: |S2 of shape () instead of bytes_"),
    "text": ("arc", change("names", lambda array: array.astype(str)), "names.npy: <U2 of shape (5,) instead of bytes_"),
    "wider numbers": (
        "arc",
        change("symmetries", lambda array: array.astype(np.int32)),
        "symmetries.npy: int32 of shape (35, 11) instead of uint8 of (35, 11)",
    ),
    "foreign byte order": (
        "arc",
        change("test/groups", lambda array: array.astype(">i8")),
        "test/groups.npy: >i8 of shape (3,) instead of",
    ),
    "another canvas": (
        "arc",
        change("train/answers", lambda array: array[:, :7]),
        "train/answers.npy: uint8 of shape (15, 7, 8) instead of uint8 of (15, 8, 8)",
    ),
    "a key too many": ("arc", header(colour="red"), "dataset.json: colour = 'red': no such setting"),
    "a key of another type": ("arc", header(variants="35"), "dataset.json: variants = '35'"),
    "notes": ("arc", header(notes=["left out"]), "dataset.json: notes = ['left out']"),
    "a setting of the puzzle": ("arc", header(puzzle={"kind": "arc", "canvas_size": 31}), "dataset.json: puzzle"),
    "no JSON": ("arc", raw_bytes("dataset.json", lambda data: data[:-9]), "dataset.json: not valid JSON ("),
    "JSON nested deep": (
        "arc",
        raw_bytes("dataset.json", lambda data: b"[" * 100_000),
        "dataset.json: not valid JSON (nested too deeply)",
    ),
    "JSON in Latin-1": (
        "arc",
        raw_bytes("dataset.json", lambda data: b'{"\xe9": 1}'),
        "dataset.json: not valid JSON (",
    ),
    # Names and places.
    "no name": ("arc", put("names", 2, b""), "names.npy[2]: b'' is no name; one is printable UTF-8"),
    "a name in Latin-1": ("arc", put("names", 1, b"\xe9"), r"names.npy[1]: b'\xe9' is no name"),
    "a name of two lines": ("arc", put("names", 1, b"b\n"), r"names.npy[1]: b'b\n' is no name"),
    "a name twice": ("arc", put("names", 3, b"bb"), "names.npy[3]: bb is the name of group 1 too"),
    "not from the start": ("arc", put("starts", 0, 1), "starts.npy[0]: 1 instead of 0"),
    "starts fall": ("arc", put("starts", 2, 3), "starts.npy[2]: 3 after 7"),
    "a group without variants": ("sudoku", put("starts", 2, 4), "starts.npy[2]: 4 after 4"),
    "not to the end": ("arc", put("starts", 5, 34), "starts.npy[5]: 34 instead of 35"),
    "no such group": ("arc", put("train/groups", 14, 5), "train/groups.npy[14]: 5 is none of the groups 0 to 4"),
    "a negative group": ("arc", put("train/groups", 0, -1), "train/groups.npy[0]: -1 is none of the groups 0 to 4"),
    "groups fall": ("arc", put("train/groups", 1, 3), "train/groups.npy[2]: 1 after 3"),
    "a group without examples": ("sudoku", put("train/groups", 1, 0), "names.npy[1]: train-1 has no example"),
    "tested only": ("arc", untrained, "test/groups.npy[1]: ee has no training example"),
    "a negative rating": ("sudoku", put("test/ratings", 3, -2), "test/ratings.npy[3]: -2 is negative"),
    # Cells.
    "no height": ("arc", put("train/question_shapes", (2, 0), 0), "train/question_shapes.npy[2]: 0 × "),
    "too high": ("arc", put("test/answer_shapes", (1, 0), 9), "test/answer_shapes.npy[1]: 9 × "),
    "beside the grid": ("arc", outside, "train/questions.npy[1, 0, "),
    "colour 10": ("arc", put("train/questions", (4, 1, 1), 10), "train/questions.npy[4, 1, 1]: 10: no cell of arc"),
    "colour 255": ("arc", put("train/answers", (4, 0, 1), 255), "train/answers.npy[4, 0, "),
    "digit 5 of 4": ("sudoku", put("train/questions", (7, 3, 2), 5), "train/questions.npy[7, 3, 2]: 5: no cell of"),
    "digit 255": ("sudoku", put("test/answers", (7, 3, 2), 255), "test/answers.npy[7, 3, 2]: 255: no cell of sudoku"),
    "no wall, not free": ("maze", put("train/questions", (1, 2, 3), 0), "train/questions.npy[1, 2, 3]: 0: no cell of"),
    # Answers.
    "a given changed": ("sudoku", given_changed, "train/answers.npy[3]: the answer changes a given"),
    "a digit twice": ("sudoku", two_digits_changed, "train/answers.npy[3]: "),
    "no path": ("maze", unlike_path, "test/answers.npy[2]: the answer is not a shortest path"),
    "trained on": ("sudoku", trained_on, "test/questions.npy[6]: the same puzzle as train/questions.npy[4]"),
    # Symmetries.
    "no original": (
        "arc",
        put("symmetries", (7, 0), 3),
        "symmetries.npy[7]: the first variant of bb is not the original",
    ),
    "transform 8": ("arc", put("symmetries", (8, 0), 8), "symmetries.npy[8]: no symmetry of arc"),
    "a colour lost": ("arc", put("symmetries", (9, 4), 7), "symmetries.npy[9]: no symmetry of arc"),
    "colour 0 moved": ("arc", put("symmetries", 9, [0, 1, 0, *range(2, 10)]), "symmetries.npy[9]: no symmetry of arc"),
    "a variant twice": ("arc", other_symmetry, "symmetries.npy[2]: the same variant of aa as symmetries.npy[1]"),
    "equal in all grids": (
        "arc",
        equal_by_a_lost_colour,
        "symmetries.npy[29]: the same variant of ee as symmetries.npy[28]",
    ),
    "a row twice": ("sudoku", put("symmetries", (5, 1), 3), "symmetries.npy[5]: no symmetry of sudoku"),
    "a band apart": ("sudoku", broken_bands, "symmetries.npy[1]: no symmetry of sudoku: under it, the answer breaks"),
    "a blank filled": (
        "sudoku",
        put("symmetries", (1, slice(9, 14)), [1, 0, 2, 3, 4]),
        "symmetries.npy[1]: no symmetry of sudoku: under it, ",
    ),
    # What only the digest can tell.
    "another rating": ("sudoku", put("train/ratings", 3, 77), "dataset.json: digest "),
    "another colour": ("arc", lambda folder: other_colour(folder), "dataset.json: digest "),
    "another digest": ("maze", header(digest="0" * 64), "dataset.json: digest 000000000000 is not that of the arrays"),
}


def other_colour(folder: Path) -> None:
    cells = np.load(folder / "test/answers.npy")
    cells[0, 0, 0] = (cells[0, 0, 0] + 1) % 10
    np.save(folder / "test/answers.npy", cells)


@pytest.mark.parametrize("damage", DAMAGED_DATASETS)
def test_damage_is_told_in_a_line_that_names_the_place(built: dict[str, Path], tmp_path: Path, damage: str) -> None:
    kind, do, line = DAMAGED_DATASETS[damage]
    folder = shutil.copytree(built[kind], tmp_path / "damaged")
    do(folder)
    with pytest.raises(UserError) as caught:
        check_dataset(folder)
    assert str(caught.value).startswith(f"{folder}/{line}")
    assert str(caught.value).isprintable(), "one line"


def test_any_flipped_byte_is_found(built: dict[str, Path], tmp_path: Path) -> None:
    """At random places of every array: as damage of the header, as a value that cannot be, or by the digest."""
    rng = np.random.default_rng(3)
    for file in sorted(built["sudoku"].rglob("*.npy")):
        for _ in range(6):
            folder = shutil.copytree(built["sudoku"], tmp_path / "flipped")
            place = folder / file.relative_to(built["sudoku"])
            data = bytearray(place.read_bytes())
            data[rng.integers(len(data))] ^= 1 << rng.integers(8)
            place.write_bytes(data)
            try:
                sound = np.array_equal(np.load(place), np.load(file))
            except Exception:
                sound = False
            if not sound:
                with pytest.raises(UserError):
                    check_dataset(folder)
            shutil.rmtree(folder)


def test_a_test_puzzle_is_compared_cell_by_cell(built: dict[str, Path], tmp_path: Path, monkeypatch: Any) -> None:
    """Equal sums alone do not make two puzzles the same."""

    class AllEqual:
        def integers(self, *_: Any, size: int, dtype: Any) -> Any:
            return np.zeros(size, dtype)

    monkeypatch.setattr("hrm.data.check.np.random.default_rng", lambda seed: AllEqual())
    check_dataset(built["sudoku"])
    folder = shutil.copytree(built["sudoku"], tmp_path / "damaged")
    trained_on(folder)
    with pytest.raises(UserError, match="the same puzzle as"):
        check_dataset(folder)


# -- raw files ---------------------------------------------------------------------------------------------------------

QUESTION, ANSWER = "1..............2", "1234341221434321"
OTHER = "4321214334121234"
CSV = "source,question,answer,rating\n"
GOOD = f"s,{QUESTION[:-1]}.,{ANSWER},0\n"
TEST = f"s,4...............,{OTHER},0\n"


def table(text: str | bytes) -> tuple[str, str, bytes]:
    return "sudoku-mini", "sudoku-4x4/train.csv", text if isinstance(text, bytes) else text.encode()


def task(content: Any) -> tuple[str, str, bytes]:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return "arc-mini", "arc-agi-1/training/bb.json", text


def grid(rows: Any) -> tuple[str, str, bytes]:
    return task({"train": [{"input": [[1]], "output": rows}], "test": [{"input": [[1]], "output": [[1]]}]})


DAMAGED_RAW: dict[str, tuple[tuple[str, str, bytes], str]] = {
    "empty table": (table(""), "no column question, answer, rating"),
    "no such column": (table("source,question,solution,rating\n"), "no column answer"),
    "three columns": (table(CSV + GOOD + f"s,{QUESTION},{ANSWER}\n"), "line 3: 3 columns instead of 4"),
    "five columns": (table(CSV + f"s,{QUESTION},{ANSWER},1,1\n"), "line 2: 5 columns instead of 4"),
    "cut off": (table(CSV + GOOD + "s,1..."), "line 3: cut off"),
    "cut off inside quotes": (table(CSV + GOOD + '"so\nur\n'), "line 4: cut off inside quotes"),
    "after a quoted line break": (
        table(CSV + '"two\nlines",' + GOOD[2:] + f"s,{QUESTION}.,{ANSWER},0\n"),
        "line 4: the question has 17 cells instead of 16",
    ),
    "rules after a quoted line break": (
        table(CSV + '"two, ""2""\n\nlines",' + GOOD[2:] + f"s,{QUESTION},{ANSWER},0\n"),
        "line 5: the answer changes a given",
    ),
    "a quotation mark inside": (
        table(CSV + GOOD + f's"s,{QUESTION},{ANSWER},0\ns"s,{QUESTION},{ANSWER},0\n'),
        "line 3: a quotation mark inside a field without quotes",
    ),
    "a bare return in quotes": (table(CSV + GOOD + f'"s"\rs,{QUESTION},{ANSWER},0\n'), "line 3: "),
    "not UTF-8": (table((CSV + GOOD + GOOD).encode().replace(b"4321,0\ns", b"432\xe9,0\ns")), "line 2: character 'é'"),
    "binary": (table(bytes(range(256)) * 9), "no column"),
    "a rating": (table(CSV + GOOD.replace(",0\n", ",-1\n")), "line 2: the rating is not a whole number"),
    "a digit too large": (
        table(CSV + GOOD.replace("4321,0", "4325,0")),
        "line 2: character '5' at place 16 of the answer",
    ),
    "an answer against the rules": (
        table(CSV + GOOD.replace("4321,0", "4322,0")),
        "line 2: the answer breaks the rules",
    ),
    "a label that changes a given": (table(CSV + GOOD.replace("1..", "2..")), "line 2: the answer changes a given"),
    "no JSON": (task(b'{"train": ['), "not valid JSON"),
    "empty JSON": (task(b""), "not valid JSON"),
    "JSON in UTF-16": (task('{"train": []}'.encode("utf-16")), "not valid JSON"),
    "JSON nested deep": (
        task(b'{"train": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        "not valid JSON (nested too deeply)",
    ),
    "a number of 5000 digits": (task(b'{"train": [' + b"1" * 5000 + b"]}"), "not valid JSON"),
    "a ragged grid": (grid([[1, 2], [3]]), "train[0].output: row 1 has 1 cells, row 0 has 2"),
    "colour 10": (grid([[1, 2], [3, 10]]), "train[0].output: row 1, column 1: colour 10 is not"),
    "a colour nested deep": (
        grid([[1, json.loads("[" * 500 + "]" * 500)]]),
        "train[0].output: row 0, column 1: colour [[[[[[[...]]]]]]] is not",
    ),
    "no pairs": (task({"train": [], "test": []}), "train: expected a list of at least one pair"),
}


@pytest.mark.parametrize("damage", DAMAGED_RAW)
def test_damaged_raw_files_end_the_build_with_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    (experiment, name, content), line = DAMAGED_RAW[damage]
    raw = tmp_path / "data/raw"
    write_tasks(raw / "arc-agi-1")
    (raw / "sudoku-4x4").mkdir()
    (raw / "sudoku-4x4/test.csv").write_text(CSV + TEST)
    (raw / name).write_bytes(content)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    assert main(["build", experiment, "--params", str(tmp_path / "params.yaml")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"hrm: error: {raw / name}: {line}")
    assert not (tmp_path / "data/built").exists()


def test_a_quoted_line_break_is_no_damage(tmp_path: Path) -> None:
    """`source` may be anything; puzzles after it are read, however the blocks are cut."""
    for block in (7, 60, 1 << 20):
        folder = tmp_path / str(block)
        folder.mkdir()
        text = CSV + '"two\nlines, and ""one"" more\n",' + GOOD[2:] + TEST + f'"a ""b""",{QUESTION[:-1]}.,{ANSWER},5\n'
        (folder / "train.csv").write_text(text)
        (folder / "test.csv").write_text(CSV + GOOD)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("hrm.puzzles.table.BLOCK_BYTES", block)
            read = Sudoku(box=(2, 2)).read([folder])
        assert read.train.ratings.tolist() == [0, 0, 5]
        assert read.train.answers.grid(1).tolist() == [[4, 3, 2, 1], [2, 1, 4, 3], [3, 4, 1, 2], [1, 2, 3, 4]]


def test_a_file_name_that_is_not_utf_8(tmp_path: Path) -> None:
    write_tasks(tmp_path / "raw/tasks")
    good = tmp_path / "raw/tasks/training/aa.json"
    bad = bytes(good.parent) + b"/\xe9.json"
    good.rename(bad.decode("utf-8", "surrogateescape"))
    settings = BuildSettings(puzzle={"kind": "arc"}, sources=["tasks"])
    with pytest.raises(UserError, match=r"\\udce9.json': the name is not printable UTF-8; rename the file"):
        build_dataset(settings, tmp_path / "raw", tmp_path / "out")


def test_cells_that_do_not_decode_are_found_though_their_tokens_are_in_range() -> None:
    """Colour 255 becomes the end token."""
    from hrm.data.check import _check_grids
    from hrm.puzzles import Arc

    grids = Grids.of([np.array([[1, 255]], np.uint8)], (8, 8))
    with pytest.raises(UserError, match=r"questions.npy\[0, 0, 1\]: 255: no cell of arc has this value"):
        _check_grids(Path("train"), "question", slice(0, 1), grids, Arc(canvas_size=8))
