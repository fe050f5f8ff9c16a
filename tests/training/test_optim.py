import math
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from hypothesis import given
from hypothesis import strategies as st

from hrm.model import PuzzleEmbedding
from hrm.training.distributed import Processes
from hrm.training.optim import AdamATan2, SignSGD


def tensors(seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) for shape in ((3, 4), (5,), ())]


def run_adam(optimizer: AdamATan2, parameters: list[torch.Tensor], steps: range) -> None:
    for step in steps:
        for parameter, gradient in zip(parameters, tensors(100 + step), strict=True):
            parameter.grad = gradient
        optimizer.step()


class TestAdamATan2:
    def test_equals_a_scalar_by_scalar_transcription(self) -> None:
        parameters = [tensor.clone().requires_grad_() for tensor in tensors(0)]
        optimizer = AdamATan2(parameters, lr=0.1, betas=(0.9, 0.95), weight_decay=0.5)
        run_adam(optimizer, parameters, range(1, 6))
        for index, start in enumerate(tensors(0)):
            for place in range(start.numel()):
                p, m, v = start.flatten()[place].item(), 0.0, 0.0
                for t in range(1, 6):
                    g = tensors(100 + t)[index].flatten()[place].item()
                    p *= 1 - 0.1 * 0.5
                    m += (g - m) * (1 - 0.9)
                    v += (g * g - v) * (1 - 0.95)
                    p -= 0.1 / (1 - 0.9**t) * math.atan2(m, math.sqrt(v) / math.sqrt(1 - 0.95**t))
                assert parameters[index].flatten()[place].item() == pytest.approx(p, rel=1e-5, abs=1e-6)

    def test_first_step_shows_where_the_bias_is_corrected(self) -> None:
        """At t = 1, m = (1 - b1) g and sqrt(v) / sqrt(1 - b2) = |g|: the step is lr/(1 - b1) * atan(1 - b1)."""
        parameter = torch.zeros(2, requires_grad=True)
        optimizer = AdamATan2([parameter], lr=1.0, weight_decay=0.0)
        parameter.grad = torch.tensor([3.0, -2e-6])
        optimizer.step()
        step = math.atan(0.1) / 0.1
        assert parameter.tolist() == pytest.approx([-step, step], rel=1e-4)

    @given(scale=st.floats(1e-6, 1e6))
    def test_does_not_depend_on_the_scale_of_the_gradients(self, scale: float) -> None:
        moved = []
        for factor in (1.0, scale):
            parameter = torch.zeros(5, requires_grad=True)
            optimizer = AdamATan2([parameter], lr=0.1)
            for step in range(3):
                parameter.grad = tensors(step)[1] * factor
                optimizer.step()
            moved.append(parameter.detach())
        torch.testing.assert_close(moved[0], moved[1], rtol=1e-4, atol=1e-6)

    def test_a_rate_of_zero_moves_nothing(self) -> None:
        parameters = [tensor.clone().requires_grad_() for tensor in tensors(0)]
        run_adam(AdamATan2(parameters, lr=0.0), parameters, range(3))
        assert all(torch.equal(after, before) for after, before in zip(parameters, tensors(0), strict=True))

    def test_a_zero_gradient_only_decays(self) -> None:
        parameter = torch.ones(3, requires_grad=True)
        parameter.grad = torch.zeros(3)
        AdamATan2([parameter], lr=0.1, weight_decay=0.5).step()
        torch.testing.assert_close(parameter.detach(), torch.full((3,), 0.95))

    def test_a_parameter_without_gradient_is_left_alone(self) -> None:
        used, unused = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
        used.grad = torch.ones(2)
        AdamATan2([used, unused], lr=0.1).step()
        assert not torch.equal(used, torch.ones(2))
        assert torch.equal(unused, torch.ones(2))

    def test_goes_on_from_its_saved_state_to_the_last_bit(self, tmp_path: Path) -> None:
        whole = [tensor.clone().requires_grad_() for tensor in tensors(0)]
        optimizer = AdamATan2(whole, lr=0.1)
        run_adam(optimizer, whole, range(3))
        torch.save(optimizer.state_dict(), tmp_path / "optimizer.pt")
        resumed = [tensor.detach().clone().requires_grad_() for tensor in whole]
        run_adam(optimizer, whole, range(3, 6))

        fresh = AdamATan2(resumed, lr=0.7)
        fresh.load_state_dict(torch.load(tmp_path / "optimizer.pt", weights_only=True))
        run_adam(fresh, resumed, range(3, 6))
        assert all(torch.equal(one, other) for one, other in zip(whole, resumed, strict=True))


