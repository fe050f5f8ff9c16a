"""The order of rooms that CONTRIBUTING.md states: who may import whom. As it is one line, there can be no cycle."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "hrm"
MODULES = sorted(file.relative_to(ROOT) for file in PACKAGE.rglob("*.py"))
ROOMS = re.findall(r"^\| `(\w+)(?:/|\.py)` \|", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE)
"""From top to bottom."""


def room_of(module: Path) -> str:
    """The room that a file `hrm/<room>.py` or `hrm/<room>/...` belongs to."""
    room = module.with_suffix("").parts[1]
    return "cli" if room == "__main__" else room


def rooms_imported(source: str) -> Iterator[str]:
    """The rooms of all imports, inside functions and for type checkers as well; the package itself is `__init__`."""
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            top, _, rest = name.partition(".")
            if top == "hrm":
                # `import hrm` and `from hrm import __version__` name no room.
                room = rest.partition(".")[0]
                yield room if room in ROOMS else "__init__"


def faults(room: str, source: str) -> list[str]:
    """The rooms that a module of a room must not import: those above it; for the model, every other one."""
    allowed = {"model"} if room == "model" else {"__init__", *ROOMS[ROOMS.index(room) :]}
    return sorted(set(rooms_imported(source)) - allowed)


def test_every_room_has_its_row() -> None:
    assert len(ROOMS) == len(set(ROOMS))
    assert {room_of(module) for module in MODULES} == {*ROOMS, "__init__"}


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_imports_point_down(module: Path) -> None:
    source = (ROOT / module).read_text(encoding="utf-8")
    if module == Path("hrm/__init__.py"):
        assert not list(rooms_imported(source))
    else:
        assert not faults(room_of(module), source)


@pytest.mark.parametrize(
    ("room", "source", "found"),
    [
        ("tracking", "from hrm.training.curves import Curves", ["training"]),
        ("tracking", "from hrm import provenance, training", ["training"]),
        ("tracking", "if TYPE_CHECKING:\n    import hrm.serving.solve", ["serving"]),
        ("data", "def late():\n    from hrm.stages import train", ["stages"]),
        ("model", "from hrm.errors import UserError", ["errors"]),
        ("model", "import hrm", ["__init__"]),
        ("model", "from hrm.model.act import solve", []),
        ("serving", "import hrm\nfrom hrm import __version__\nfrom hrm.errors import UserError", []),
    ],
)
def test_a_fault_is_found(room: str, source: str, found: list[str]) -> None:
    assert faults(room, source) == found
