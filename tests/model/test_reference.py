"""Whole training runs of the published model, reproduced number by number.

`tests/fixtures/hrm_reference/*.npz` were recorded from the official release in float32 on one thread: the weights
before and after, and at each step the batch offered, the outputs, losses and metrics. `pytest --device cuda` computes
them on a GPU.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hrm.model import HRM, Carry, Outputs, StepLoss, eval_step, initial_carry, solve, step_loss, train_step
from hrm.model.published import from_published, to_published
from hrm.training.optim import AdamATan2, SignSGD

FIXTURES = Path(__file__).parent.parent / "fixtures" / "hrm_reference"
METRICS = {
    "count": "count",
    "accuracy": "token_accuracy",
    "exact_accuracy": "exact_accuracy",
    "q_halt_accuracy": "q_halt_accuracy",
    "steps": "steps",
    "lm_loss": "token_loss",
    "q_halt_loss": "q_halt_loss",
    "q_continue_loss": "q_continue_loss",
}
"""The release's names and ours."""


@dataclass
class Run:
    """One recorded run, and the same run carried out by our code."""

    recorded: dict[str, np.ndarray]
    model: HRM
    loss: str
    train_steps: int
    device: torch.device
    steps: list[tuple[Carry, Outputs, StepLoss]] = field(default_factory=list)
    first_gradients: dict[str, Tensor] = field(default_factory=dict)

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        keys = ("inputs", "labels", "puzzle_identifiers")
        inputs, labels, ids = (self.tensor(f"step{step}.{key}") for key in keys)
        return inputs, labels, ids

    def tensor(self, key: str) -> Tensor:
        return torch.from_numpy(self.recorded[key]).to(self.device)

    def state(self, moment: str) -> dict[str, Tensor]:
        """The recorded state dict before ("initial") or after ("final") the run, under the published names."""
        prefix = moment + "."
        return {
            key.removeprefix(prefix): torch.from_numpy(value)
            for key, value in self.recorded.items()
            if key.startswith(prefix)
        }


def build(config: dict[str, Any]) -> HRM:
    return HRM(
        vocab_size=config["vocab_size"],
        seq_len=config["seq_len"],
        num_puzzle_ids=config["num_puzzle_identifiers"],
        hidden=config["hidden_size"],
        heads=config["num_heads"],
        H_layers=config["H_layers"],
        L_layers=config["L_layers"],
        H_cycles=config["H_cycles"],
        L_cycles=config["L_cycles"],
        expansion=config["expansion"],
        positions=config["pos_encodings"],
        puzzle_embedding_width=config["puzzle_emb_ndim"],
        halt_max_steps=config["halt_max_steps"],
        halt_exploration=config["halt_exploration_prob"],
    )


def train(run: Run, rates: dict[str, float]) -> None:
    """The recorded training, step by step."""
    model = run.model
    adam = AdamATan2(
        model.parameters(), lr=rates["lr"], betas=(rates["beta1"], rates["beta2"]), weight_decay=rates["weight_decay"]
    )
    sign = None
    if model.puzzle_embedding is not None:
        weight_decay = rates["puzzle_emb_weight_decay"]
        sign = SignSGD(model.puzzle_embedding, lr=rates["puzzle_emb_lr"], weight_decay=weight_decay)
    batch_size = len(run.batch(0)[0])
    carry = initial_carry(model, batch_size, run.device)
    never_B = torch.zeros(batch_size, device=run.device)
    for step in range(run.train_steps):
        carry, outputs = train_step(model, carry, *run.batch(step), min_steps_B=never_B)
        loss = step_loss(outputs, carry, run.loss)
        (loss.total / batch_size).backward()
        if step == 0:
            run.first_gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
        adam.step()
        adam.zero_grad()
        if sign is not None:
            sign.step(carry.puzzle_ids, outputs.puzzle_vectors_BE.grad)
        run.steps.append((carry, outputs, loss))


@pytest.fixture(scope="module", params=["rope_stablemax_ids", "learned_softmax_noids", "wide_ids"])
def run(request: pytest.FixtureRequest) -> Run:
    recorded = dict(np.load(FIXTURES / f"{request.param}.npz", allow_pickle=False))
    meta = json.loads(recorded.pop("meta").tobytes())
    loss = {"stablemax_cross_entropy": "stablemax", "softmax_cross_entropy": "softmax"}[meta["loss_type"]]
    device = torch.device(request.config.getoption("--device"))
    run = Run(recorded, build(meta["config"]).to(device), loss, meta["train_steps"], device)
    torch.backends.cuda.matmul.allow_tf32 = False
    run.model.load_state_dict(from_published(run.state("initial")))
    train(run, meta["hyperparameters"])
    return run


