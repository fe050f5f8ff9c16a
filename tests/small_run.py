"""For tests that need one: a small dataset, a small finished run as the stages would leave it, an embedded MLflow."""

import atexit
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from made_up import Answered
from safetensors.torch import save_file

from hrm import provenance
from hrm.artifacts import digest
from hrm.config import BuildSettings, EvaluateSettings, HaltingSettings, ModelSettings, TrainSettings, VoteSettings
from hrm.data.batch import encode_batch
from hrm.data.build import build_dataset
from hrm.data.copies import Copies, symmetric_copies
from hrm.data.dataset import Dataset, open_dataset
from hrm.evaluation.plan import Plan
from hrm.evaluation.predict import predict_piece, write_artifact
from hrm.evaluation.predictions import write_about, write_part
from hrm.model import HRM
from hrm.model.act import exploration_min_steps, initial_carry, train_step
from hrm.puzzles import Arc, Sudoku
from hrm.tracking.curves import Curves
from hrm.tracking.server import connect
from hrm.training.card import ModelCard

SOLVED = ("1234341221434321", "1234341243212143", "2143432134121234", "3412123421434321")
SETTINGS = TrainSettings(
    model=ModelSettings(hidden=32, heads=2, H_layers=1, L_layers=1, puzzle_embedding=0, positions="learned"),
    halting=HaltingSettings(max_steps=2),
    batch_size=4,
    processes=1,
    precision="float32",
    compile=False,
)
CURVES = {step: {"train/loss": 1 / step, "train/exact_accuracy": step / 50} for step in range(10, 60, 10)}


