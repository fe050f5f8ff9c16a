import math
from itertools import pairwise

import pytest
import torch

from hrm.model import HRM, Segment
from hrm.model.layers import RotaryTables

STATE = (2, 6, 16)
"""Two rows of the small network: one prefix position, five tokens, hidden width 16."""


def segment_arguments(model: HRM) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "z_H": torch.randn(STATE, generator=generator).to(model.dtype),
        "z_L": torch.randn(STATE, generator=generator).to(model.dtype),
        "inputs_BL": torch.tensor([[1, 2, 3, 4, 5], [6, 0, 1, 0, 2]], dtype=torch.int32),
        "puzzle_vectors_BE": torch.randn(2, 16, generator=generator),
    }


def run_segment(model: HRM, **changes: torch.Tensor) -> Segment:
    return model(**{**segment_arguments(model), **changes})


def test_published_size_has_27_million_parameters() -> None:
    model = HRM(
        vocab_size=12,
        seq_len=900,
        num_puzzle_ids=1000,
        hidden=512,
        heads=8,
        H_layers=4,
        L_layers=4,
        H_cycles=2,
        L_cycles=2,
        expansion=4.0,
        positions="rope",
        puzzle_embedding_width=512,
        halt_max_steps=16,
        halt_exploration=0.1,
    )
    # Eight blocks of 4 D² (attention) and 3 D * 1536 (SwiGLU); token table, output head, Q head.
    assert sum(p.numel() for p in model.parameters()) == 8 * (4 * 512**2 + 3 * 512 * 1536) + 2 * 12 * 512 + 2 * 513
    assert model.puzzle_embedding.table.shape == (1000, 512)
    assert model.num_positions == 901


def test_initial_states_are_saved_unit_normals_that_are_not_trained(make_hrm) -> None:
    model = make_hrm(hidden=4096, H_layers=0, L_layers=0, heads=8)
    assert {"H_init", "L_init"} <= model.state_dict().keys() - dict(model.named_parameters()).keys()
    for init in (model.H_init, model.L_init):
        assert init.shape == (4096,)
        assert init.std().item() == pytest.approx(1, rel=0.05)
    assert not torch.equal(model.H_init, model.L_init)


def test_only_the_last_update_of_each_module_is_differentiated(make_hrm) -> None:
    model = make_hrm(H_cycles=2, L_cycles=3)
    calls = []
    for name in "HL":
        getattr(model, name).register_forward_hook(lambda *_, name=name: calls.append((name, torch.is_grad_enabled())))
    run_segment(model)
    no, yes = False, True
    assert calls == [("L", no)] * 3 + [("H", no)] + [("L", no)] * 2 + [("L", yes), ("H", yes)]


def test_gradients_equal_those_of_the_last_two_updates_alone(make_hrm) -> None:
    model = make_hrm()
    z_H, z_L = torch.randn(STATE), torch.randn(STATE)
    inputs, vectors = torch.tensor([[1, 2, 3, 4, 5], [6, 0, 1, 0, 2]]), torch.randn(2, 16)
    run_segment(
        model, z_H=z_H, z_L=z_L, inputs_BL=inputs, puzzle_vectors_BE=vectors
    ).logits_BLV.square().sum().backward()
    expected = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()

    x = model.embed(inputs, vectors)
    states = [(z_H, z_L)]
    for update in ["L", "L", "H", "L"]:
        z_H, z_L = states[-1]
        new = model.L(z_L, z_H + x, model.rotary) if update == "L" else model.H(z_H, z_L, model.rotary)
        states.append((z_H, new.detach()) if update == "L" else (new.detach(), z_L))
    z_H, z_L = states[-1]
    z_H = model.H(z_H, model.L(z_L, z_H + x, model.rotary), model.rotary)
    model.output_head(z_H[:, 1:]).square().sum().backward()
    for name, gradient in expected.items():
        torch.testing.assert_close(gradient, dict(model.named_parameters())[name].grad)


