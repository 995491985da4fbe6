"""Normalisation of what little may be present."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sensorfusion.encoders.norms import PresentBatchNorm1d, PresentBatchNorm2d, norm1d, norm2d

SHAPES = {PresentBatchNorm1d: (1, 3), PresentBatchNorm2d: (1, 3, 1, 1)}


@pytest.mark.parametrize("kind", SHAPES)
def test_one_value_per_channel_uses_running_statistics(kind) -> None:
    norm = kind(3).double()
    norm.running_mean.copy_(torch.tensor([1.0, 2, 3]))
    norm.running_var.copy_(torch.tensor([4.0, 4, 4]))
    x = torch.tensor([3.0, 4, 5], dtype=torch.float64).view(SHAPES[kind])
    torch.testing.assert_close(
        norm(x).flatten(), torch.ones(3, dtype=torch.float64), atol=1e-5, rtol=0
    )
    assert norm.running_mean.tolist() == [1, 2, 3]
    assert norm.num_batches_tracked == 0


@pytest.mark.parametrize(
    ("ours", "torchs", "shape"),
    [
        (PresentBatchNorm1d, nn.BatchNorm1d, (4, 3)),
        (PresentBatchNorm1d, nn.BatchNorm1d, (1, 3, 5)),
        (PresentBatchNorm2d, nn.BatchNorm2d, (1, 3, 2, 2)),
    ],
)
def test_otherwise_it_is_batch_norm(ours, torchs, shape) -> None:
    norm, reference, x = ours(3), torchs(3), torch.randn(shape)
    assert torch.equal(norm(x), reference(x))
    assert torch.equal(norm.running_var, reference.running_var)
    assert isinstance(norm, torchs)


@pytest.mark.parametrize(("make", "shape"), [(norm1d, (4, 12, 5)), (norm2d, (4, 12, 5, 2))])
def test_group_norm_is_per_reading(make, shape) -> None:
    norm, x = make("group", 12).train(), torch.randn(shape)
    torch.testing.assert_close(norm(x)[:1], norm(x[:1]))
