"""The registry's model."""
