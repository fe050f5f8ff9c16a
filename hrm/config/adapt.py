"""Settings of `hrm adapt`: a trained model learns tasks that it was not trained with."""

from __future__ import annotations

from hrm.settings import NonNegativeFloat, NonNegativeInt, PositiveInt, Seed, Settings


class AdaptSettings(Settings):
    """From a trained model to answers for new tasks; precision, loss and weight decays stay those of its training."""

    variants: NonNegativeInt | None = None
    """Augmented variants of each task besides the original: each has an embedding of its own to learn, and its answers
    vote. As many as in `build` when left out."""
    steps: NonNegativeInt = 1000
    """Optimizer steps, which bound the time: each of the tasks' variants is seen `steps` x `batch_size` / (variants x
    demonstrations) times. With 0 nothing is learned, which shows what the learning is worth."""
    batch_size: PositiveInt = 256
    """Demonstrations a step."""
    puzzle_lr: NonNegativeFloat = 1e-2
    """Learning rate of the embeddings at the first step; it falls to a twentieth at the last."""
    weights: bool = False
    """Learn the weights as well. It costs more, and the model forgets what it is not shown."""
    lr: NonNegativeFloat = 1e-5
    """Learning rate of the weights at the first step, where they learn; it falls likewise."""
    compile: bool = False
    """Compile the step with torch.compile: worth its minute where `steps` take many."""
    seed: Seed = 0
    """Seeds variants and the draws of demonstrations."""
