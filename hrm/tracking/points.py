"""The points of a run's curves on their way to MLflow: on the disk until all of them have arrived."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from hrm.artifacts import remove
from hrm.tracking.curves import read_curves

SPOOL = "mlflow_points.jsonl"
"""The file of a run's folder that holds the points of a run which MLflow may not have in whole yet."""


class Point(NamedTuple):
    """One value of one curve."""

    metric: str
    step: int
    value: float
    time: int
    """Milliseconds since 1970. MLflow takes an equal point, time included, only once."""


class Spool:
    """Points of a run, in the order in which they were told; a process that is killed takes none of them along."""

    def __init__(self, run: Path) -> None:
        """Name the file in a run's folder; nothing is made yet."""
        self._file = run / SPOOL

    def add(self, points: Iterable[Point]) -> None:
        """Write points down.

        Raises:
            OSError: when the disk does not take them.
        """
        # The line break comes first: it also ends what a process could not finish writing.
        lines = [f"\n{json.dumps(point)}" for point in points]
        with self._file.open("a", encoding="utf-8") as stream:
            stream.writelines(lines)

    def read(self) -> list[Point]:
        """What was written, without a point that was written in part."""
        if not self._file.is_file():
            return []
        lines = self._file.read_text(encoding="utf-8", errors="replace").splitlines()
        return [point for line in lines if (point := _point(line)) is not None]

    def clear(self) -> None:
        """Forget them: they have all arrived."""
        remove(self._file)


def points_of(run: Path) -> list[Point]:
    """Every point that is known of a run, in the order of steps: of the spool, and of `curves.csv` what is not in it.

    Of a step that the run took twice, because it was killed and went on from a checkpoint before, the first counts, as
    in MLflow. Points of the curves alone have the file's own time.

    Raises:
        UserError: when the curves are damaged.
    """
    curves = run / "curves.csv"
    rows = read_curves(curves)
    time = int(curves.stat().st_mtime * 1000) if rows else 0
    drawn = (Point(metric, step, value, time) for step, values in rows.items() for metric, value in values.items())
    first: dict[tuple[str, int], Point] = {}
    for point in (*Spool(run).read(), *drawn):
        first.setdefault((point.metric, point.step), point)
    return sorted(first.values(), key=lambda point: point.step)


def _point(line: str) -> Point | None:
    try:
        metric, step, value, time = json.loads(line)
        return Point(str(metric), int(step), float(value), int(time))
    except (TypeError, ValueError):
        return None
