"""The Hierarchical Reasoning Model, from raw puzzles to a registered model."""

__version__ = "0.1.0"
