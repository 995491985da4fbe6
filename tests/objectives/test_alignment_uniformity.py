"""Identities of alignment and uniformity that the golden values do not cover."""

from __future__ import annotations

import pytest
import torch

from sensorfusion.objectives.alignment_uniformity import AlignmentUniformity, squared_distances
from tests.objectives.tables import table, total


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def test_uniformity_is_the_log_of_the_mean_over_pairs() -> None:
    x = torch.nn.functional.normalize(draw(7, 5), dim=1)
    pairs = torch.pdist(x).square().mul(-2).exp().mean().log()
    losses = AlignmentUniformity(0, 1)(*table({"x": x}), {})
    torch.testing.assert_close(losses["uniformity"], pairs, rtol=0, atol=1e-13)


@pytest.mark.parametrize("chunk", [1, 11, 2**24])
def test_chunks_change_nothing(chunk: int) -> None:
    x, y = draw(7, 5).requires_grad_(), draw(7, 5).requires_grad_()
    whole, cut = (
        total(AlignmentUniformity(1, 1, 1, 1, chunk=size)(*table({"x": x, "y": y}), {}))
        for size in (2**24, chunk)
    )
    torch.testing.assert_close(cut, whole, rtol=0, atol=1e-13)
    for a, b in zip(
        torch.autograd.grad(cut, [x, y]), torch.autograd.grad(whole, [x, y]), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_absent_is_the_same_as_not_there() -> None:
    x, y = draw(6, 5), draw(6, 5)
    present = torch.tensor([[1, 1]] * 4 + [[0, 1], [0, 0]]).bool()
    term = AlignmentUniformity(1, 0, 1, 1)
    masked = term(*table({"x": x, "y": y}, present), {})
    kept = torch.tensor([[1, 1]] * 4 + [[0, 1]]).bool()
    without = term(*table({"x": x[:5], "y": y[:5]}, kept), {})
    for name, loss in masked.items():
        torch.testing.assert_close(loss, without[name], rtol=0, atol=1e-13)
    pairs = AlignmentUniformity(1, 0, 0, 1)(*table({"x": x[:4], "y": y[:4]}), {})
    for name, loss in pairs.items():
        torch.testing.assert_close(masked[name], loss, rtol=0, atol=1e-13)


def test_trust_weighs_pairs_and_not_spread() -> None:
    x, y = draw(5, 4), draw(5, 4)
    trust = torch.tensor([1.0, 1, 1, 0, 0], dtype=torch.float64)
    trusted = AlignmentUniformity()(*table({"x": x, "y": y}, trust=trust), {})
    plain = AlignmentUniformity()(*table({"x": x, "y": y}), {})
    alone = AlignmentUniformity(uniformity=0)(*table({"x": x[:3], "y": y[:3]}), {})
    torch.testing.assert_close(trusted["alignment"], alone["alignment"])
    torch.testing.assert_close(trusted["uniformity"], plain["uniformity"])


def test_within_the_margin_nothing_is_pulled() -> None:
    x = draw(4, 3).requires_grad_()
    y = (x + 0.01 * draw(4, 3)).detach()
    loss = total(AlignmentUniformity(uniformity=0, margin=0.5)(*table({"x": x, "y": y}), {}))
    loss.backward()
    assert loss == 0
    assert not x.grad.any()


def test_squared_distances_equal_the_definition() -> None:
    x, y = draw(4, 3), draw(5, 3)
    expected = (x[:, None] - y).square().sum(-1)
    torch.testing.assert_close(squared_distances(x, y), expected)
