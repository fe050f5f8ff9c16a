"""A puzzle's answer after each segment: a slider over pictures, and the same in words.

A page's pictures repeat much and so are packed as one piece; without a script the last answer is there, and the table.
"""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from dataclasses import dataclass, field

import numpy as np

from hrm.data.dataset import Dataset
from hrm.evaluation.compared import different, distance
from hrm.evaluation.markup import counted, details, table
from hrm.evaluation.trace import Trace
from hrm.puzzles.base import Bytes
from hrm.puzzles.drawing import with_marks


@dataclass(frozen=True)
class Segment:
    """An answer, and how it came out of the one before."""

    picture: str
    changed: int | None
    """Cells that differ from the answer before; None for the first answer."""
    wrong: int
    """Cells that differ from the true answer; 0 also for another valid answer."""
    valid: bool
    """Whether it is another answer that obeys all rules."""
    confidence: float
    stops: bool
    """Whether the model would stop here by itself."""

    @property
    def verdict(self) -> str:
        """Right, or how far from it."""
        if self.valid:
            return "valid, another solution"
        return f"{counted(self.wrong, 'cell')} wrong" if self.wrong else "right"

    def words(self, number: int, count: int) -> str:
        """All of it in a sentence."""
        changed = "" if self.changed is None else f"{counted(self.changed, 'cell')} changed, "
        stops = ". The model would stop here" if self.stops else ""
        return f"Segment {number} of {count}: {changed}{self.verdict}, confidence {100 * self.confidence:.0f} %{stops}"


@dataclass
class Thinking:
    """What a page shows of a trace; it gathers the pictures as puzzles are asked for."""

    dataset: Dataset
    trace: Trace
    _pictures: dict[int, tuple[list[str], list[str]]] = field(default_factory=dict)

    def traced(self, example: int) -> bool:
        """Whether the answers to a test example were kept."""
        return bool((self.trace.examples == example).any())

    def html(self, example: int) -> str:
        """The slider of one test example."""
        segments = self._segments(example)
        count = len(segments)
        words = [segment.words(number, count) for number, segment in enumerate(segments, 1)]
        self._pictures[example] = ([segment.picture for segment in segments], words)
        columns = self.dataset.test.answers.grid(example).shape[1]
        figure = (
            "<figure><figcaption>Answer after each segment"
            "<small>of the puzzle itself, without voting</small></figcaption>"
            f'<div class="grid" style="--columns: {columns}" id="picture-{example}">{segments[-1].picture}</div>'
            "</figure>"
        )
        slider = (
            f'<p class="slider" hidden><label for="segment-{example}">Segment</label>'
            f'<input type="range" id="segment-{example}" data-example="{example}" min="1" max="{count}" '
            f'value="{count}" autocomplete="off" aria-valuetext="{words[-1]}"></p>'
        )
        said = f'<p class="said" id="said-{example}">{words[-1]}</p>'
        every = details("All segments", _table(segments))
        return f'<div class="thinking">{figure}<div>{slider}{said}{every}</div></div>'

    def packed(self) -> str:
        """All pictures and words so far, for the page's script: Base64 of gzip of JSON; empty where there are none."""
        if not self._pictures:
            return ""
        text = json.dumps(self._pictures, ensure_ascii=False, separators=(",", ":"))
        return b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()

    def _segments(self, example: int) -> list[Segment]:
        place = int(np.flatnonzero(self.trace.examples == example)[0])
        answers = self.trace.of(place)
        segments: list[Segment] = []
        for number in range(len(answers)):
            before = answers.grid(number - 1) if number else None
            confidence = 0.5 + 0.5 * float(np.tanh(self.trace.q_halt[place, number] / 2))
            stops = number + 1 == self.trace.stops[place]
            segments.append(self._segment(example, answers.grid(number), before, confidence, stops=stops))
        return segments

    def _segment(self, example: int, answer: Bytes, before: Bytes | None, confidence: float, *, stops: bool) -> Segment:
        question = self.dataset.test.questions.grid(example)
        truth = self.dataset.test.answers.grid(example)
        wrong = distance(answer, truth)
        valid = wrong > 0 and self.dataset.puzzle.is_valid(question, answer) is True
        picture = with_marks(
            self.dataset.puzzle.draw(answer, question),
            wrong=None if valid else different(answer, truth),
            changed=None if before is None else different(answer, before),
        )
        changed = None if before is None else distance(answer, before)
        return Segment(picture, changed, 0 if valid else wrong, valid, confidence, stops)


def _table(segments: list[Segment]) -> str:
    rows = [
        [
            str(number),
            "–" if segment.changed is None else f"{segment.changed:,}",
            segment.verdict,
            f"{100 * segment.confidence:.0f} %",
        ]
        for number, segment in enumerate(segments, 1)
    ]
    return table("The answer after each segment", ["Segment", "Cells changed", "Answer", "Confidence"], rows)
