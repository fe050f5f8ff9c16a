import sys
from pathlib import Path

import pytest
import torch

from hrm.model.attention import attention, flash_attention


def test_attention_equals_its_formula() -> None:
    q, k, v = torch.randn(3, 2, 5, 4, 8).unbind(0)
    weights = torch.softmax(torch.einsum("bsnk,btnk->bnst", q, k) / 8**0.5, dim=-1)
    torch.testing.assert_close(attention(q, k, v), torch.einsum("bnst,btnk->bsnk", weights, v))


def test_every_position_sees_every_other() -> None:
    q, k, v = torch.randn(3, 1, 4, 1, 8).unbind(0)
    changed = v.clone()
    changed[:, -1] += 1
    assert ((attention(q, k, v) - attention(q, k, changed)).abs().amax((0, 2, 3)) > 1e-4).all()


class TestInstalledFlashAttention:
    @pytest.fixture
    def install(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.syspath_prepend(tmp_path)

        def write(package: str, source: str) -> None:
            (tmp_path / f"{package}.py").write_text(source)

        yield write
        for package in ("flash_attn", "flash_attn_interface"):
            sys.modules.pop(package, None)

    def test_version_3_goes_before_version_2(self, install) -> None:
        install("flash_attn", "flash_attn_func = lambda *tensors: 2")
        assert flash_attention()() == 2
        install("flash_attn_interface", "flash_attn_func = lambda *tensors: 3")
        assert flash_attention()() == 3

    @pytest.mark.parametrize("package", ["flash_attn", "flash_attn_interface"])
    def test_a_broken_installation_surfaces(self, install, package: str) -> None:
        install(package, "import a_library_that_is_missing")
        with pytest.raises(ModuleNotFoundError, match="a_library_that_is_missing"):
            flash_attention()
