"""Every pipeline of the project, by the name it has on the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any


class Catalogue(Mapping[str, Any]):
    """Pipelines by name: `some-name` is `some_name_pipeline` of `pipelines/some_name.py`.

    Each is made when it is first asked for, as that takes kfp seconds.
    """

    def __init__(self, *names: str) -> None:
        self._names = names

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        own = name.replace("-", "_")
        return getattr(import_module(f"pipelines.{own}"), f"{own}_pipeline")

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


PIPELINES = Catalogue("train", "train-nodes", "sweep", "evaluate")
