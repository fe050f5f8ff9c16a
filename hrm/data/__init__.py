"""The dataset: how it is built, its format, the loader, and the copies that are predicted."""