class TestGradientCycles:
    def transcribed(self, model: HRM, H_cycles: int, L_cycles: int, gradient_cycles: int) -> torch.Tensor:
        """The output of a segment, written cycle by cycle, cut off before the first differentiated one."""
        arguments = segment_arguments(model)
        z_H, z_L = arguments["z_H"], arguments["z_L"]
        x = model.embed(arguments["inputs_BL"], arguments["puzzle_vectors_BE"])
        for cycle in range(H_cycles):
            for _ in range(L_cycles):
                z_L = model.L(z_L, z_H + x, model.rotary)
            z_H = model.H(z_H, z_L, model.rotary)
            if cycle < H_cycles - gradient_cycles:
                z_H, z_L = z_H.detach(), z_L.detach()
        return model.output_head(z_H[:, 1:])

    def gradients(self, model: HRM, logits: torch.Tensor) -> dict[str, torch.Tensor]:
        names, parameters = zip(*model.named_parameters(), strict=True)
        gradients = torch.autograd.grad(logits.square().sum(), parameters, allow_unused=True)
        return {name: gradient for name, gradient in zip(names, gradients, strict=True) if gradient is not None}

    @pytest.mark.parametrize("L_cycles", [1, 2])
    @pytest.mark.parametrize("gradient_cycles", [1, 2, 3])
    def test_are_differentiated_in_full_and_no_others(self, make_hrm, L_cycles: int, gradient_cycles: int) -> None:
        model = make_hrm(H_cycles=3, L_cycles=L_cycles, gradient_cycles=gradient_cycles)
        logits, expected = run_segment(model).logits_BLV, self.transcribed(model, 3, L_cycles, gradient_cycles)
        torch.testing.assert_close(logits, expected, rtol=0, atol=0)
        torch.testing.assert_close(self.gradients(model, logits), self.gradients(model, expected))

    def test_change_the_gradient_and_nothing_else(self, make_hrm) -> None:
        models = [make_hrm(H_cycles=2, gradient_cycles=cycles) for cycles in (0, 1, 2)]
        segments = [run_segment(model) for model in models]
        for segment in segments[1:]:
            torch.testing.assert_close(segment, segments[0], rtol=0, atol=0)
        gradients = [self.gradients(m, s.logits_BLV) for m, s in zip(models, segments, strict=True)]
        for fewer, more in pairwise(gradients):
            for name in ("L.blocks.0.mlp.down.weight", "token_embedding.weight"):
                assert (fewer[name] - more[name]).norm() > 0.01 * more[name].norm()

    def test_of_a_single_update_each_are_the_one_step_gradient(self, make_hrm) -> None:
        one_step, one_cycle = (make_hrm(L_cycles=1, gradient_cycles=cycles) for cycles in (0, 1))
        expected = self.gradients(one_step, run_segment(one_step).logits_BLV)
        torch.testing.assert_close(self.gradients(one_cycle, run_segment(one_cycle).logits_BLV), expected)


def test_the_carried_states_are_detached_and_receive_no_gradient(make_hrm) -> None:
    z_H = torch.randn(STATE, requires_grad=True)
    segment = run_segment(make_hrm(), z_H=z_H)
    assert not segment.z_H.requires_grad
    assert not segment.z_L.requires_grad
    assert torch.autograd.grad(segment.logits_BLV.sum(), z_H, allow_unused=True) == (None,)


def test_every_parameter_gets_a_gradient(make_hrm) -> None:
    # AdamATan2 counts its steps once for all parameters.
    for changes in ({}, {"positions": "learned"}):
        model = make_hrm(**changes)
        segment = run_segment(model)
        (segment.logits_BLV.sum() + segment.q_halt_B.sum() + segment.q_continue_B.sum()).backward()
        assert all(p.grad is not None for p in model.parameters())


def test_q_values_are_read_from_position_0_and_logits_after_the_prefix(make_hrm) -> None:
    model = make_hrm()
    torch.nn.init.normal_(model.q_head.weight)
    segment = run_segment(model)
    q = segment.z_H[:, 0] @ model.q_head.weight.T + model.q_head.bias
    torch.testing.assert_close(torch.stack([segment.q_halt_B, segment.q_continue_B], dim=1), q)
    torch.testing.assert_close(segment.logits_BLV, segment.z_H[:, 1:] @ model.output_head.weight.T)


