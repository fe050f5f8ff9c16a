import torch

from hrm.model import PuzzleEmbedding


def test_starts_at_zero_and_is_saved_but_not_a_parameter() -> None:
    embedding = PuzzleEmbedding(num_ids=5, width=3)
    assert list(embedding.parameters()) == []
    assert list(embedding.state_dict()) == ["table"]
    assert torch.equal(embedding.table, torch.zeros(5, 3))


def test_looked_up_rows_are_copies_that_can_be_a_leaf() -> None:
    embedding = PuzzleEmbedding(num_ids=5, width=3)
    embedding.table.copy_(torch.arange(15.0).view(5, 3))
    rows = embedding(torch.tensor([4, 1, 4], dtype=torch.int32)).requires_grad_()
    assert torch.equal(rows, embedding.table[[4, 1, 4]])
    (rows * torch.tensor([[1.0], [2.0], [3.0]])).sum().backward()
    assert rows.grad.tolist() == [[1.0] * 3, [2.0] * 3, [3.0] * 3]  # a gradient for each row, also of one id
    assert embedding.table.grad is None
    with torch.no_grad():
        rows.zero_()
    assert embedding.table[4].tolist() == [12, 13, 14]
