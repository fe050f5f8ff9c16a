import pytest
import torch

from hrm.model.published import from_published, to_published


@pytest.mark.parametrize("positions", ["rope", "learned"])
def test_every_tensor_of_a_model_has_a_published_name_and_back(make_hrm, positions: str) -> None:
    state = make_hrm(positions=positions, H_layers=2).state_dict()
    published = to_published(state)
    assert len(published) == len(state)
    back = from_published(published)
    assert back.keys() == state.keys()
    assert all(back[name] is state[name] for name in state)


@pytest.mark.parametrize("prefix", ["_orig_mod.model.inner.", "model.inner.", "inner.", ""])
def test_the_wrappers_of_the_release_are_taken_off(prefix: str) -> None:
    value = torch.zeros(1)
    published = {
        f"{prefix}L_level.layers.3.self_attn.o_proj.weight": value,
        f"{prefix}puzzle_emb.weights": value,
    }
    assert list(from_published(published)) == ["L.blocks.3.attention.out.weight", "puzzle_embedding.table"]


@pytest.mark.parametrize("name", ["model.inner.lm_head.bias", "model.inner.H_level.layers.0.mlp.up.weight", "X.weight"])
def test_an_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: the published HRM has no such tensor"):
        from_published({name: 0})
    with pytest.raises(ValueError, match="HRM has no such tensor"):
        to_published({name: 0})