def embedding_with(table: torch.Tensor) -> PuzzleEmbedding:
    embedding = PuzzleEmbedding(num_ids=table.shape[0], width=table.shape[1])
    embedding.table.copy_(table)
    return embedding


ids_and_seed = st.tuples(st.lists(st.integers(0, 5), min_size=1, max_size=12), st.integers(0, 1000))


def rows(ids: list[int], seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A table of six rows, ids, and a gradient for each id; in quarters, so that sums are exact and often zero."""
    generator = torch.Generator().manual_seed(seed)
    gradients = torch.randint(-4, 5, (len(ids), 3), generator=generator) / 4
    return torch.randn(6, 3, generator=generator), torch.tensor(ids, dtype=torch.int32), gradients


class TestSignSGD:
    @given(ids_and_seed)
    def test_equals_a_row_by_row_transcription(self, drawn: tuple[list[int], int]) -> None:
        ids, seed = drawn
        table, ids_B, gradients = rows(ids, seed)
        embedding = embedding_with(table)
        SignSGD(embedding, lr=0.1, weight_decay=0.5).step(ids_B, gradients)
        for row in range(6):
            of_row = [gradient for id_, gradient in zip(ids, gradients, strict=True) if id_ == row]
            if of_row:
                expected = table[row] * (1 - 0.1 * 0.5) - 0.1 * torch.sign(sum(of_row))
                torch.testing.assert_close(embedding.table[row], expected)
            else:
                assert torch.equal(embedding.table[row], table[row])  # absent ids do not move, not even by decay

    def test_the_same_rows_give_the_same_bits(self) -> None:
        ids, gradients = torch.randint(0, 6, (500,)), torch.randn(500, 3)
        tables = []
        for _ in range(3):
            embedding = embedding_with(torch.ones(6, 3))
            SignSGD(embedding, lr=0.1, weight_decay=0.1).step(ids, gradients)
            tables.append(embedding.table)
        assert torch.equal(tables[0], tables[1])
        assert torch.equal(tables[0], tables[2])

    def test_follows_a_module_whose_table_was_replaced(self) -> None:
        embedding = PuzzleEmbedding(num_ids=2, width=1)
        optimizer = SignSGD(embedding, lr=0.5, weight_decay=0.0)
        embedding.table = torch.ones(2, 1)  # as moving it to a device does
        optimizer.step(torch.tensor([1]), torch.tensor([[2.0]]))
        assert embedding.table.tolist() == [[1.0], [0.5]]

    def test_the_schedule_sets_the_rate(self) -> None:
        embedding = PuzzleEmbedding(num_ids=1, width=1)
        optimizer = SignSGD(embedding, lr=0.0, weight_decay=0.0)
        optimizer.param_groups[0]["lr"] = 1.0
        optimizer.step(torch.tensor([0]), torch.tensor([[-3.0]]))
        assert embedding.table.item() == 1.0


IDS, SEED = [3, 1, 3, 0, 1, 3, 5, 1], 11


def step_in_process(rank: int, processes: int, folder: str) -> None:
    """One of several processes: takes its part of the batch, and saves the table it ends with."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=processes)
    table, ids, gradients = rows(IDS, SEED)
    embedding = embedding_with(table)
    share = slice(rank * len(ids) // processes, (rank + 1) * len(ids) // processes)
    gather = Processes(rank, processes, torch.device("cpu")).gather
    SignSGD(embedding, lr=0.1, weight_decay=0.5).step(gather(ids[share]), gather(gradients[share]))
    torch.save(embedding.table, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_sign_sgd_of_a_split_batch_equals_that_of_the_whole(tmp_path: Path) -> None:
    mp.spawn(step_in_process, args=(2, str(tmp_path)), nprocs=2)
    table, ids, gradients = rows(IDS, SEED)
    embedding = embedding_with(table)
    SignSGD(embedding, lr=0.1, weight_decay=0.5).step(ids, gradients)
    for rank in range(2):
        assert torch.equal(torch.load(tmp_path / f"{rank}.pt", weights_only=True), embedding.table)
