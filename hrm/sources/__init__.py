"""Where raw puzzles come from: a package, a folder, a Git repository, the Hugging Face hub, or a generator.

An origin is a block under `sources:` in `params.yaml`, selected by its key `origin`.
"""

from typing import Annotated

from pydantic import Field

from hrm.sources.base import Origin
from hrm.sources.folder import FolderSource
from hrm.sources.generated import GeneratedSource
from hrm.sources.git import GitSource
from hrm.sources.hub import HubSource
from hrm.sources.package import PackageSource

Source = Annotated[
    PackageSource | FolderSource | GitSource | HubSource | GeneratedSource, Field(discriminator="origin")
]

__all__ = ["FolderSource", "GeneratedSource", "GitSource", "HubSource", "Origin", "PackageSource", "Source"]
