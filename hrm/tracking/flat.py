"""Nested settings and scores as one level of keys, for tables of parameters and metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def flat(values: Mapping[str, Any], prefix: str = "", *, separator: str = ".") -> Iterator[tuple[str, Any]]:
    """Each innermost value with the keys that lead to it, such as `("model.hidden", 512)`.

    Args:
        values: mappings within mappings.
        prefix: what each key begins with, the separator included.
        separator: between the keys.
    """
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}{separator}", separator=separator)
        else:
            yield f"{prefix}{key}", value
