"""The picture of a pipeline, drawn from what is compiled: steps, what they ask for, and what they hand on."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import yaml

from pipelines.catalogue import PIPELINES
from pipelines.compile import FOLDER, compiled, keep_current

FIGURES = FOLDER.parents[1] / "docs" / "img"
CHANNEL = "pipelinechannel--"
GIVEN = ("taskOutputParameter", "componentInputParameter")
WIDTH, HEIGHT, GAP, MARGIN, RISE = 150, 62, 44, 24, 26
"""Of a step's box, the space between two, around all, and how much higher each longer arc is; in pixels."""
STYLE = """\
text{font:13px system-ui,sans-serif;fill:#1f2933;text-anchor:middle}.name{font-weight:600}
.small{font-size:11px;fill:#52606d}
.step{fill:#f0f4f8;stroke:#829ab1}.gpu{fill:#e3f8e8;stroke:#3f9142}.data{fill:#fff3da;stroke:#cb8a14}
.loop{fill:none;stroke:#9fb3c8;stroke-dasharray:5 4}
path{fill:none;stroke:#52606d;stroke-width:1.4}.parameters{stroke-dasharray:2 3;stroke:#9fb3c8}"""


@dataclass
class Step:
    """A step, as the compiled pipeline has it."""

    name: str
    kind: str = "step"
    asks: list[str] = field(default_factory=list)
    artifacts: dict[str, list[str]] = field(default_factory=dict)
    """Names of the artifacts it takes, by the step they come from."""
    settings: set[str] = field(default_factory=set)
    """Steps whose parameters it takes."""
    looped: bool = False


def add_verb(verbs: Any, parents: list[argparse.ArgumentParser]) -> None:
    """`draw`."""
    parser = verbs.add_parser("draw", parents=parents, help="draw every pipeline as SVG", description=__doc__)
    parser.add_argument("--out", type=Path, default=FIGURES, metavar="FOLDER", help="default: docs/img")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a picture is not current")
    parser.set_defaults(action=_run)


def steps(text: str) -> list[Step]:
    """The steps of a compiled pipeline, each after those that it takes something from."""
    spec, platform = yaml.safe_load_all(text)
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    found: dict[str, Step] = {}
    for name, task, looped in _tasks(spec, spec["root"], looped=False):
        step = found[name] = Step(name, looped=looped)
        container = spec["deploymentSpec"]["executors"][f"exec-{name}"].get("container", {})
        _describe(step, task, container, executors.get(f"exec-{name}", {}))
        for source, artifact in _artifacts(task):
            step.artifacts.setdefault(source, []).append(artifact)
        step.settings = set(_settings(task)) - set(step.artifacts)
    return _sorted(found)


def _tasks(spec: Mapping[str, Any], graph: Mapping[str, Any], *, looped: bool) -> Iterator[tuple[str, Any, bool]]:
    for name, task in graph["dag"]["tasks"].items():
        component = spec["components"][task["componentRef"]["name"]]
        if "dag" in component:
            yield from _tasks(spec, component, looped=looped or "parameterIterator" in task)
        else:
            yield name, task, looped


def _describe(step: Step, task: Mapping[str, Any], container: Mapping[str, Any], more: Mapping[str, Any]) -> None:
    if "accelerator" in container.get("resources", {}):
        step.kind = "gpu"
        step.asks.append("all GPUs" if "emptyDirMounts" in more else "a GPU")
    if task.get("cachingOptions", {}).get("enableCache"):
        step.kind = "data"
        step.asks.append("cached")
    retries = task.get("retryPolicy", {}).get("maxRetryCount", 0)
    step.asks.append(f"{retries} retries" if retries > 1 else "1 retry" if retries else "no container")


