import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from hrm.data import batch
from hrm.model import Carry, Outputs, step_loss
from hrm.model.losses import IGNORED, stablemax, token_losses

reals = st.floats(-1e6, 1e6)


@given(x=reals)
def test_stablemax_is_its_formula_and_odd_in_the_logarithm(x: float) -> None:
    s = stablemax(torch.tensor([x, -x], dtype=torch.float64))
    assert s.dtype is torch.float64
    assert s[0].item() == pytest.approx(x + 1 if x >= 0 else 1 / (1 - x), rel=1e-12)
    assert (s[0] * s[1]).item() == pytest.approx(1, rel=1e-12)


@given(pair=st.tuples(reals, reals))
def test_stablemax_is_positive_and_increasing(pair: tuple[float, float]) -> None:
    low, high = stablemax(torch.tensor(sorted(pair), dtype=torch.float64))
    assert 0 < low <= high


@pytest.mark.parametrize(("x", "slope"), [(-3, 1 / 16), (-1, 1 / 4), (0, 1), (1, 1), (5, 1)])
def test_stablemax_has_the_right_slope_also_where_the_branches_meet(x: float, slope: float) -> None:
    logit = torch.tensor(float(x), requires_grad=True)
    stablemax(logit).backward()
    assert logit.grad.item() == pytest.approx(slope)


def test_stablemax_is_float64_inside() -> None:
    # In float32 one of these differs from a probability of 1 by nothing at all.
    loss = token_losses(torch.tensor([[[1e9, -1e3]]]), torch.tensor([[0]]), "stablemax")
    assert loss.item() == pytest.approx(1 / 1001 / 1e9, rel=1e-5)


def test_stablemax_in_float32_is_the_same_up_to_rounding() -> None:
    logits, labels = (5 * torch.randn(4, 3, 7)).bfloat16(), torch.randint(-1, 7, (4, 3), dtype=torch.int32)
    labels[labels < 0] = IGNORED
    losses = token_losses(logits, labels, "stablemax-float32")
    exact = token_losses(logits, labels, "stablemax")
    assert losses.dtype is torch.float32
    assert exact.dtype is torch.float64
    torch.testing.assert_close(losses, exact.float(), rtol=1e-5, atol=1e-6)
    assert not torch.equal(losses.double(), exact)
    assert (losses[labels == IGNORED] == 0).all()


@pytest.mark.parametrize("kind", ["stablemax", "stablemax-float32", "softmax"])
def test_probabilities_of_all_labels_sum_to_one(kind: str) -> None:
    logits = (5 * torch.randn(1, 1, 9)).expand(9, 1, 9)
    losses = token_losses(logits, torch.arange(9)[:, None], kind)
    assert losses.neg().exp().sum().item() == pytest.approx(1)


def test_softmax_losses_are_cross_entropies_in_float32() -> None:
    logits, labels = torch.randn(2, 3, 5).bfloat16(), torch.tensor([[0, 1, 2], [-100, 4, 3]], dtype=torch.int32)
    losses = token_losses(logits, labels, "softmax")
    assert losses.dtype is torch.float32
    log_p = F.log_softmax(logits.float(), dim=-1)
    assert losses[1, 0] == 0
    for row, column in [(0, 0), (0, 2), (1, 1)]:
        assert losses[row, column].item() == pytest.approx(-log_p[row, column, labels[row, column]].item())


def step(rows: int = 5, **changes: torch.Tensor) -> tuple[Outputs, Carry]:
    """Outputs and carry of a step: rows with three, two, one and no labels, halted or not, right or wrong."""
    torch.manual_seed(4)
    labels = torch.tensor([[1, 2, 3], [1, 2, -100], [-100, 0, -100], [-100, -100, -100], [3, 2, 1]], dtype=torch.int32)
    logits = torch.randn(5, 3, 4)
    for row in (0, 2):  # two rows are wholly right
        logits[row].scatter_(-1, labels[row].long().clamp(min=0)[:, None], 5.0)
    outputs = {
        "logits_BLV": logits,
        "q_halt_B": torch.tensor([1.0, 2.0, -1.0, 0.5, -2.0]),
        "q_continue_B": torch.randn(5),
        "target_q_continue_B": torch.rand(5),
    }
    carry = {
        "labels": labels,
        "steps": torch.tensor([1, 2, 3, 4, 5], dtype=torch.int32),
        "halted": torch.tensor([True, True, True, True, False]),
    }
    unused = dict.fromkeys(("z_H", "z_L", "inputs", "puzzle_ids"), torch.zeros(0))
    return (
        Outputs(puzzle_vectors_BE=None, **{key: changes.get(key, value) for key, value in outputs.items()}),
        Carry(**unused, **{key: changes.get(key, value) for key, value in carry.items()}),
    )


