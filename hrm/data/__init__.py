"""The dataset: its format, the loader, and the published layout."""
