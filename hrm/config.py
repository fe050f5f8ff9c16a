"""`params.yaml` as frozen, validated models: the only place where defaults live.

A file has three parts: `run` (the experiments that `dvc repro` carries out), `sources` (where raw puzzles come from)
and `experiments` (the catalogue: for each, a block per stage).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from hrm.errors import UserError
from hrm.puzzles import Puzzle
from hrm.settings import Settings, validate
from hrm.sources import Source

Fraction = Annotated[float, Field(ge=0, le=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
NonNegativeFloat = Annotated[float, Field(ge=0)]


class BuildSettings(Settings):
    """From raw files to a dataset (paper section "Evaluation details"; the published builders)."""

    puzzle: Puzzle
    """The kind of puzzle, with its canvas or box size."""
    sources: Annotated[list[str], Field(min_length=1)]
    """Names under `sources:`; groups are numbered in this order."""
    variants: NonNegativeInt = 0
    """Augmented variants of each training group besides the original; symmetric groups may have fewer."""
    subsample: PositiveInt | None = None
    """Train on this many groups, drawn at random; all when left out."""
    min_rating: NonNegativeInt = 0
    """Leave out examples rated below this (Sudoku: search effort, Maze: path length)."""
    seed: NonNegativeInt = 0
    """Seeds variants and the subsample."""


class ModelSettings(Settings):
    """The network; symbols as in the paper."""

    hidden: PositiveInt = 512
    """Width of every state vector; divisible by `heads`."""
    heads: PositiveInt = 8
    """Attention heads."""
    H_layers: PositiveInt = 4
    """Blocks of the slow module H."""
    L_layers: PositiveInt = 4
    """Blocks of the fast module L."""
    H_cycles: PositiveInt = 2
    """Updates of H in a segment (N in the paper)."""
    L_cycles: PositiveInt = 2
    """Updates of L for each update of H (T in the paper)."""
    expansion: PositiveFloat = 4.0
    """Inner width of the SwiGLU, relative to `hidden`, before the factor 2/3."""
    positions: Literal["rope", "learned"] = "rope"
    """Position encoding."""
    puzzle_embedding: NonNegativeInt | None = None
    """Width of the puzzle embedding; `hidden` when left out, 0 for none."""
    halt_max_steps: PositiveInt = 16
    """Most segments a puzzle may take."""
    halt_exploration: Fraction = 0.1
    """Probability that a row must take a random minimum of segments in training."""

    @model_validator(mode="after")
    def _heads_divide_hidden(self) -> ModelSettings:
        if self.hidden % self.heads:
            raise ValueError(f"hidden = {self.hidden} must be divisible by heads = {self.heads}")
        if (self.hidden // self.heads) % 2 and self.positions == "rope":
            raise ValueError("rope rotates pairs: hidden / heads must be even")
        return self

    @property
    def puzzle_embedding_width(self) -> int:
        """Width of the puzzle embedding, 0 for none."""
        return self.hidden if self.puzzle_embedding is None else self.puzzle_embedding


class OptimizerSettings(Settings):
    """AdamATan2 on the parameters, sign-SGD on the puzzle embedding, one schedule for both."""

    lr: NonNegativeFloat = 1e-4
    """Base learning rate of AdamATan2."""
    weight_decay: NonNegativeFloat = 0.1
    """Decoupled weight decay of AdamATan2."""
    beta1: Fraction = 0.9
    """Decay of the mean of gradients."""
    beta2: Fraction = 0.95
    """Decay of the mean of squared gradients."""
    puzzle_lr: NonNegativeFloat = 1e-2
    """Base learning rate of the puzzle embedding."""
    puzzle_weight_decay: NonNegativeFloat = 0.1
    """Weight decay of the puzzle embedding's rows that are in the batch."""
    warmup_steps: NonNegativeInt = 2000
    """Steps of linear warm-up."""
    lr_min_ratio: Fraction = 1.0
    """Where the cosine ends, relative to the base rate; 1 keeps it constant."""


class TrainSettings(Settings):
    """The training run; defaults are the published ones (`config/cfg_pretrain.yaml` of the release)."""

    model: ModelSettings = ModelSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    loss: Literal["stablemax", "softmax"] = "stablemax"
    """Cross-entropy over stable-max in float64, or softmax in float32."""
    batch_size: PositiveInt = 768
    """Examples a step, over all processes."""
    epochs: PositiveInt = 100_000
    """Visits of each group."""
    eval_every: PositiveInt = 10_000
    """Epochs between two validations; each writes a checkpoint."""
    eval_puzzles: PositiveInt = 1000
    """Test puzzles (originals) that a validation looks at, the first ones."""
    processes: PositiveInt | Literal["auto"] = "auto"
    """Processes that `hrm train` starts: one a GPU, or 1 without a GPU, when `auto`."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of activations; `auto` is bfloat16 where the GPU has it, else float32. Parameters stay float32."""
    log_every: PositiveInt = 10
    """Steps between two logged points of the curves."""
    seed: NonNegativeInt = 0
    """Seeds the weights, the draws of the loader and the exploration."""
    wandb_project: str | None = None
    """Log to this Weights & Biases project as well."""

    @model_validator(mode="after")
    def _fits(self) -> TrainSettings:
        if isinstance(self.processes, int) and self.batch_size % self.processes:
            raise ValueError(
                f"batch_size = {self.batch_size} must be divisible by the number of processes = {self.processes}"
            )
        return self

    @property
    def trajectory(self) -> dict[str, Any]:
        """The settings that decide the weights: runs that agree in them are the same run."""
        return self.model_dump(exclude={"eval_every", "eval_puzzles", "processes", "log_every", "wandb_project"})


