"""Rows that are refilled as questions are done: who gets an answer, after how many segments, and which one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hrm.model import HRM, solve
from hrm.model.stream import Found, Questions, Rows, answer

SEGMENTS = 6


@pytest.fixture(scope="module")
def model() -> HRM:
    """Untrained, with a Q head that has an opinion: questions halt after different segments, some never."""
    torch.manual_seed(1)
    model = HRM(
        vocab_size=7, seq_len=9, num_puzzle_ids=5, hidden=16, heads=2, H_layers=1, L_layers=1, H_cycles=2, L_cycles=1,
        expansion=2.0, positions="rope", puzzle_embedding_width=16, halt_max_steps=SEGMENTS, halt_exploration=0.0,
    ).eval()  # fmt: skip
    torch.nn.init.normal_(model.q_head.weight)
    torch.nn.init.zeros_(model.q_head.bias)
    assert model.puzzle_embedding is not None
    torch.nn.init.normal_(model.puzzle_embedding.table)
    return model


def questions(count: int, *, noise: float = 0.0, traced: bool = True) -> Questions:
    draws = torch.Generator().manual_seed(0)
    return Questions(
        inputs_NL=torch.randint(0, 7, (count, 9), generator=draws, dtype=torch.int32),
        puzzle_ids_N=torch.randint(0, 5, (count,), generator=draws, dtype=torch.int32),
        noise_N2D=noise * torch.randn(count, 2, 16, generator=draws) if noise else None,
        traced_N=np.arange(count) % 3 != 1 if traced else np.zeros(count, bool),
    )


def plainly(model: HRM, asked: Questions, *, halt: bool) -> Found:
    """Every question by itself, segment by segment."""
    tokens, q_halt, steps, history = [], [], [], []
    for row in range(len(asked)):
        z_H, z_L = (init.expand(1, model.num_positions, -1) for init in (model.H_init, model.L_init))
        if asked.noise_N2D is not None:
            z_H, z_L = z_H + asked.noise_N2D[row, 0], z_L + asked.noise_N2D[row, 1]
        assert model.puzzle_embedding is not None
        vectors = model.puzzle_embedding(asked.puzzle_ids_N[row : row + 1])
        seen = []
        with torch.no_grad():
            for _ in range(SEGMENTS):
                segment = model(z_H, z_L, asked.inputs_NL[row : row + 1], vectors)
                z_H, z_L = segment.z_H, segment.z_L
                prefers = bool(segment.q_halt_B > segment.q_continue_B)
                seen.append((segment.logits_BLV.argmax(-1)[0].numpy(), float(segment.q_halt_B), prefers))
                if halt and prefers:
                    break
        steps.append(len(seen))
        tokens.append(seen[-1][0])
        q_halt.append(seen[-1][1])
        if asked.traced_N[row]:
            history.append(seen + seen[-1:] * (SEGMENTS - len(seen)))
    columns = [np.array([[one[part] for one in seen] for seen in history]).swapaxes(0, 1) for part in range(3)]
    return Found(np.array(tokens), np.array(q_halt), np.array(steps), *columns)  # type: ignore[arg-type]


@pytest.mark.parametrize("halt", [False, True])
@pytest.mark.parametrize("noise", [0.0, 1.0])
@pytest.mark.parametrize("batch_size", [1, 4, 11, 100])
def test_everybody_gets_the_answer_of_a_question_alone(
    model: HRM, *, halt: bool, noise: float, batch_size: int
) -> None:
    asked = questions(11, noise=noise)
    found = answer(model, asked, batch_size=batch_size, max_steps=SEGMENTS, halt=halt)
    expected = plainly(model, asked, halt=halt)
    assert len(set(expected.steps_N.tolist())) > 2 if halt else set(expected.steps_N.tolist()) == {SEGMENTS}
    for name in ("tokens_NL", "steps_N", "tokens_STL", "prefers_ST"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name
    for name in ("q_halt_N", "q_halt_ST"):
        assert np.allclose(getattr(found, name), getattr(expected, name), atol=1e-4), name


def test_all_segments_are_those_of_the_protocol(model: HRM) -> None:
    asked = questions(5)
    found = answer(model, asked, batch_size=5, max_steps=SEGMENTS, halt=False)
    solution = solve(model, asked.inputs_NL, asked.puzzle_ids_N)
    assert (found.tokens_NL == solution.tokens_BL.numpy()).all()
    assert (found.q_halt_N == solution.q_halt_B.numpy()).all(), "bit by bit"


def test_a_row_is_taken_at_once(model: HRM, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more segments than questions need, but for the end, when rows have nobody left."""
    asked, sizes = questions(40, traced=False), []
    forward: Callable[..., object] = model.forward

    def counted(z_H: torch.Tensor, *others: torch.Tensor) -> object:
        sizes.append(len(z_H))
        return forward(z_H, *others)

    monkeypatch.setattr(model, "forward", counted)
    found = answer(model, asked, batch_size=8, max_steps=SEGMENTS, halt=True)
    waited = int(found.steps_N[:32].sum())
    assert sizes[: waited // 8] == [8] * (waited // 8), "the shape stays while somebody waits"
    assert sizes == sorted(sizes, reverse=True)
    assert sum(sizes) <= found.steps_N.sum() + 2 * 8 + SEGMENTS * 2
    assert found.tokens_STL.shape == (SEGMENTS, 0, 9)


@given(count=st.integers(1, 30), batch_size=st.integers(1, 12), data=st.data())
@settings(max_examples=60, deadline=None)
def test_rows_serve_everybody_in_order(count: int, batch_size: int, data: st.DataObject) -> None:
    rows, begun, served = Rows(count, batch_size), [], []
    begun += rows.place_B.tolist()
    while rows.size:
        done_B = np.array(data.draw(st.lists(st.booleans(), min_size=rows.size, max_size=rows.size)))
        rows.steps_B += 1
        served += [place for place, done in zip(rows.place_B.tolist(), done_B, strict=True) if done and place < count]
        before = rows.place_B.copy()
        kept_B = rows.refill(done_B)
        if kept_B is not None:
            before = before[kept_B]
        begun += [now for now, then in zip(rows.place_B, before, strict=True) if now != then and now < count]
        live = rows.place_B[rows.place_B < count]
        assert 2 * len(live) > rows.size or rows.size == 0
        if not done_B.any() and len(served) < count and not data.draw(st.booleans()):
            break
    assert begun == sorted(set(begun)) == list(range(len(begun)))
    assert len(served) == len(set(served))
    assert rows.size > 0 or sorted(served) == list(range(count))
