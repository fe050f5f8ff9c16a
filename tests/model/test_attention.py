import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hrm.model import attention as module
from hrm.model.attention import _flash, attention, check_backend, choose

HERE = ("sdpa", "matmul")
"""The kernels that run without a GPU and without flash-attn."""


@pytest.mark.parametrize("backend", ["auto", *HERE])
def test_attention_equals_its_formula(backend: str) -> None:
    q, k, v = torch.randn(3, 2, 5, 4, 8).unbind(0)
    weights = torch.softmax(torch.einsum("bsnk,btnk->bnst", q, k) / 8**0.5, dim=-1)
    expected = torch.einsum("bnst,btnk->bsnk", weights, v)
    torch.testing.assert_close(attention(q, k, v, backend), expected)
    torch.testing.assert_close(attention(q[:, :2], k, v, backend), expected[:, :2])


@pytest.mark.parametrize("backend", HERE)
def test_every_position_sees_every_other(backend: str) -> None:
    q, k, v = torch.randn(3, 1, 4, 1, 8).unbind(0)
    changed = v.clone()
    changed[:, -1] += 1
    difference = attention(q, k, v, backend) - attention(q, k, changed, backend)
    assert (difference.abs().amax((0, 2, 3)) > 1e-4).all()


def with_gradients(backend: str, qkv: Tensor) -> tuple[Tensor, Tensor]:
    qkv = qkv.clone().requires_grad_()
    mixed = attention(*qkv.unbind(0), backend)
    assert mixed.dtype is qkv.dtype
    (gradient,) = torch.autograd.grad(mixed.float().square().sum(), qkv)
    return mixed.detach().float(), gradient.float()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 100), positions=st.integers(1, 40), width=st.sampled_from([2, 6, 32, 64]))
def test_all_kernels_agree(seed: int, positions: int, width: int) -> None:
    qkv = torch.randn(3, 2, positions, 2, width, generator=torch.Generator().manual_seed(seed))
    expected = with_gradients("sdpa", qkv)
    torch.testing.assert_close(with_gradients("matmul", qkv), expected, rtol=1e-4, atol=1e-5)
    for backend in HERE:
        torch.testing.assert_close(with_gradients(backend, qkv.bfloat16()), expected, rtol=0.1, atol=0.1)


class TestChoice:
    @pytest.mark.parametrize(
        ("device_type", "dtype", "positions", "expected"),
        [
            ("cpu", torch.bfloat16, 82, "matmul"),
            ("cpu", torch.bfloat16, 901, "matmul"),
            ("cpu", torch.float32, 256, "matmul"),
            ("cpu", torch.float32, 257, "sdpa"),
            ("cpu", torch.float16, 82, "sdpa"),
            ("mps", torch.bfloat16, 82, "sdpa"),
            ("cuda", torch.bfloat16, 82, "sdpa"),
            ("cuda", torch.float32, 82, "sdpa"),
        ],
    )
    def test_without_flash_attention(self, device_type, dtype, positions, expected, monkeypatch) -> None:
        monkeypatch.setattr(module, "_INSTALLED", {"flash3": False, "flash2": False})
        assert choose("auto", device_type=device_type, dtype=dtype, positions=positions) == expected

    @pytest.mark.parametrize(("flash3", "expected"), [(True, "flash3"), (False, "flash2")])
    def test_flash_attention_goes_first_where_it_can_run(self, flash3: bool, expected: str, monkeypatch) -> None:
        monkeypatch.setattr(module, "_INSTALLED", {"flash3": flash3, "flash2": True})
        for dtype in (torch.bfloat16, torch.float16):
            assert choose("auto", device_type="cuda", dtype=dtype, positions=82) == expected
        assert choose("auto", device_type="cuda", dtype=torch.float32, positions=82) == "sdpa"
        assert choose("auto", device_type="cpu", dtype=torch.bfloat16, positions=82) == "matmul"

    @pytest.mark.parametrize("backend", ["flash3", "flash2", "sdpa", "matmul"])
    def test_a_named_kernel_is_taken(self, backend: str, monkeypatch) -> None:
        monkeypatch.setattr(module, "_INSTALLED", {"flash3": True, "flash2": True})
        assert choose(backend, device_type="cuda", dtype=torch.bfloat16, positions=82) == backend

    @pytest.mark.parametrize(
        ("device_type", "dtype", "missing"),
        [
            ("cpu", torch.bfloat16, "needs a GPU, not the device cpu"),
            ("cuda", torch.float32, "needs bfloat16 activations, not float32"),
            ("cuda", torch.bfloat16, "needs the package {package}, which is not installed"),
        ],
    )
    @pytest.mark.parametrize(("backend", "package"), [("flash3", "flash_attn_interface"), ("flash2", "flash_attn")])
    def test_a_named_kernel_that_cannot_run_is_refused(
        self, backend: str, package: str, device_type: str, dtype, missing: str, monkeypatch
    ) -> None:
        monkeypatch.setattr(module, "_INSTALLED", {"flash3": False, "flash2": False})
        remedy = "`auto` takes the fastest kernel that is there"
        with pytest.raises(ValueError) as refused:
            check_backend(backend, device_type=device_type, dtype=dtype)
        assert str(refused.value) == f"attention = {backend} {missing.format(package=package)}; {remedy}"

    def test_a_call_refuses_as_well(self) -> None:
        with pytest.raises(ValueError, match="attention = flash2 needs a GPU"):
            attention(*torch.randn(3, 1, 4, 1, 8), backend="flash2")


class TestInstalledFlashAttention:
    @pytest.fixture
    def install(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.syspath_prepend(tmp_path)

        def write(package: str, source: str) -> None:
            (tmp_path / f"{package}.py").write_text(source)

        yield write
        for package in ("flash_attn", "flash_attn_interface"):
            sys.modules.pop(package, None)

    def test_is_seen_without_being_imported(self, install) -> None:
        install("flash_attn_interface", "raise AssertionError")
        assert module._installed("flash_attn_interface")
        assert "flash_attn_interface" not in sys.modules

    @pytest.mark.parametrize("returns", ["q + v", "(q + v, None)"])
    def test_each_version_is_called_by_its_package_also_when_compiled(self, install, returns: str) -> None:
        install("flash_attn", f"def flash_attn_func(q, k, v, causal): return 2 * ({returns.split(',')[0].strip('(')})")
        install("flash_attn_interface", f"def flash_attn_func(q, k, v, causal): return {returns}")
        q, k, v = torch.randn(3, 1, 4, 1, 8)
        for function in (_flash, torch.compile(_flash, backend="eager", fullgraph=True)):
            assert torch.equal(function("flash3", q, k, v), q + v)
            assert torch.equal(function("flash2", q, k, v), 2 * (q + v))

    @pytest.mark.parametrize(("name", "package"), [("flash2", "flash_attn"), ("flash3", "flash_attn_interface")])
    def test_a_broken_installation_surfaces(self, install, name: str, package: str) -> None:
        install(package, "import a_library_that_is_missing")
        with pytest.raises(ModuleNotFoundError, match="a_library_that_is_missing"):
            _flash(name, *torch.randn(3, 1, 4, 1, 8))