class EvaluateSettings(Settings):
    """Predictions on the test split."""

    copies: PositiveInt | None = None
    """Symmetric copies of each test puzzle, the original first. ARC: the trained variants, all when left out. Other
    kinds: drawn at random, 1 when left out."""
    batch_size: PositiveInt = 256
    """Copies at a time; does not change any result."""
    max_puzzles: PositiveInt | None = None
    """Evaluate the first test puzzles only."""
    seed: NonNegativeInt = 0
    """Seeds the choice of copies."""


class VoteSettings(Settings):
    """From predictions on copies to ranked answers."""

    ks: tuple[PositiveInt, ...] = (1, 2, 10, 100, 1000)
    """The K of each pass@K."""
    max_copies: PositiveInt | None = None
    """Count only the first copies of each puzzle."""
    drawn_puzzles: PositiveInt = 24
    """Puzzles drawn in the report."""


class PublishedScore(Settings):
    """What the authors or users of the published code report for a recipe."""

    metric: str
    """Name of the score."""
    value: float
    """Its value, in per cent."""
    hardware: str
    """What it was trained on."""
    time: str
    """How long that took."""


class RegisterSettings(Settings):
    """The registered model."""

    description: str
    """What the model is for, in a sentence or two; shown in the registry."""
    published: PublishedScore | None = None
    """The published score of this recipe, shown beside ours."""


class Experiment(Settings):
    """One experiment, complete: what every stage needs to know."""

    name: str
    sources: dict[str, Source]
    """Those of `build.sources`."""
    build: BuildSettings
    train: TrainSettings = TrainSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    vote: VoteSettings = VoteSettings()
    register_: Annotated[RegisterSettings, Field(alias="register")]


def read_params(path: Path) -> dict[str, Any]:
    """The three parts of a params file, not yet validated in depth.

    Raises:
        UserError: when the file is missing, is not YAML, or has other parts.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run this in the project's folder or give --params FILE") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected the keys run, sources and experiments")
    for key, kind in {"run": list, "sources": dict, "experiments": dict}.items():
        if not isinstance(content.get(key), kind):
            raise UserError(f"{path}: {key}: expected a {'list' if kind is list else 'mapping'}")
    if unknown := sorted(set(content) - {"run", "sources", "experiments"}):
        raise UserError(f"{path}: {', '.join(map(str, unknown))}: no such key; allowed are run, sources, experiments")
    return content


def load_experiment(name: str, params: Path, overrides: Sequence[str] = ()) -> Experiment:
    """An experiment of a params file, validated as a whole.

    Args:
        name: its key under `experiments:`.
        params: the file.
        overrides: `key=value` with a dotted key inside the experiment, or `sources.NAME.key=value`; the value is YAML.

    Raises:
        UserError: unknown experiment, key or source, or a value that is not allowed.
    """
    content = read_params(params)
    catalogue = content["experiments"]
    if name not in catalogue:
        raise UserError(f"{params}: experiments.{name}: no such experiment; there are {', '.join(catalogue)}")
    block = copy.deepcopy(catalogue[name])
    if not isinstance(block, dict):
        raise UserError(f"{params}: experiments.{name}: expected a mapping with a block per stage")
    block = {"name": name, "sources": copy.deepcopy(content["sources"]), **block}
    for override in overrides:
        _override(block, override)
    where = f"{params}: experiments.{name}"
    wanted = block["build"].get("sources", []) if isinstance(block.get("build"), dict) else []
    for source in wanted:
        if source not in block["sources"]:
            raise UserError(f"{where}.build.sources: {source!r} is not under sources: {', '.join(block['sources'])}")
    block["sources"] = {source: block["sources"][source] for source in wanted}
    return validate(Experiment, block, where)


def run_list(params: Path) -> list[str]:
    """The experiments that `dvc repro` carries out."""
    return [str(name) for name in read_params(params)["run"]]


def _override(block: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise UserError(f"-o {override}: expected key=value")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise UserError(f"-o {override}: the value is not valid YAML") from None
    *parents, last = key.split(".")
    target = block
    for parent in parents:
        # A block that is left out in the file has defaults; the validation afterwards knows which keys exist.
        target = target.setdefault(parent, {})
        if not isinstance(target, dict):
            raise UserError(f"-o {override}: {parent} is not a block of settings")
    target[last] = value
