"""The chain on Kubeflow Pipelines: `python -m pipelines --help`."""
