"""The report: one self-contained HTML page an experiment: scores, curves, how the model thinks, puzzles, settings."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hrm.artifacts import write_text
from hrm.data.dataset import Dataset
from hrm.evaluation.calibration import calibration, reliability
from hrm.evaluation.candidates import Candidates
from hrm.evaluation.chart import Series
from hrm.evaluation.drawn import choose, puzzle_card
from hrm.evaluation.effort import efforts, rules_for
from hrm.evaluation.effort_chart import effort_section
from hrm.evaluation.failures import failures
from hrm.evaluation.halting import halting
from hrm.evaluation.markup import counted, per_cent
from hrm.evaluation.predictions import Predictions
from hrm.evaluation.report_curves import curves
from hrm.evaluation.report_origin import provenance, records_of, settings
from hrm.evaluation.report_parts import parts
from hrm.evaluation.report_scores import lede, score_rows, tiles
from hrm.evaluation.thinking import Thinking
from hrm.evaluation.trace import Trace, open_trace
from hrm.evaluation.vote import RANKED, Ranking
from hrm.tracking.record import IMPORT


def write_report(
    path: Path,
    name: str,
    ranking: Ranking,
    dataset: Dataset,
    run: Path,
    *,
    predictions: Predictions,
    candidates: Candidates,
    evaluate: Mapping[str, Any],
    vote: Mapping[str, Any],
    solved_E: NDArray[np.bool_],
    drawn_puzzles: int,
) -> None:
    """Write the page, atomically.

    Args:
        path: the HTML file.
        name: the experiment.
        ranking: the ranked answers.
        dataset: the dataset they answer.
        run: the experiment's folder with, where they are there, `curves.csv`, the predictions' trace and the provenance
            records.
        predictions: what was ranked.
        candidates: the different answers among them.
        evaluate: the content of `evaluate.json`.
        vote: the content of `vote.json`.
        solved_E: which test puzzles the first answer solves, be it the known solution or another valid one.
        drawn_puzzles: how many puzzles are drawn, and how many failures besides.
    """
    records = dict(records_of(run, dataset.path))
    trace = open_trace(run / "predictions", dataset.puzzle.canvas)
    text = Template(_part("html")).substitute(
        name=escape(name),
        style=_part("css"),
        policy=_policy(),
        lede=lede(dataset, evaluate, vote, imported=records.get("train", {}).get("stage") == IMPORT),
        tiles=tiles(evaluate, vote),
        scores="".join(score_rows(evaluate, vote)),
        parts=parts(ranking, dataset, evaluate, vote),
        curves=curves(run / "curves.csv"),
        thinking=_judgement(predictions, trace) + _effort(predictions, candidates, trace),
        failures=failures(ranking, dataset, solved_E, drawn_puzzles),
        puzzles=_puzzles(ranking, dataset, trace, solved_E, drawn_puzzles),
        settings=settings(dataset, records),
        provenance=provenance(dataset, records),
    )
    write_text(path, text + "\n")


def _part(kind: str) -> str:
    """The page's frame, style or script."""
    return files("hrm.evaluation").joinpath(f"report.{kind}").read_text(encoding="utf-8").strip()


def _policy() -> str:
    """A content security policy: one script and nothing from elsewhere, whatever a name or a puzzle may hold."""
    digest = b64encode(hashlib.sha256(_part("js").encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'none'"
    )


def _judgement(predictions: Predictions, trace: Trace | None) -> str:
    """Where the model would stop, and how far it can be trusted to know."""
    originals = predictions.original
    found = calibration(predictions.q_halt[originals], predictions.exact[originals])
    stops = '<p class="note">This evaluation did not record the answers between segments.</p>'
    if trace is not None:
        runs = f"{'up to ' if predictions.halted(trace.segments) else ''}{counted(trace.segments, 'segment')}"
        stops = (
            f'<p class="note">Each of {counted(trace.count, "puzzle")} runs {runs}. '
            "In training a puzzle stops as soon as the model prefers to; the first chart says where that would be.</p>"
            + halting(trace)
        )
    return (
        f'{stops}<p class="note">After the last segment the Q head estimates how likely the answer is right. Its '
        f"confidence and the share of right answers lie {per_cent(found.error)} apart on average (expected calibration "
        f"error, {counted(int(found.count.sum()), 'answer')}).</p>{reliability(found)}"
    )


def _effort(predictions: Predictions, candidates: Candidates, trace: Trace | None) -> str:
    """What more votes buy, with all starts and checkpoints there are."""
    found = list(efforts(predictions, candidates, rules_for(candidates), by_copies=True))
    single = None
    if trace is not None:
        single = Series(trace.work(halted=predictions.halted(trace.segments)), trace.right / trace.count)
    return effort_section(found, single)


def _puzzles(ranking: Ranking, dataset: Dataset, trace: Trace | None, solved_E: NDArray[np.bool_], count: int) -> str:
    """The puzzles drawn, what can be chosen among them, and the script of their sliders where there are any."""
    thinking = None if trace is None else Thinking(dataset, trace)
    traced_E = None if trace is None else np.isin(ranking.examples, trace.examples)
    rows = choose(solved_E, count, traced_E).tolist()
    cards = []
    for row in rows:
        example = int(ranking.examples[row])
        more = thinking.html(example) if thinking is not None and thinking.traced(example) else ""
        cards.append(puzzle_card(ranking, dataset, row, solved=bool(solved_E[row]), more=more))
    packed = "" if thinking is None else thinking.packed()
    data = f'<script type="application/gzip" id="segments">{packed}</script>'
    scripts = f"{data}<script>{_part('js')}</script>" if packed else ""
    num_solved = int(solved_E[rows].sum())
    choices = {"all": f"all {len(rows)}", "solved": f"✓ solved {num_solved}"}
    choices["unsolved"] = f"✗ not solved {len(rows) - num_solved}"
    labels = "".join(
        f'<label><input type="radio" name="show" id="show-{key}"{" checked" if key == "all" else ""}>'
        f"<span>{text}</span></label>"
        for key, text in choices.items()
    )
    changed = ", a blue corner one that changed since the segment before" if packed else ""
    note = (
        f"{len(rows):,} of {len(ranking):,} test puzzles, drawn evenly from the solved and the unsolved ones. "
        f"Candidates are ranked {RANKED[ranking.rule]}. A dashed frame marks a cell that is wrong or breaks a "
        f"rule{changed}."
    )
    return (
        f'<p class="note">{note}</p><fieldset class="filter"><legend>Show</legend>{labels}</fieldset>'
        f"{''.join(cards)}{scripts}"
    )
