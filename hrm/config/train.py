"""Settings of the stage `train`: the network, the optimizer, the run."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from hrm.settings import Fraction, NonNegativeFloat, NonNegativeInt, Settings

Decay = Annotated[float, Field(ge=0, lt=1)]


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

    @model_validator(mode="after")
    def _has_inner_width(self) -> ModelSettings:
        # The inner width is a rounded number of columns, then a multiple of 256.
        if self.expansion * self.hidden * 2 / 3 <= 0.5:
            raise ValueError(
                f"hidden = {self.hidden} with expansion = {self.expansion} leaves the SwiGLU no inner width"
            )
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
    beta1: Decay = 0.9
    """Decay of the mean of gradients."""
    beta2: Decay = 0.95
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
