"""Settings of the stage `train`: the network, the optimizer, the run."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, model_validator

from hrm.settings import Fraction, NonNegativeFloat, NonNegativeInt, PositiveInt, Seed, Settings

Attention = Literal["auto", "flash3", "flash2", "sdpa", "matmul"]
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
    gradient_cycles: NonNegativeInt = 0
    """Last H cycles that are differentiated in full; 0 is the paper's one-step gradient: of the last update of L and of
    H alone."""

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

    @model_validator(mode="after")
    def _has_the_cycles(self) -> ModelSettings:
        if self.gradient_cycles > self.H_cycles:
            raise ValueError(f"gradient_cycles = {self.gradient_cycles} is more than H_cycles = {self.H_cycles}")
        return self

    @property
    def puzzle_embedding_width(self) -> int:
        """Width of the puzzle embedding, 0 for none."""
        return self.hidden if self.puzzle_embedding is None else self.puzzle_embedding


class HaltingSettings(Settings):
    """Adaptive computation: how many segments a puzzle takes (paper section 2, ACT)."""

    max_steps: PositiveInt = 16
    """Most segments a puzzle may take."""
    exploration: Fraction = 0.1
    """Probability that a row must take a random minimum of segments in training."""
    continue_target: Literal["next_segment", "none"] = "next_segment"
    """What the Q-value of going on learns from: one more segment, or `none`: then it is not learned, a row halts when
    the Q-value of halting is above 0, and a step takes about a third less work."""


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


class CheckpointSettings(Settings):
    """When checkpoints are written, besides each validation and every stop, and which of them stay."""

    every_minutes: PositiveFloat = 10.0
    """Time between two checkpoints."""
    every_steps: PositiveInt | None = None
    """Steps between two checkpoints, besides the time."""
    keep: PositiveInt = 2
    """Newest checkpoints that stay, besides the best; more than one, in case the newest is damaged."""
    leave: PositiveInt = 1
    """Checkpoints that a finished run leaves: its result, and those before it that are still there; see
    `evaluate.checkpoints`."""
    mirror: str | None = Field(None, pattern=r"^s3://[^/@]+(/.+)?$")
    """`s3://bucket/prefix` that every checkpoint is copied to, and that a machine with an empty disk resumes from; each
    run has its own folder there, by name, settings and data."""

    @model_validator(mode="after")
    def _stay_until_the_end(self) -> CheckpointSettings:
        if self.leave > self.keep:
            raise ValueError(f"leave = {self.leave}: no more stay than keep = {self.keep}")
        return self


class TrainSettings(Settings):
    """The training run; defaults are the published ones (`config/cfg_pretrain.yaml` of the release)."""

    model: ModelSettings = ModelSettings()
    halting: HaltingSettings = HaltingSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    checkpoints: CheckpointSettings = CheckpointSettings()
    loss: Literal["stablemax", "stablemax-float32", "softmax"] = "stablemax"
    """Cross-entropy over stable-max in float64, the same in float32, or over softmax in float32."""
    ema: Decay = 0.0
    """Decay of an exponential moving average of the parameters, which then predicts in place of them; 0 for none."""
    batch_size: PositiveInt = 768
    """Examples a step, over all processes."""
    epochs: PositiveInt = 100_000
    """Visits of each group."""
    eval_every: PositiveInt = 10_000
    """Epochs between two validations; each writes a checkpoint."""
    eval_puzzles: PositiveInt = 1000
    """Test puzzles (originals) that a validation looks at, the first ones."""
    metric: Literal["eval/exact_accuracy", "eval/token_accuracy", "eval/q_halt_accuracy"] = "eval/exact_accuracy"
    """Of a validation: says which checkpoint is the best."""
    patience: PositiveInt | None = None
    """Validations without a better `metric` after which the training ends; it runs to its last epoch when left out."""
    result: Literal["last", "best"] = "last"
    """The checkpoint that a finished run leaves. `best` is chosen on test puzzles, which flatters its score."""
    not_finite: Literal["stop", "skip"] = "stop"
    """What happens when a loss or gradient is not finite: the run stops, or goes back to its last checkpoint and leaves
    that batch out."""
    processes: PositiveInt | Literal["auto"] = "auto"
    """Processes that `hrm train` starts: one a GPU, or 1 without a GPU, when `auto`."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of activations; `auto` is bfloat16 where the GPU or CPU is fast at it, else float32. Parameters stay float32."""
    compile: bool = True
    """Compile the step with torch.compile; where no compiler works, a warning says so and the step runs as it is."""
    attention: Attention = "auto"
    """The kernel: `flash3` and `flash2` need flash-attn, a GPU and bfloat16; `sdpa` is PyTorch's own; `matmul` forms
    the whole matrix of weights, the fastest for short sequences on a CPU; `auto` takes the fastest that is there."""
    log_every: PositiveInt = 10
    """Steps between two logged points of the curves."""
    seed: Seed = 0
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
        """The settings that decide the weights after each step: runs that agree in them are the same run."""
        free = {"eval_every", "eval_puzzles", "log_every", "wandb_project", "checkpoints"}
        free |= {"processes", "compile", "attention"}  # up to rounding
        free |= {"not_finite", *self.ending}
        return self.model_dump(exclude=free, exclude_defaults=True)

    @property
    def ending(self) -> dict[str, Any]:
        """The settings that decide when a run ends, and which of its checkpoints it leaves."""
        return self.model_dump(include={"metric", "patience", "result"})