def assert_near(actual: Tensor, expected: np.ndarray, what: str, rtol: float = 1e-5) -> None:
    """Within `rtol` relative to the largest value: a logit near zero has no digits of its own."""
    assert actual.shape == expected.shape, what
    largest = np.abs(expected).max()
    np.testing.assert_allclose(actual.detach().cpu().numpy(), expected, rtol=0, atol=rtol * largest, err_msg=what)


def assert_close(actual: Tensor, expected: np.ndarray, what: str) -> None:
    """Within 1e-5 absolute."""
    np.testing.assert_allclose(actual.detach().cpu().numpy(), expected, rtol=0, atol=1e-5, err_msg=what)


def test_outputs_of_every_step(run: Run) -> None:
    names = {
        "logits": "logits_BLV",
        "q_halt_logits": "q_halt_B",
        "q_continue_logits": "q_continue_B",
        "target_q_continue": "target_q_continue_B",
    }
    for step, (_, outputs, _) in enumerate(run.steps):
        for published, ours in names.items():
            key = f"step{step}.{published}"
            assert_near(getattr(outputs, ours), run.recorded[key], key)


def test_losses_and_metrics_of_every_step(run: Run) -> None:
    for step, (_, _, loss) in enumerate(run.steps):
        assert_near(loss.total, run.recorded[f"step{step}.loss"], f"step{step}.loss")
        assert_near(loss.metrics["loss"], run.recorded[f"step{step}.loss"], f"step{step}.metric loss")
        for published, ours in METRICS.items():
            key = f"step{step}.metric.{published}"
            assert_near(loss.metrics[ours], run.recorded[key], key)


def test_halting_of_every_step(run: Run) -> None:
    for step, (carry, _, _) in enumerate(run.steps):
        np.testing.assert_array_equal(carry.halted.cpu().numpy(), run.recorded[f"step{step}.halted"])
        np.testing.assert_array_equal(carry.steps.cpu().numpy(), run.recorded[f"step{step}.steps"])


def test_gradients_of_the_first_step(run: Run) -> None:
    published = to_published(run.first_gradients)
    recorded = {key.removeprefix("step0.grad."): key for key in run.recorded if key.startswith("step0.grad.")}
    if run.model.puzzle_embedding is not None:
        published["puzzle_emb_rows"] = run.steps[0][1].puzzle_vectors_BE.grad
    assert published.keys() == recorded.keys()
    for name, key in recorded.items():
        assert_close(published[name], run.recorded[key], key)


def test_weights_after_the_run(run: Run) -> None:
    weights = to_published(run.model.state_dict())
    final = run.state("final")
    assert weights.keys() == final.keys()
    for name, expected in final.items():
        assert_close(weights[name], expected.numpy(), name)


def test_evaluation_of_the_trained_weights(run: Run) -> None:
    batch = run.batch(run.train_steps - 1)
    carry = initial_carry(run.model, len(batch[0]), run.device)
    steps = 0
    while steps == 0 or not carry.halted.all():
        carry, outputs = eval_step(run.model, carry, *batch)
        steps += 1
    assert steps == run.recorded["eval.act_steps"]
    for published, ours in {
        "logits": outputs.logits_BLV,
        "q_halt_logits": outputs.q_halt_B,
        "q_continue_logits": outputs.q_continue_B,
    }.items():
        assert_near(ours, run.recorded[f"eval.{published}"], published)
    metrics = step_loss(outputs, carry, run.loss).metrics
    assert "q_continue_loss" not in metrics
    for published, ours in METRICS.items():
        if ours != "q_continue_loss":
            assert_near(metrics[ours], run.recorded[f"eval.metric.{published}"], published)

    solution = solve(run.model, batch[0], batch[2])
    np.testing.assert_array_equal(solution.tokens_BL.cpu().numpy(), run.recorded["eval.logits"].argmax(-1))
    assert_near(solution.q_halt_B, run.recorded["eval.q_halt_logits"], "solve")