def use_embedded_mlflow(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An embedded MLflow database in `folder`, which becomes the current one."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    shutil.copy(_empty_database(), folder / "mlflow.db")
    monkeypatch.chdir(folder)


@cache
def _empty_database() -> Path:
    """Made once: the migrations of a fresh database take seconds."""
    folder = tempfile.TemporaryDirectory(prefix="mlflow-")
    atexit.register(folder.cleanup)
    before = Path.cwd()
    os.chdir(folder.name)
    try:
        connect().search_experiments(max_results=1)
    finally:
        os.chdir(before)
    return Path(folder.name) / "mlflow.db"


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for what another thread or process does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def sudoku_dataset(folder: Path, tests: Sequence[str] = SOLVED[1:]) -> Dataset:
    """4 × 4 Sudokus: four to train on, three to test on unless others are given by their answers."""
    raw = folder / "raw/small"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for split, answers in {"train": SOLVED, "test": tests}.items():
        rows = ["source,question,answer,rating"]
        for answer in answers:
            blanks = set(rng.choice(16, 8, replace=False))
            question = "".join("." if cell in blanks else digit for cell, digit in enumerate(answer))
            rows.append(f"small,{question},{answer},0")
        (raw / f"{split}.csv").write_text("\n".join(rows) + "\n")
    build_dataset(BuildSettings(puzzle=Sudoku(box=(2, 2)), sources=["small"]), folder / "raw", folder / "built")
    return open_dataset(folder / "built")


def arc_dataset(folder: Path) -> Dataset:
    """Two ARC tasks on a canvas of 4, with two variants each."""
    rng = np.random.default_rng(1)
    for name in ("training/aa", "evaluation/bb"):
        file = folder / f"raw/small/{name}.json"
        file.parent.mkdir(parents=True)
        pairs = [{side: rng.integers(0, 10, (3, 2)).tolist() for side in ("input", "output")} for _ in range(3)]
        file.write_text(json.dumps({"train": pairs[:2], "test": pairs[2:]}))
    settings = BuildSettings(puzzle=Arc(canvas_size=4), sources=["small"], variants=2)
    build_dataset(settings, folder / "raw", folder / "built")
    return open_dataset(folder / "built")


def finished_run(
    folder: Path, dataset: Dataset, settings: TrainSettings = SETTINGS, *, steps: int = 0, solved: Sequence[bool] = ()
) -> Path:
    """The folder of a run after every stage but the registration; its model was trained for some steps.

    It claims to solve the test puzzles in `solved`, every second one where that is left out.
    """
    checkpoint = write_checkpoint(folder / "checkpoints", dataset, settings, steps)
    curves = Curves(folder / "curves.csv")
    for step, values in CURVES.items():
        curves.add(step, dict(values))
    curves.write(folder / "curves.csv")
    inputs = {"dataset": dataset.path}
    provenance.write(folder / "train.provenance.json", "train", inputs=inputs, settings=settings)
    exact_accuracy = float(np.mean(solved)) if solved else 0.5
    scores = {"exact_accuracy": exact_accuracy, "exact_accuracy_low": 0.2, "exact_accuracy_high": 0.8}
    write_predictions(folder / "predictions", dataset, solved or [row % 2 == 0 for row in range(len(dataset.test))])
    files = {
        "train.json": {"steps": 50},
        "evaluate.json": {**scores, "token_accuracy": 0.75, "count": len(dataset.test)},
        "vote.json": {"pass@1": 0.5, "pass@2": 2 / 3, "tasks": 3, "test_inputs": 3, "votes": 1, "predictions": 3},
        "answers/answers.json": {"answers": []},
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    made_from = {
        "evaluate": ({"checkpoint": checkpoint}, EvaluateSettings()),
        "vote": ({"predictions": folder / "predictions"}, VoteSettings()),
    }
    for stage, (inputs, own) in made_from.items():
        origin = folder / f"{stage}.provenance.json"
        provenance.write(origin, stage, inputs={"dataset": dataset.path, **inputs}, settings=own)
    (folder / "report.html").write_text("<!doctype html><title>report</title>")
    return folder


def write_predictions(folder: Path, dataset: Dataset, solved: Sequence[bool]) -> None:
    """Predictions of the first test puzzles, one each, right or with the first cell wrong."""
    copies = symmetric_copies(dataset, copies=1, max_puzzles=len(solved), seed=0)
    folder.mkdir(parents=True)
    write_part(folder, 0, Answered(dataset, copies).predictions(list(solved)))
    write_about(folder, {"dataset_digest": dataset.digest}, len(solved))


def predict(model: HRM, copies: Copies, out: Path, *, batch_size: int) -> None:
    """What the stage `evaluate` writes of copies by the published protocol."""
    plan = Plan(copies, batch_size, model.halt_max_steps)
    pieces = ([predict_piece(model, plan, piece, 0)] for piece in range(plan.num_pieces))
    write_artifact(out, plan, pieces, {"checkpoint_step": 30})


def write_checkpoint(checkpoints: Path, dataset: Dataset, settings: TrainSettings, steps: int) -> Path:
    """What a registered model needs of a checkpoint, after learning the training puzzles by heart for some steps."""
    card = ModelCard(
        puzzle=dataset.puzzle,
        seq_len=dataset.seq_len,
        vocab_size=dataset.puzzle.vocab_size,
        num_puzzle_ids=dataset.num_puzzle_ids,
        train=settings,
        dataset_digest=dataset.digest,
        step=steps,
    )
    torch.manual_seed(0)
    model = card.build()
    train = dataset.train
    batch = encode_batch(dataset.puzzle, train.questions, train.answers, np.zeros(len(train), np.int64))
    inputs, labels, ids = (torch.from_numpy(array) for array in (batch.inputs, batch.labels, batch.puzzle_ids))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    carry = initial_carry(model, len(batch))
    never = exploration_min_steps(0, 0, batch_size=len(batch), probability=0, halt_max_steps=2)
    for _ in range(steps):
        carry, outputs = train_step(model, carry, inputs, labels, ids, min_steps_B=never)
        loss = torch.nn.functional.cross_entropy(outputs.logits_BLV.flatten(0, 1), labels.flatten().long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    folder = checkpoints / f"step-{steps:08d}"
    folder.mkdir(parents=True)
    (folder / "model.json").write_text(card.model_dump_json())
    write_weights(folder, model.state_dict())
    return folder


def write_weights(folder: Path, weights: dict[str, torch.Tensor]) -> None:
    """Give a checkpoint other weights, of which its card knows."""
    save_file(weights, folder / "model.safetensors")
    card = json.loads((folder / "model.json").read_text())
    card["weights_digest"] = digest(folder / "model.safetensors")
    (folder / "model.json").write_text(json.dumps(card))
