import shutil
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hrm.model import (
    HRM,
    Carry,
    Outputs,
    eval_step,
    exploration_min_steps,
    initial_carry,
    refill,
    solve,
    step_loss,
    train_segment,
    train_step,
)

ROWS = 4
SMALLEST: dict[str, Any] = {
    "vocab_size": 7,
    "seq_len": 5,
    "num_puzzle_ids": 4,
    "hidden": 4,
    "heads": 1,
    "H_layers": 0,
    "L_layers": 0,
    "H_cycles": 1,
    "L_cycles": 1,
    "expansion": 1.0,
    "positions": "learned",
    "puzzle_embedding_width": 4,
    "halt_max_steps": 4,
    "halt_exploration": 0.0,
}


def offer(seed: int, rows: int = ROWS) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Random inputs, labels and puzzle ids for the small network."""
    rng = np.random.default_rng(seed)
    inputs, labels = rng.integers(0, 7, (2, rows, 5), dtype=np.int32)
    return (
        torch.from_numpy(inputs),
        torch.from_numpy(labels),
        torch.from_numpy(rng.integers(0, 4, rows, dtype=np.int32)),
    )


def prefer_halting(model: HRM, halt: bool) -> None:
    """Set the Q head so that one of the two actions always wins."""
    with torch.no_grad():
        model.q_head.bias.copy_(torch.tensor([1.0, -1.0] if halt else [-1.0, 1.0]))


def no_minimum(rows: int = ROWS) -> torch.Tensor:
    return torch.zeros(rows, dtype=torch.int32)


class TestRefill:
    def test_the_first_step_fills_every_row(self, make_hrm) -> None:
        model, batch = make_hrm(), offer(0)
        carry = refill(model, initial_carry(model, ROWS), *batch)
        for kept, offered in zip((carry.inputs, carry.labels, carry.puzzle_ids), batch, strict=True):
            assert torch.equal(kept, offered)
        assert torch.equal(carry.z_H, model.H_init.expand_as(carry.z_H))
        assert torch.equal(carry.z_L, model.L_init.expand_as(carry.z_L))
        assert carry.steps.tolist() == [0] * ROWS
        assert carry.steps.dtype is carry.inputs.dtype is carry.puzzle_ids.dtype is torch.int32

    @given(halted=st.lists(st.booleans(), min_size=ROWS, max_size=ROWS))
    def test_halted_rows_start_anew_and_the_others_keep_all_they_have(self, halted: list[bool]) -> None:
        model = HRM(**SMALLEST)
        before = Carry(
            z_H=torch.randn(ROWS, 6, 4),
            z_L=torch.randn(ROWS, 6, 4),
            steps=torch.tensor([1, 2, 3, 4], dtype=torch.int32),
            halted=torch.tensor(halted),
            **dict(zip(("inputs", "labels", "puzzle_ids"), offer(1), strict=True)),
        )
        fresh = refill(model, initial_carry(model, ROWS), *offer(2))
        after = refill(model, before, *offer(2))
        for row, new in enumerate(halted):
            for name in ("z_H", "z_L", "steps", "inputs", "labels", "puzzle_ids"):
                assert torch.equal(getattr(after, name)[row], getattr(fresh if new else before, name)[row])


class TestHalting:
    def steps_until_halt(self, model: HRM, min_steps: torch.Tensor) -> list[int]:
        """How many segments each row of a batch takes before it first halts."""
        carry, taken = initial_carry(model, ROWS), [0] * ROWS
        for step in range(1, model.halt_max_steps + 1):
            carry, _ = train_step(model, carry, *offer(step), min_steps_B=min_steps)
            taken = [now or (step if done else 0) for now, done in zip(taken, carry.halted.tolist(), strict=True)]
        return taken

    def test_training_halts_when_the_model_prefers_it(self, make_hrm) -> None:
        model = make_hrm(halt_max_steps=5)
        prefer_halting(model, halt=True)
        assert self.steps_until_halt(model, no_minimum()) == [1, 1, 1, 1]
        prefer_halting(model, halt=False)
        assert self.steps_until_halt(model, no_minimum()) == [5, 5, 5, 5]

    def test_equal_values_go_on(self, make_hrm) -> None:
        assert self.steps_until_halt(make_hrm(halt_max_steps=3), no_minimum()) == [3, 3, 3, 3]

    def test_no_row_halts_before_its_minimum(self, make_hrm) -> None:
        model = make_hrm(halt_max_steps=4)
        prefer_halting(model, halt=True)
        assert self.steps_until_halt(model, torch.tensor([0, 1, 3, 4])) == [1, 1, 3, 4]

    def test_evaluation_halts_at_the_last_step_only(self, make_hrm) -> None:
        model = make_hrm(halt_max_steps=3)
        prefer_halting(model, halt=True)
        carry = initial_carry(model, ROWS)
        for step in (1, 2, 3):
            carry, outputs = eval_step(model, carry, *offer(0))
            assert carry.halted.tolist() == [step == 3] * ROWS
            assert carry.steps.tolist() == [step] * ROWS
            assert outputs.target_q_continue_B is None
            assert not outputs.logits_BLV.requires_grad

    def test_a_row_that_goes_on_keeps_its_puzzle(self, make_hrm) -> None:
        model = make_hrm()
        first, _ = train_step(model, initial_carry(model, ROWS), *offer(0), min_steps_B=no_minimum())
        second, _ = train_step(model, first, *offer(1), min_steps_B=no_minimum())
        assert torch.equal(second.inputs, offer(0)[0])
        assert second.steps.tolist() == [2] * ROWS


class TestTargetOfContinuing:
    def ahead(self, model: HRM, carry: Carry) -> tuple[torch.Tensor, torch.Tensor]:
        """The Q-values one segment after `carry`."""
        segment = model(carry.z_H, carry.z_L, carry.inputs, model.puzzle_embedding(carry.puzzle_ids))
        return segment.q_halt_B, segment.q_continue_B

    def test_is_the_better_value_one_segment_later(self, make_hrm) -> None:
        model = make_hrm()
        torch.nn.init.normal_(model.q_head.weight)
        rows = 16

        def step() -> tuple[Outputs, torch.Tensor, torch.Tensor]:
            carry, outputs = train_step(
                model, initial_carry(model, rows), *offer(3, rows), min_steps_B=no_minimum(rows)
            )
            return outputs, *self.ahead(model, carry)

        _, q_halt, q_continue = step()
        with torch.no_grad():  # shift one value until each is the better one in half of the rows
            model.q_head.bias[0] += (q_continue - q_halt).median()
        outputs, q_halt, q_continue = step()
        assert 0 < (q_halt > q_continue).sum() < rows
        torch.testing.assert_close(outputs.target_q_continue_B, torch.maximum(q_halt, q_continue).sigmoid())
        assert not outputs.target_q_continue_B.requires_grad

    def test_is_the_value_of_halting_after_the_last_segment(self, make_hrm) -> None:
        model = make_hrm(halt_max_steps=2)
        prefer_halting(model, halt=False)
        carry = initial_carry(model, ROWS)
        for _ in range(2):
            carry, outputs = train_step(model, carry, *offer(0), min_steps_B=no_minimum())
        torch.testing.assert_close(outputs.target_q_continue_B, self.ahead(model, carry)[0].sigmoid())

    def test_does_not_exist_where_one_segment_is_all(self, make_hrm) -> None:
        model = make_hrm(halt_max_steps=1)
        carry, outputs = train_step(model, initial_carry(model, ROWS), *offer(0), min_steps_B=no_minimum())
        assert outputs.target_q_continue_B is None
        assert carry.halted.all()


class TestContinuingThatIsNotLearned:
    def test_a_row_halts_when_it_is_more_likely_right_than_wrong(self, make_hrm) -> None:
        model, rows = make_hrm(learns_continue=False, halt_max_steps=3), 16
        torch.nn.init.normal_(model.q_head.weight)
        minimum = torch.tensor([2] + [0] * 15)
        _, first = train_step(model, initial_carry(model, rows), *offer(0, rows), min_steps_B=minimum)
        seen = set()
        for shift in (-first.q_halt_B.median(), torch.tensor(-100.0)):  # half of the rows want to halt, then none
            with torch.no_grad():  # going on looks better to all, which must not matter
                model.q_head.bias += torch.stack((shift, torch.tensor(100.0)))
            carry = initial_carry(model, rows)
            for step in range(4):
                carry, outputs = train_step(model, carry, *offer(step, rows), min_steps_B=minimum)
                expected = ((outputs.q_halt_B > 0) | (carry.steps == 3)) & (carry.steps >= minimum)
                assert torch.equal(carry.halted, expected)
                seen |= {(n, done) for n, done in zip(carry.steps.tolist(), carry.halted.tolist(), strict=True)}
        assert seen == {(1, True), (1, False), (2, True), (2, False), (3, True)}

    def test_a_value_of_zero_goes_on(self, make_hrm) -> None:
        model = make_hrm(learns_continue=False)
        torch.nn.init.zeros_(model.q_head.bias)
        carry, _ = train_step(model, initial_carry(model, ROWS), *offer(0), min_steps_B=no_minimum())
        assert not carry.halted.any()

    @pytest.mark.parametrize(("learns_continue", "segments"), [(True, 2), (False, 1)])
    def test_takes_no_second_segment_and_has_no_loss(self, make_hrm, learns_continue: bool, segments: int) -> None:
        model, updates = make_hrm(learns_continue=learns_continue), []
        torch.nn.init.normal_(model.q_head.weight)
        for module in (model.H, model.L):
            module.register_forward_hook(lambda *_: updates.append(None))
        carry, outputs = train_step(model, initial_carry(model, ROWS), *offer(0), min_steps_B=no_minimum())
        assert len(updates) == segments * 2 * (2 + 1)
        loss = step_loss(outputs, carry, "stablemax")
        assert (outputs.target_q_continue_B is not None) is learns_continue
        assert ("q_continue_loss" in loss.metrics) is learns_continue
        loss.total.backward()
        assert (model.q_head.bias.grad != 0).tolist() == [True, learns_continue]

    def test_trains_all_else_as_before(self, make_hrm) -> None:
        gradients = []
        for learns_continue in (True, False):
            model = make_hrm(learns_continue=learns_continue)
            carry, outputs = train_step(model, initial_carry(model, ROWS), *offer(0), min_steps_B=no_minimum())
            loss = step_loss(outputs, carry, "stablemax").metrics
            gradients.append((outputs.logits_BLV, outputs.q_halt_B, loss["token_loss"], loss["q_halt_loss"]))
        torch.testing.assert_close(*gradients, rtol=0, atol=0)


def test_looking_ahead_reads_no_answer(make_hrm) -> None:
    model, answers = make_hrm(), []
    model.output_head.register_forward_hook(lambda *_: answers.append(None))
    train_step(model, initial_carry(model, ROWS), *offer(0), min_steps_B=no_minimum())
    assert len(answers) == 1


def test_rows_do_not_depend_on_the_batch_they_are_in(make_hrm) -> None:
    """What lets the global batch be cut over any number of processes."""
    model = make_hrm()
    torch.nn.init.normal_(model.q_head.weight)
    minimum = torch.tensor([0, 2, 3, 0])
    parts = [slice(0, 1), slice(1, 4)]
    carry = initial_carry(model, ROWS)
    cut = [initial_carry(model, part.stop - part.start) for part in parts]
    for step in range(5):
        carry, outputs = train_step(model, carry, *offer(step), min_steps_B=minimum)
        for index, part in enumerate(parts):
            offered = (each[part] for each in offer(step))
            cut[index], part_outputs = train_step(model, cut[index], *offered, min_steps_B=minimum[part])
            torch.testing.assert_close(part_outputs.logits_BLV, outputs.logits_BLV[part])
        for name in (field.name for field in fields(Carry)):
            whole = torch.cat([getattr(part, name) for part in cut])
            torch.testing.assert_close(whole, getattr(carry, name))


def test_puzzle_rows_get_a_gradient_each(make_hrm) -> None:
    model = make_hrm()
    carry, outputs = train_step(model, initial_carry(model, ROWS), *offer(0), min_steps_B=no_minimum())
    step_loss(outputs, carry, "stablemax").total.backward()
    assert outputs.puzzle_vectors_BE.grad.shape == (ROWS, 16)
    assert (outputs.puzzle_vectors_BE.grad.abs().sum(-1) > 0).all()


class TestSolve:
    def test_equals_the_evaluation_steps(self, make_hrm) -> None:
        model, batch = make_hrm(), offer(5)
        torch.nn.init.normal_(model.puzzle_embedding.table)
        torch.nn.init.normal_(model.q_head.weight)
        carry = initial_carry(model, ROWS)
        for _ in range(model.halt_max_steps):
            carry, outputs = eval_step(model, carry, *batch)
        solution = solve(model, batch[0], batch[2])
        assert torch.equal(solution.tokens_BL, outputs.logits_BLV.argmax(-1))
        assert torch.equal(solution.q_halt_B, outputs.q_halt_B)
        assert torch.equal(solution.q_continue_B, outputs.q_continue_B)
        assert torch.equal(solution.steps_B, carry.steps)
        assert not solution.q_halt_B.requires_grad

    def test_shows_each_segment_and_may_run_longer_than_training(self, make_hrm) -> None:
        model, (inputs, _, ids) = make_hrm(halt_max_steps=2), offer(5)
        seen = []
        last = solve(model, inputs, ids, steps=4, on_segment=seen.append)
        assert [each.steps_B.tolist() for each in seen] == [[n] * ROWS for n in (1, 2, 3, 4)]
        assert seen[-1] is last
        for each in seen:
            alone = solve(model, inputs, ids, steps=int(each.steps_B[0]))
            assert torch.equal(each.tokens_BL, alone.tokens_BL)

    @pytest.mark.parametrize("learns_continue", [True, False])
    def test_prefers_to_halt_where_training_would(self, make_hrm, learns_continue: bool) -> None:
        model, batch = make_hrm(halt_max_steps=3, learns_continue=learns_continue), offer(5)
        torch.nn.init.normal_(model.q_head.weight)
        first = solve(model, batch[0], batch[2], steps=1)
        with torch.no_grad():  # so that some rows would halt and some not
            model.q_head.bias[0] -= (first.q_halt_B - (first.q_continue_B if learns_continue else 0)).mean()
        seen = []
        solve(model, batch[0], batch[2], on_segment=seen.append)
        carry, _ = train_step(model, initial_carry(model, ROWS), *batch, min_steps_B=torch.zeros(ROWS))
        assert torch.equal(seen[0].prefers_B, carry.halted)
        assert carry.halted.any()
        assert not carry.halted.all()

    def test_refuses_to_run_nothing(self, make_hrm) -> None:
        with pytest.raises(ValueError, match="steps = 0: a solution takes at least one segment"):
            solve(make_hrm(), *offer(0)[::2], steps=0)


class TestExploration:
    def draw(self, seed: int = 0, step: int = 0, **changes: float) -> torch.Tensor:
        return exploration_min_steps(
            seed, step, **{"batch_size": 64, "probability": 0.5, "halt_max_steps": 5, **changes}
        )

    def test_is_a_pure_function_of_seed_and_step(self) -> None:
        torch.manual_seed(1)
        first = self.draw(7, 3)
        torch.manual_seed(2)
        assert torch.equal(first, self.draw(7, 3))
        assert first.dtype is torch.int32
        assert not torch.equal(first, self.draw(7, 4))
        assert not torch.equal(first, self.draw(8, 3))

    def test_has_the_asked_distribution(self) -> None:
        draws = self.draw(batch_size=100_000, probability=0.1)
        shares = torch.bincount(draws) / len(draws)
        torch.testing.assert_close(shares, torch.tensor([0.9, 0, 0.025, 0.025, 0.025, 0.025]), rtol=0, atol=0.003)

    @pytest.mark.parametrize("changes", [{"probability": 0.0}, {"halt_max_steps": 1}])
    def test_draws_nothing_where_there_is_nothing_to_explore(self, changes: dict[str, float]) -> None:
        assert self.draw(**changes).tolist() == [0] * 64

    def test_does_not_forbid_the_last_step(self) -> None:
        assert self.draw(batch_size=1000, probability=1).unique().tolist() == [2, 3, 4, 5]


def assert_one_graph(model: HRM, backend: str, **compiling: Any) -> None:
    """`train_segment` and its loss compile into one graph, and the graph's loss and gradients are theirs."""
    carry = refill(model, initial_carry(model, ROWS), *offer(0))
    width = 0 if model.puzzle_embedding is None else 16

    def loss_of_segment(vectors: torch.Tensor | None) -> torch.Tensor:
        after, outputs = train_segment(model, carry, vectors, no_minimum())
        return step_loss(outputs, after, "stablemax").total

    def gradients(function) -> list[torch.Tensor]:
        vectors = torch.zeros(ROWS, width, requires_grad=True) if width else None
        loss = function(vectors)
        inputs = [*model.parameters()] + ([vectors] if width else [])
        return [loss, *torch.autograd.grad(loss, inputs)]

    torch.compiler.reset()  # what was compiled for other models counts against the limit of recompilations
    compiled = torch.compile(loss_of_segment, backend=backend, fullgraph=True, **compiling)
    torch.testing.assert_close(gradients(compiled), gradients(loss_of_segment), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"puzzle_embedding_width": 0},
        {"learns_continue": False},
        {"gradient_cycles": 1},
        {"gradient_cycles": 2},
        {"attention": "sdpa"},
        {"attention": "matmul"},
    ],
    ids=str,
)
def test_a_training_segment_and_its_loss_are_one_graph(make_hrm, changes: dict[str, Any]) -> None:
    assert_one_graph(make_hrm(**changes), "eager")


# The real compiler, which takes seconds: once with all that is on by default, once without.
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.parametrize(
    "changes",
    [{}, {"learns_continue": False, "gradient_cycles": 1, "attention": "sdpa"}],
    ids=["as published", "every departure"],
)
def test_the_compiled_step_equals_the_eager_one(make_hrm, changes: dict[str, Any]) -> None:
    assert_one_graph(make_hrm(H_cycles=1, L_cycles=1, **changes), "inductor", dynamic=False)
