"""Requests that no server may accept, and none may fall over."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

GOOD = "1.3..2....4....1"


class Request(NamedTuple):
    body: bytes
    content_type: str | None = "application/json"


def malformed(count: int, seed: int = 0) -> Iterator[Request]:
    """Those written by hand, then drawn ones of every sort by turns."""
    rng = random.Random(seed)
    by_hand = list(_by_hand())
    yield from by_hand
    sorts: list[Callable[[random.Random], Request]] = [_text, _grid, _params, _cut, _junk, _noise]
    for number in range(count - len(by_hand)):
        yield sorts[number % len(sorts)](rng)


def _by_hand() -> Iterator[Request]:
    deep, long = "[" * 100_000, "9" * 5000
    for text in (
        "",
        "null",
        "{",
        "[]",
        "7",
        '"inputs"',
        deep,
        f'{{"inputs": {deep}',
        f'{{"inputs": {"[" * 500}1{"]" * 500}}}',
        f'{{"dataframe_records": [{{"puzzle": {"[" * 500}1{"]" * 500}}}]}}',
        f'{{"inputs": [{long}]}}',
        f'{{"inputs": [-{long}.0e{long}]}}',
        '{"inputs": [NaN]}',
        '{"inputs": ["\\ud800"]}',
    ):
        yield Request(text.encode())
    for content in (
        {},
        {"puzzle": GOOD},
        {"inputs": GOOD},
        {"inputs": [GOOD], "instances": [GOOD]},
        {"inputs": None},
        {"inputs": {"puzzle": [GOOD, None]}},
        {"inputs": [{"puzzle": GOOD}, GOOD]},
        {"dataframe_records": []},
        {"dataframe_records": {"puzzle": GOOD}},
        {"dataframe_records": [{"puzzel": GOOD}]},
        {"dataframe_records": [{"puzzle": GOOD}, {}]},
        {"dataframe_split": {"data": [[GOOD]]}},
        {"dataframe_split": {"columns": ["puzzle", "puzzle"], "data": [[GOOD, GOOD]]}},
        {"dataframe_split": {"columns": ["puzzle"], "data": [[GOOD, GOOD]]}},
        {"dataframe_split": {"columns": ["puzzle"], "index": 7, "data": [[GOOD]]}},
        {"instances": [{"puzzle": GOOD}, {"puzzle": [[1]]}]},
        {"messages": [{"role": "user", "content": GOOD}]},
    ):
        yield Request(json.dumps(content).encode())
    good = json.dumps({"inputs": [GOOD]}).encode()
    for content_type in (
        None,
        "",
        "text/plain",
        "text/xml",
        "application/json; charset=latin-1",
        "application/json; a=b",
    ):
        yield Request(good, content_type)
    yield Request(good, "text/csv")
    yield Request(b"\xff\xfe", "text/csv")
    yield Request(b"", "text/csv")
    yield Request(b"PAR1", "application/vnd.apache.parquet")


def _text(rng: random.Random) -> Request:
    """A text of another length, or with another character in it."""
    if rng.random() < 0.5:
        text = "".join(rng.choices(".1234", k=rng.choice([0, 1, 15, 17, 256, 5000])))
    else:
        place = rng.randrange(16)
        text = GOOD[:place] + rng.choice(["5", "x", "é", "\0", "𝟏", "\u202e", '"', "<"]) + GOOD[place + 1 :]
    return _asking(rng, text)


def _grid(rng: random.Random) -> Request:
    """A grid of another shape, or with another cell in it."""
    wrong = [5, -1, 256, 10**30, 1.5, float("inf"), True, None, "x", "", "²", [], [1], {}, {"a": 1}]
    grid: list[Any] = [[rng.randrange(5) for _ in range(4)] for _ in range(4)]
    match rng.randrange(4):
        case 0:
            grid[rng.randrange(4)][rng.randrange(4)] = rng.choice(wrong)
        case 1:
            grid[rng.randrange(4)] = rng.choice([*wrong, [1, 2, 3], [1] * 5])
        case 2:
            grid = [row * rng.choice([2, 1000]) for row in grid]
        case 3:
            grid = grid[: rng.randrange(4)]
    return _asking(rng, grid)


def _params(rng: random.Random) -> Request:
    wrong = [0, -1, 1001, 10**30, 1.5, "2", "", None, True, [2], {"a": 1}, float("nan")]
    params = rng.choice([{rng.choice(["votes", "rule", "steps"]): rng.choice(wrong)}, [2], "votes", 7, True])
    return Request(json.dumps({"inputs": [GOOD], "params": params}).encode())


def _cut(rng: random.Random) -> Request:
    """A good request that ends too early."""
    body = json.dumps({"dataframe_records": [{"puzzle": GOOD}], "params": {"votes": 2}}).encode()
    return Request(body[: rng.randrange(len(body))])


def _junk(rng: random.Random) -> Request:
    """Any JSON where the puzzles belong."""
    key = rng.choice(["inputs", "instances", "dataframe_records", "dataframe_split", "other"])
    return Request(json.dumps({key: [_value(rng, 4)]}).encode())


def _value(rng: random.Random, depth: int) -> Any:
    kind = rng.randrange(7 if depth else 5)
    if kind == 5:
        return [_value(rng, depth - 1) for _ in range(rng.randrange(4))]
    if kind == 6:
        keys = ["puzzle", "task", "columns", "data", "", "é"]
        return {rng.choice(keys): _value(rng, depth - 1) for _ in range(rng.randrange(4))}
    return [
        None,
        rng.random() < 0.5,
        rng.randrange(-(10**20), 10**20),
        rng.random(),
        "".join(rng.choices("a.1é\n", k=5)),
    ][kind]


def _noise(rng: random.Random) -> Request:
    kinds = ["application/json", "text/csv", "application/vnd.apache.parquet", "application/octet-stream", "/", ";"]
    return Request(b"\x00" + rng.randbytes(rng.randrange(200)), rng.choice(kinds))


def _asking(rng: random.Random, puzzle: Any) -> Request:
    """A request about a puzzle, in any of the formats, maybe behind a good one."""
    puzzles = [GOOD, puzzle] if rng.random() < 0.3 else [puzzle]
    records = [{"puzzle": one} for one in puzzles]
    content: dict[str, Any] = rng.choice(
        [
            {"inputs": puzzles},
            {"inputs": {"puzzle": puzzles}},
            {"inputs": records},
            {"instances": records},
            {"dataframe_records": records},
            {"dataframe_split": {"columns": ["puzzle"], "data": [[one] for one in puzzles]}},
        ]
    )
    return Request(json.dumps(content).encode())
