"""Kubeflow components, a folder each: `component.py`, and what it says of itself in `metadata.yaml` and `README.md`.

A body is a few lines over a stage of `hrm`. It imports what it needs, as it runs in a container of its own.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from kfp import dsl

IMAGE = "hrm-mlops:gpu"
"""The image of every component: `make image TARGET=gpu`; a pipeline's parameter `image` names another."""

component: Callable[..., Any] = partial(
    dsl.component, base_image=IMAGE, packages_to_install=[], install_kfp_package=False
)
"""The decorator of every component: one image that brings all it needs, nothing is installed at run time."""
