"""Collectives: values and gradients of two ranks against one process on the whole batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sensorfusion import distributed
from tests.distributed_pool import run_on_two_ranks

SPLITS = [(3, 3), (5, 1), (6, 0), (0, 6)]


def _objective(all_rows: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return ((all_rows * weight) @ all_rows.T).exp().mean()


def _replicated(rows: np.ndarray, gradient: bool) -> dict[str, object]:
    rows_N = torch.tensor(rows, requires_grad=gradient)
    weight = torch.linspace(0.1, 0.5, rows_N.shape[1], dtype=torch.float64, requires_grad=True)
    gathered, mine = distributed.gather(rows_N)
    loss = distributed.share_of(_objective(gathered, weight))
    loss.backward()
    assert torch.equal(gathered[mine], rows_N)
    return {"loss": loss.item(), "rows": rows_N.grad, "weight": weight.grad}


def _partitioned(rows: np.ndarray) -> dict[str, object]:
    rows_N = torch.tensor(rows, requires_grad=True)
    weight = torch.linspace(0.1, 0.5, rows_N.shape[1], dtype=torch.float64, requires_grad=True)
    gathered, mine = distributed.gather(rows_N)
    part = ((gathered[mine] * weight) @ gathered.T).exp().sum() / len(gathered) ** 2
    loss = distributed.sum_of_parts(part)
    loss.backward()
    return {"loss": loss.item(), "rows": rows_N.grad, "weight": weight.grad}


def _summed(rows: np.ndarray) -> dict[str, object]:
    rows_N = torch.tensor(rows, requires_grad=True)
    moment = distributed.sum_over_ranks(rows_N.T @ rows_N)
    count = distributed.sum_over_ranks(torch.tensor(float(len(rows_N))))
    norm = distributed.sum_over_ranks(rows_N.square().sum())
    loss = torch.logdet(moment + torch.eye(len(moment))) + norm.sqrt() / count
    loss = distributed.share_of(loss)
    loss.backward()
    return {"loss": loss.item(), "rows": rows_N.grad}


def _whole(rows: np.ndarray) -> dict[str, np.ndarray | float]:
    rows_N = torch.tensor(rows, requires_grad=True)
    weight = torch.linspace(0.1, 0.5, rows_N.shape[1], dtype=torch.float64, requires_grad=True)
    loss = _objective(rows_N, weight)
    loss.backward()
    return {"loss": loss.item(), "rows": rows_N.grad.numpy(), "weight": weight.grad.numpy()}


@pytest.fixture
def rows() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(6, 4))


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("pattern", [_replicated, _partitioned])
def test_gathered_objective_equals_whole_batch(pattern, split, rows) -> None:
    extra = (True,) if pattern is _replicated else ()
    halves = np.split(rows, split[:1])
    ranks = run_on_two_ranks(pattern, [(half, *extra) for half in halves])
    expected = _whole(rows)
    for result in ranks:
        assert result["loss"] == pytest.approx(expected["loss"], abs=1e-14)
    gradient = np.concatenate([result["rows"] for result in ranks])
    np.testing.assert_allclose(gradient, expected["rows"], atol=1e-14)
    weight = sum(result["weight"] for result in ranks)
    np.testing.assert_allclose(weight, expected["weight"], atol=1e-14)


def test_rank_without_gradient_does_not_hold_up_the_others(rows) -> None:
    halves = np.split(rows, [6])
    first, second = run_on_two_ranks(_replicated, [(halves[0], True), (halves[1], False)])
    np.testing.assert_allclose(first["rows"], _whole(rows)["rows"], atol=1e-14)
    assert second["rows"] is None


@pytest.mark.parametrize("split", SPLITS)
def test_sum_over_ranks_equals_whole_batch(split, rows) -> None:
    ranks = run_on_two_ranks(_summed, [(half,) for half in np.split(rows, split[:1])])
    alone = _summed(rows)
    for result in ranks:
        assert result["loss"] == pytest.approx(alone["loss"], abs=1e-14)
    gradient = np.concatenate([result["rows"] for result in ranks])
    np.testing.assert_allclose(gradient, alone["rows"], atol=1e-14)


def _types(rows: int, dtype: torch.dtype) -> tuple[str, int]:
    gathered, _ = distributed.gather(torch.ones(rows, 2, dtype=dtype))
    return str(gathered.dtype), len(gathered)


def test_ranks_of_different_types_meet_in_the_widest() -> None:
    for types in ((torch.float32, torch.bfloat16), (torch.bfloat16, torch.float64)):
        answers = run_on_two_ranks(_types, [(0, types[0]), (3, types[1])])
        assert answers == [(str(torch.promote_types(*types)), 3)] * 2


def _indices(values: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    values_N = torch.tensor(values, dtype=torch.int64)
    return distributed.gather_indices(values_N), distributed.gather_indices(values_N > 1)


def test_indices_and_masks_keep_rank_order_and_type() -> None:
    for integers, mask in run_on_two_ranks(_indices, [([1, 2, 3],), ([7],)]):
        assert integers.tolist() == [1, 2, 3, 7]
        assert mask.dtype == bool
        assert mask.tolist() == [False, True, True, True]


def _widths(width: int) -> None:
    distributed.gather(torch.zeros(1, width))


def test_different_widths_are_an_error_on_every_rank() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)rank 0.*\[2, 3\].*rank 1.*\[2, 3\]"):
        run_on_two_ranks(_widths, [(2,), (3,)])


def test_without_a_process_group_nothing_changes() -> None:
    rows_N = torch.randn(3, 2, requires_grad=True)
    gathered, mine = distributed.gather(rows_N)
    assert gathered is rows_N
    assert mine == slice(0, 3)
    assert distributed.share_of(rows_N) is distributed.sum_of_parts(rows_N) is rows_N
    assert (distributed.rank(), distributed.world_size()) == (0, 1)
