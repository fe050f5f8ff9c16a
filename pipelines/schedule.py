"""When a recurring run starts: a cron expression as Kubeflow Pipelines reads it, with seconds first."""

from __future__ import annotations

import re

from hrm.errors import UserError
from hrm.progress import note

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("second", 0, 59, ()),
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, MONTHS),
    ("day of the week", 0, 6, DAYS),
)
"""Name, first and last value, and the words that stand for the values from the first on."""


def six_fields(text: str) -> str:
    """A cron expression with six fields: those that were given, or five, as on Unix, after a 0 for the seconds.

    The server would take five as well, but as seconds to months, and start at quite other times.

    Raises:
        UserError: when there is another number of fields, or a value that the field does not have.
    """
    fields = text.split()
    if len(fields) == 5:
        fields = ["0", *fields]
        note(f"--recurring: read as minute to day of the week; with seconds it is '{' '.join(fields)}'")
    if len(fields) != len(FIELDS):
        names = ", ".join(name for name, *_ in FIELDS)
        raise UserError(f"--recurring '{text}': expected six fields ({names}), such as '0 0 3 * * 1'")
    for field, (name, first, last, words) in zip(fields, FIELDS, strict=True):
        if not all(_allowed(part, first, last, words) for part in field.split(",")):
            raise UserError(f"--recurring '{text}': {name}: {field}: expected {first} to {last}, *, a-b, a,b or */n")
    return " ".join(fields)


def _allowed(part: str, first: int, last: int, words: tuple[str, ...]) -> bool:
    """Whether one part of a field is `*`, `?`, a value or a range, with a step or without."""
    match = re.fullmatch(r"(?:[*?]|(\w+)(?:-(\w+))?)(?:/([1-9]\d*))?", part, re.ASCII)
    if not match:
        return False
    numbers = [
        first + words.index(value.upper()) if value.upper() in words else int(value) if value.isdigit() else -1
        for value in match.groups()[:2]
        if value
    ]
    return numbers == sorted(numbers) and all(first <= number <= last for number in numbers)
