"""Kernel layouts of other engines, both ways, against what the engines say of their offsets."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from sensorfusion.errors import CheckpointError
from sensorfusion.ops.kernel import Kernel
from sensorfusion.ops.weights import from_layout, to_layout

LAYOUTS = ["minkowski", "torchsparse", "spconv1", "spconv2", "dense"]


def marked(size: tuple[int, ...]) -> torch.Tensor:
    """A kernel [K, 2, 3] whose values at an offset (o0, o1, o2) are o0, o1, o2 in decimal."""
    values = [float("".join(map(str, offset))) for offset in product(*map(range, size))]
    return torch.tensor(values)[:, None, None].expand(-1, 2, 3).clone()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [(3, 3, 3), (2, 2, 2), (1, 1, 1), (5, 3), (2, 3, 1), (4, 2, 3)])
def test_there_and_back(layout, size) -> None:
    weight = torch.randn(Kernel.of(len(size), size).volume, 2, 3)
    theirs = to_layout(weight, layout, size)
    assert torch.equal(from_layout(theirs, layout, size), weight)


@pytest.mark.parametrize("size", [(3, 3, 3), (2, 2, 2), (3, 2, 4)])
def test_offsets_lie_where_the_engines_have_them(size) -> None:
    weight = marked(size)
    offsets = list(product(*map(range, size)))
    assert [int(v) for v in weight[:, 0, 0]] == [int("".join(map(str, o))) for o in offsets]
    volume = len(offsets)
    minkowski = to_layout(weight, "minkowski", size)
    torchsparse = to_layout(weight, "torchsparse", size)
    for a, b, c in offsets:
        value = 100 * a + 10 * b + c
        first_fastest = a + size[0] * (b + size[1] * c)
        last_fastest = c + size[2] * (b + size[1] * a)
        assert minkowski[first_fastest, 1, 2] == value
        assert torchsparse[first_fastest if volume % 2 else last_fastest, 1, 2] == value
        assert to_layout(weight, "spconv1", size)[a, b, c, 1, 2] == value
        assert to_layout(weight, "spconv2", size)[2, a, b, c, 1] == value
        assert to_layout(weight, "dense", size)[2, 1, a, b, c] == value


def test_kernels_of_one_offset_lose_their_axis_where_engines_drop_it() -> None:
    weight = torch.randn(1, 2, 3)
    for layout in ("minkowski", "torchsparse"):
        assert torch.equal(to_layout(weight, layout, (1, 1, 1)), weight[0])
        assert torch.equal(from_layout(weight, layout, (1, 1, 1)), weight), "strided ones keep it"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_another_shape_is_refused(layout) -> None:
    theirs = to_layout(torch.randn(27, 2, 3), layout, (3, 3, 3))
    with pytest.raises(CheckpointError, match=layout):
        from_layout(theirs, layout, (2, 2, 2))
    with pytest.raises(CheckpointError):
        to_layout(torch.randn(8, 2, 3), layout, (3, 3, 3))
