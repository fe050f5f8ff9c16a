"""The curves of a training run: a table of metrics by step, kept in a CSV that people and DVC can plot."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from hrm.artifacts import write_text
from hrm.errors import UserError


class Curves:
    """Metrics by step; a step that is logged twice is one row."""

    def __init__(self, path: Path, *, up_to: int = 0) -> None:
        """Take up the curves of a file.

        Args:
            path: the CSV file; what it holds already is kept.
            up_to: rows after this step are forgotten: the run goes on from there.
        """
        self.rows: dict[int, dict[str, float]] = {}
        for step, values in read_curves(path).items():
            if step <= up_to:
                self.rows[step] = values

    def add(self, step: int, values: dict[str, float]) -> None:
        """Note metrics of a step, as precisely as the file holds them: a run that goes on from it sees the same."""
        self.rows.setdefault(step, {}).update({name: float(_text(value)) for name, value in values.items()})

    def last(self) -> dict[str, float]:
        """The last value of each metric."""
        values: dict[str, float] = {}
        for _, row in sorted(self.rows.items()):
            values |= row
        return dict(sorted(values.items()))

    def text(self) -> str:
        """The content of a CSV file."""
        columns = sorted({name for values in self.rows.values() for name in values})
        stream = io.StringIO()
        table = csv.DictWriter(stream, ["step", *columns], lineterminator="\n")
        table.writeheader()
        for step, values in sorted(self.rows.items()):
            table.writerow({"step": step, **{name: _text(value) for name, value in values.items()}})
        return stream.getvalue()

    def write(self, path: Path) -> None:
        """Write them to a CSV file, atomically."""
        write_text(path, self.text())


def read_curves(path: Path) -> dict[int, dict[str, float]]:
    """The metrics of each step in a curves file; none where there is no file.

    Raises:
        UserError: when the file is damaged.
    """
    if not path.is_file():
        return {}
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            return {
                int(row.pop("step")): {name: float(value) for name, value in row.items() if value}
                for row in csv.DictReader(stream)
            }
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: damaged ({error}); train again with `hrm train`") from None


def _text(value: float) -> str:
    return f"{value:.6g}"