def _artifacts(task: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The step that each artifact comes from, and the artifact's name."""
    for name, given in task.get("inputs", {}).get("artifacts", {}).items():
        for source in given.values():
            yield _producer(source, "outputArtifactKey"), name


def _settings(task: Mapping[str, Any]) -> Iterator[str]:
    """The step that each parameter comes from; of one of the pipeline's own, its name."""
    for given in task.get("inputs", {}).get("parameters", {}).values():
        yield from (_producer(source, "outputParameterKey") for kind, source in given.items() if kind in GIVEN)


def _producer(source: str | Mapping[str, str], key: str) -> str:
    """A step; what comes out of a group of steps, or into one, has its step in its name alone."""
    if isinstance(source, str):
        return source.removeprefix(CHANNEL).partition("-")[0]
    if source[key].startswith(CHANNEL):
        return source[key].removeprefix(CHANNEL).partition("-")[0]
    return source["producerTask"]


def _sorted(found: Mapping[str, Step]) -> list[Step]:
    placed: dict[str, Step] = {}
    while len(placed) < len(found):
        ready = [step for step in found.values() if step.name not in placed and _sources(step, found) <= placed.keys()]
        last = [step for step in ready if step.name != "finish"] or ready
        placed |= {step.name: step for step in last[:1]}
    return list(placed.values())


def _sources(step: Step, known: Mapping[str, Step]) -> set[str]:
    return (set(step.artifacts) | step.settings) & known.keys()


def svg(name: str) -> str:
    """The picture of a pipeline: its steps in a row, arcs for artifacts above, for settings below."""
    row = steps(compiled(name))
    place = {step.name: number for number, step in enumerate(row)}
    arcs = sorted((place[source], place[step.name]) for step in row for source in step.artifacts if source in place)
    below = sorted((place[source], place[step.name]) for step in row for source in step.settings if source in place)
    longest = [max((end - start for start, end in pairs), default=1) for pairs in (arcs, below)]
    top = MARGIN + RISE * longest[0]
    width = 2 * MARGIN + len(row) * (WIDTH + GAP) - GAP
    height = top + HEIGHT + RISE * longest[1] + MARGIN
    parts = [_loop(row, top)] if any(step.looped for step in row) else []
    parts += [_arc(start, end, top, up=True) for start, end in arcs]
    parts += [_arc(start, end, top + HEIGHT, up=False) for start, end in below]
    parts += [_box(step, place[step.name], top) for step in row]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">'
    marker = (
        '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" style="fill:#52606d;stroke:none"/></marker>'
    )
    title = f"<title>{escape(f'The pipeline {name}')}</title>"
    return "\n".join([head, title, f"<style>{STYLE}</style><defs>{marker}</defs>", *parts, "</svg>"]) + "\n"


def _left(place: int) -> int:
    return MARGIN + place * (WIDTH + GAP)


def _box(step: Step, place: int, top: int) -> str:
    left, middle = _left(place), _left(place) + WIDTH // 2
    return (
        f'<rect class="{step.kind}" x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT}" rx="8"/>'
        f'<text class="name" x="{middle}" y="{top + 26}">{escape(step.name)}</text>'
        f'<text class="small" x="{middle}" y="{top + 45}">{escape(", ".join(step.asks))}</text>'
    )


def _arc(start: int, end: int, level: int, *, up: bool) -> str:
    kind = "artifacts" if up else "parameters"
    if up and end == start + 1:
        middle = level + HEIGHT // 2
        return f'<path class="{kind}" marker-end="url(#tip)" d="M{_left(start) + WIDTH} {middle}H{_left(end) - 2}"/>'
    first, last = _left(start) + WIDTH * 2 // 3, _left(end) + WIDTH // 3
    bend = level + (-1 if up else 1) * RISE * 4 // 3 * (end - start)
    tip = level + (-2 if up else 2)
    return (
        f'<path class="{kind}" marker-end="url(#tip)" d="M{first} {level}C{first} {bend} {last} {bend} {last} {tip}"/>'
    )


def _loop(row: list[Step], top: int) -> str:
    inside = [place for place, step in enumerate(row) if step.looped]
    left, right = _left(inside[0]) - GAP // 3, _left(inside[-1]) + WIDTH + GAP // 3
    return f'<rect class="loop" x="{left}" y="{top - 14}" width="{right - left}" height="{HEIGHT + 28}" rx="12"/>'


def _run(options: argparse.Namespace) -> None:
    keep_current(((options.out / f"pipeline-{name}.svg", svg(name)) for name in PIPELINES), "draw", check=options.check)