@pytest.mark.parametrize("layers", [0, 1, 2])
@pytest.mark.parametrize("positions", ["rope", "learned"])
def test_q_values_alone_equal_those_of_a_segment(make_hrm, layers: int, positions: str) -> None:
    model = make_hrm(H_layers=layers, positions=positions)
    torch.nn.init.normal_(model.q_head.weight)
    segment = run_segment(model)
    alone = model.q_values(**segment_arguments(model))
    torch.testing.assert_close(alone, (segment.q_halt_B, segment.q_continue_B))
    assert not any(q.requires_grad for q in alone)


def test_every_block_has_the_kernel_of_the_model(make_hrm) -> None:
    # The sizes are those of a short float32 sequence: "auto" and "matmul" are the same.
    auto, matmul, sdpa = (run_segment(make_hrm(attention=backend)) for backend in ("auto", "matmul", "sdpa"))
    assert torch.equal(auto.logits_BLV, matmul.logits_BLV)
    torch.testing.assert_close(sdpa, matmul, rtol=1e-4, atol=1e-5)
    model = make_hrm(attention="flash3", H_layers=2)
    assert {block.attention.backend for module in (model.H, model.L) for block in module.blocks} == {"flash3"}


class TestInput:
    tokens = torch.tensor([[0, 1, 2, 3, 4]])

    def test_tokens_times_the_root_of_the_width(self, make_hrm) -> None:
        model = make_hrm(puzzle_embedding_width=0)
        torch.testing.assert_close(model.embed(self.tokens, None), model.token_embedding.weight[None, :5] * 4)

    @pytest.mark.parametrize(("width", "positions"), [(10, 1), (16, 1), (17, 2), (40, 3)])
    def test_puzzle_vector_fills_whole_prefix_positions(self, make_hrm, width: int, positions: int) -> None:
        model, vector = make_hrm(puzzle_embedding_width=width), torch.randn(1, width)
        prefix = model.embed(self.tokens, vector)[:, :positions].flatten(1) / 4
        torch.testing.assert_close(prefix[:, :width], vector)
        assert (prefix[:, width:] == 0).all()
        assert model.embed(self.tokens, vector).shape == (1, positions + 5, 16)

    def test_learned_positions_are_added_over_prefix_and_tokens_and_keep_the_variance(self, make_hrm) -> None:
        model, vector = make_hrm(positions="learned"), torch.randn(1, 16)
        parts = torch.cat((vector[None], model.token_embedding.weight[None, :5]), dim=1)
        expected = (parts + model.position_embedding.weight) / math.sqrt(2) * 4
        torch.testing.assert_close(model.embed(self.tokens, vector), expected)
        assert model.rotary is None

    def test_rotary_positions_cover_prefix_and_tokens(self, make_hrm) -> None:
        rotary = make_hrm(puzzle_embedding_width=17).rotary
        assert isinstance(rotary, RotaryTables)
        assert rotary.cos_SK.shape == (7, 4)


def test_bfloat16_activations_keep_float32_parameters_and_q_values(make_hrm) -> None:
    full, half = run_segment(make_hrm()), run_segment(model := make_hrm(dtype=torch.bfloat16))
    assert half.z_H.dtype is half.z_L.dtype is half.logits_BLV.dtype is torch.bfloat16
    assert half.q_halt_B.dtype is half.q_continue_B.dtype is torch.float32
    assert {p.dtype for p in model.state_dict().values()} == {torch.float32}
    torch.testing.assert_close(half.logits_BLV.float(), full.logits_BLV, rtol=0, atol=0.15)


def test_a_segment_is_one_graph(make_hrm) -> None:
    model = make_hrm()
    expected = run_segment(model)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(tuple(run_segment(compiled)), tuple(expected))
