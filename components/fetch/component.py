"""Raw puzzles, from wherever they are kept."""

from kfp import dsl

from components import component


@component
def fetch(sources: dict, raw: dsl.Output[dsl.Dataset]) -> None:
    """Get the raw puzzles of an experiment's sources: a package, a hub, Git, a generator.

    Args:
        sources: where each comes from; the block `sources` of the settings.
        raw: a folder a source, with a record of its version and digest beside it.
    """
    from pathlib import Path

    from hrm.config import sources_of
    from hrm.stages.fetch import fetch as fetched
    from hrm.stages.metadata import of_raw

    fetched(sources_of(sources), Path(raw.path))
    raw.metadata.update(of_raw(Path(raw.path)))
