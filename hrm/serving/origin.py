"""What a version was made of, on and by, beside its settings: raw puzzles, code, hardware, cost, the pipeline's run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hrm.artifacts import read_record
from hrm.errors import UserError
from hrm.tracking.record import PARENT

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True)
class Parent:
    """The run in MLflow that a training was part of, such as a pipeline's."""

    experiment_id: str
    run_id: str

    @property
    def link(self) -> str:
        """In Markdown; MLflow's page finds it on any server."""
        return f"[`{self.run_id}`](#/experiments/{self.experiment_id}/runs/{self.run_id})"


@dataclass(frozen=True)
class Origin:
    """Where a version came from; what is not on record is left out."""

    code: Mapping[str, Any]
    """The code's part of the training's provenance record."""
    sources: Mapping[str, str]
    """SHA-256 of the raw puzzles that the dataset was built from, by source."""
    device: str | None = None
    """The kind of device that it was trained on, such as `NVIDIA H100 80GB HBM3`."""
    devices: int = 1
    """How many: a process each."""
    hours: float | None = None
    """How long the training took on them; one that was interrupted is held to have been as fast as its last part."""
    parent: Parent | None = None

    @classmethod
    def read(cls, name: str, run: Path, dataset: Path, batch_size: int) -> Origin:
        """What a run's folder, and the record beside its dataset, say.

        Raises:
            UserError: when the training's records are missing or damaged.
        """
        again = f"run `hrm train {name}` again"
        record = read_record(run / "train.provenance.json", ["code"], again)
        train, hardware = read_record(run / "train.json", [], again), record.get("hardware", {})
        speed = train.get("samples_per_second")
        return cls(
            code=record["code"],
            sources=_sources(dataset.with_name(f"{dataset.name}.provenance.json")),
            device=hardware.get("device"),
            devices=hardware.get("processes", 1),
            hours=train["steps"] * batch_size / speed / 3600 if speed and "steps" in train else None,
        )

    @property
    def hardware(self) -> str | None:
        """Number and kind of devices."""
        return None if self.device is None else f"{self.devices:,} × {self.device}"

    @property
    def tags(self) -> dict[str, str]:
        """For the version."""
        tags = {"code_digest": self.code["digest"]}
        if commit := self.code["git_commit"]:
            tags["git_commit"] = commit
        if self.hardware is not None:
            tags["hardware"] = self.hardware
        if self.hours is not None:
            tags["device_hours"] = _short(self.devices * self.hours)
        if self.parent is not None:
            tags["parent_run"] = self.parent.run_id
        return tags

    def lines(self) -> Iterator[str]:
        """For the version's page, in Markdown."""
        if self.hardware is not None:
            yield f"trained on {self.hardware}{', a process each' if self.devices > 1 else ''}"
        if self.hours is not None:
            yield f"cost: {_duration(self.hours)} on each, {_short(self.devices * self.hours)} device hours"
        commit = self.code["git_commit"]
        yield (
            f"code: version {self.code['version']}, digest `{self.code['digest'][:12]}`"
            + (f", commit `{commit}`" if commit else "")
        )
        if self.parent is not None:
            yield f"part of the run {self.parent.link}"


def parent_of(client: MlflowClient, run_id: str) -> Parent | None:
    """The run that a run in MLflow is part of; None where it is part of none, or that one is gone."""
    from mlflow.exceptions import MlflowException

    parent = client.get_run(run_id).data.tags.get(PARENT)
    if parent is None:
        return None
    try:
        return Parent(str(client.get_run(parent).info.experiment_id), parent)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def _sources(record: Path) -> dict[str, str]:
    """None where the dataset came without the record of its making, as an artifact or from others."""
    if not record.is_file():
        return {}
    inputs = read_record(record, ["inputs"], "build the dataset again")["inputs"]
    if not isinstance(inputs, dict):
        raise UserError(f"{record}: damaged; build the dataset again")
    return dict(sorted(inputs.items()))


def _duration(hours: float) -> str:
    """In the unit that people would say it in."""
    for unit, length in (("h", 1.0), ("min", 1 / 60)):
        if hours >= length:
            return f"{_short(hours / length)} {unit}"
    return f"{hours * 3600:.3g} s"


def _short(number: float) -> str:
    """In three digits, or as many as it has before the point."""
    return f"{number:.0f}" if number >= 1000 else f"{number:.3g}"