def sigmoid_entropy(q: float, target: float) -> float:
    p = 1 / (1 + math.exp(-q))
    return -target * math.log(p) - (1 - target) * math.log(1 - p)


@pytest.mark.parametrize("kind", ["stablemax", "stablemax-float32", "softmax"])
def test_loss_and_metrics_equal_a_row_by_row_transcription(kind: str) -> None:
    outputs, carry = step()
    expected = dict.fromkeys(
        ("count", "token_accuracy", "exact_accuracy", "q_halt_accuracy", "steps"), 0.0
    ) | dict.fromkeys(("token_loss", "q_halt_loss", "q_continue_loss"), 0.0)
    for row in range(5):
        labelled = [(at, label) for at, label in enumerate(carry.labels[row].tolist()) if label != -100]
        right = [outputs.logits_BLV[row, at].argmax().item() == label for at, label in labelled]
        for at, label in labelled:
            scores = outputs.logits_BLV[row, at].exp() if kind == "softmax" else stablemax(outputs.logits_BLV[row, at])
            expected["token_loss"] -= math.log(scores[label] / scores.sum()) / len(labelled)
        q_halt = outputs.q_halt_B[row].item()
        expected["q_halt_loss"] += sigmoid_entropy(q_halt, float(all(right)))
        expected["q_continue_loss"] += sigmoid_entropy(
            outputs.q_continue_B[row].item(), outputs.target_q_continue_B[row].item()
        )
        if carry.halted[row] and labelled:
            expected["count"] += 1
            expected["token_accuracy"] += sum(right) / len(right)
            expected["exact_accuracy"] += all(right)
            expected["q_halt_accuracy"] += (q_halt >= 0) == all(right)
            expected["steps"] += carry.steps[row].item()
    expected["loss"] = expected["token_loss"] + 0.5 * (expected["q_halt_loss"] + expected["q_continue_loss"])

    loss = step_loss(outputs, carry, kind)
    assert loss.total.item() == pytest.approx(expected["loss"], rel=1e-6)
    assert {name: value.item() for name, value in loss.metrics.items()} == pytest.approx(expected, rel=1e-6)
    assert expected["count"] == 3
    assert expected["exact_accuracy"] == 2
    assert {value.dtype for value in loss.metrics.values()} == {torch.float32}


def test_a_padded_row_trains_halting_as_correct_and_counts_in_no_metric() -> None:
    q_halt = torch.zeros(5, requires_grad=True)
    outputs, carry = step(q_halt_B=q_halt)
    step_loss(outputs, carry, "stablemax").total.backward()
    # d BCE/dq = sigmoid(q) - target, times the weight 0.5; the targets are right, wrong, right, padded, wrong.
    assert q_halt.grad.tolist() == [-0.25, 0.25, -0.25, -0.25, 0.25]


def test_without_a_target_there_is_no_loss_of_continuing() -> None:
    outputs, carry = step()
    evaluated = Outputs(outputs.logits_BLV, outputs.q_halt_B, outputs.q_continue_B, None, None)
    metrics = step_loss(evaluated, carry, "softmax").metrics
    assert "q_continue_loss" not in metrics
    assert metrics["loss"].item() == pytest.approx((metrics["token_loss"] + 0.5 * metrics["q_halt_loss"]).item())


def test_metrics_carry_no_gradient() -> None:
    outputs, carry = step(logits_BLV=torch.randn(5, 3, 4, requires_grad=True))
    loss = step_loss(outputs, carry, "stablemax")
    assert loss.total.requires_grad
    assert not any(value.requires_grad for value in loss.metrics.values())


def test_the_data_and_the_losses_ignore_the_same_label() -> None:
    """Each room has its own constant, since neither may import the other."""
    assert batch.IGNORED == IGNORED
