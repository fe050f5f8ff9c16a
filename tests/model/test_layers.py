import math

import pytest
import torch
import torch.nn.functional as F

from hrm.model.layers import (
    Attention,
    Block,
    Embedding,
    Linear,
    QHead,
    RotaryTables,
    SwiGLU,
    rms_norm,
    truncated_normal,
)


@pytest.mark.parametrize("std", [1.0, 0.02])
def test_truncated_normal_has_the_asked_deviation_after_truncation(std: float) -> None:
    torch.manual_seed(0)
    draws = truncated_normal(1000, 400, std=std)
    assert draws.std().item() == pytest.approx(std, rel=0.005)
    assert draws.mean().item() == pytest.approx(0, abs=0.005 * std)
    # Truncated at two sigmas of the normal before the truncation, and close to there.
    assert draws.abs().max().item() == pytest.approx(2 * std / 0.8796256610342398, rel=1e-3)


def test_initial_deviation_of_linear_and_tables() -> None:
    torch.manual_seed(0)
    assert Linear(inputs=256, outputs=2000).weight.std().item() == pytest.approx(1 / 16, rel=0.01)
    assert Embedding(rows=2000, width=256).weight.std().item() == pytest.approx(1 / 16, rel=0.01)


def test_q_head_starts_at_minus_five_for_every_state() -> None:
    q_halt, q_continue = QHead(hidden=8)(torch.randn(3, 8))
    assert q_halt.tolist() == q_continue.tolist() == [-5.0] * 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rms_norm_gives_unit_root_mean_square_in_the_type_of_its_input(dtype: torch.dtype) -> None:
    normed = rms_norm((100 * torch.randn(4, 3, 64)).to(dtype))
    assert normed.dtype is dtype
    torch.testing.assert_close(normed.float().square().mean(-1), torch.ones(4, 3), rtol=1e-2, atol=0)
    # 1e-5 is added to the mean square.
    torch.testing.assert_close(rms_norm(torch.full((1, 4), 1e-3)), torch.full((1, 4), 1e-3 / math.sqrt(1e-6 + 1e-5)))


def test_linear_casts_its_weights_to_the_activations_and_its_gradient_back() -> None:
    linear = Linear(inputs=4, outputs=2)
    out = linear(torch.randn(3, 4, dtype=torch.bfloat16))
    out.sum().backward()
    assert out.dtype is torch.bfloat16
    assert linear.weight.dtype is torch.float32
    assert linear.weight.grad.dtype is torch.float32


@pytest.mark.parametrize(("hidden", "expansion", "inner"), [(512, 4, 1536), (32, 4, 256), (384, 4, 1024), (64, 2, 256)])
def test_swiglu_inner_width_is_two_thirds_rounded_up_to_a_multiple_of_256(
    hidden: int, expansion: float, inner: int
) -> None:
    mlp = SwiGLU(hidden=hidden, expansion=expansion)
    assert mlp.gate_up.weight.shape == (2 * inner, hidden)
    assert mlp.down.weight.shape == (hidden, inner)


def test_swiglu_gates_with_the_first_half() -> None:
    mlp, x = SwiGLU(hidden=8, expansion=1), torch.randn(2, 3, 8)
    gate, up = mlp.gate_up.weight[:256], mlp.gate_up.weight[256:]
    expected = (F.silu(x @ gate.T) * (x @ up.T)) @ mlp.down.weight.T
    torch.testing.assert_close(mlp(x), expected)


def test_rotated_products_depend_on_distance_alone() -> None:
    rotary = RotaryTables(positions=12, head_width=8)
    q, k = torch.randn(8), torch.randn(8)
    rotated_q, rotated_k = (rotary(x.expand(1, 12, 1, 1, 8))[0, :, 0, 0] for x in (q, k))
    products = rotated_q @ rotated_k.T
    for distance in range(-11, 12):
        along = products.diagonal(distance)
        torch.testing.assert_close(along, along[:1].expand_as(along), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(products[0], products[0, :1].expand(12), atol=1e-2)
    torch.testing.assert_close(rotated_q[0], q)


def test_rotary_pairs_an_element_with_the_one_half_a_head_further() -> None:
    rotated = RotaryTables(positions=3, head_width=4)(torch.eye(4)[0].expand(1, 3, 1, 1, 4))[0, :, 0, 0]
    angles = torch.arange(3.0)
    zero = torch.zeros(3)
    torch.testing.assert_close(rotated, torch.stack([angles.cos(), zero, angles.sin(), zero], dim=1))


def test_rotary_tables_are_float32_and_in_no_checkpoint() -> None:
    rotary = RotaryTables(positions=1000, head_width=8)
    x = torch.randn(1, 1000, 1, 1, 8).bfloat16()
    # Rounded once, at the end: bfloat16 angles would be off by whole turns at position 1000.
    torch.testing.assert_close(rotary(x), rotary(x.float()).bfloat16(), rtol=0, atol=0)
    assert not rotary.state_dict()


@pytest.mark.parametrize("rope", [True, False])
def test_attention_equals_its_formula_for_each_head(rope: bool) -> None:
    layer, x = Attention(hidden=8, heads=2, backend="auto"), torch.randn(3, 5, 8)
    rotary = RotaryTables(positions=5, head_width=4) if rope else None
    heads = []
    for head in range(2):
        q, k, v = (x @ layer.qkv.weight[part * 8 + head * 4 :][:4].T for part in range(3))
        if rotary is not None:
            q, k = (rotary(each[:, :, None, None])[:, :, 0, 0] for each in (q, k))
        heads.append(torch.softmax(q @ k.mT / 2, dim=-1) @ v)
    torch.testing.assert_close(layer(x, rotary), torch.cat(heads, dim=-1) @ layer.out.weight.T)


def test_block_normalises_after_each_residual_sum() -> None:
    block, x = Block(hidden=8, heads=2, expansion=1, backend="auto"), torch.randn(2, 3, 8)
    middle = rms_norm(x + block.attention(x, None))
    torch.testing.assert_close(block(x, None), rms_norm(middle + block.mlp(middle)))
    assert {name for name, _ in block.named_parameters() if "bias" in name} == set()


def test_the_first_positions_of_a_block_can_be_had_alone() -> None:
    block, x = Block(hidden=8, heads=2, expansion=1, backend="auto"), torch.randn(2, 3, 8)
    rotary = RotaryTables(positions=3, head_width=4)
    torch.testing.assert_close(block(x, rotary, 2), block(x, rotary)[:, :2])


def test_the_kernel_of_a_block_is_the_one_it_was_given() -> None:
    block = Block(hidden=8, heads=2, expansion=1, backend="flash2")
    with pytest.raises(ValueError, match="attention = flash2 needs a GPU"):
        block(torch.randn(2, 3, 8), None)
