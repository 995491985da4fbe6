"""Pairs of rows by cursors through sorted keys, against one search per offset and site."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorfusion.ops.downsample import coarser_sites
from sensorfusion.ops.kernel import Kernel
from sensorfusion.ops.packing import Grid, pack, unpack
from sensorfusion.ops.pair_search import find_pairs, find_pairs_reference
from sensorfusion.ops.pairs import TILE
from sensorfusion.ops.sites import checked_sites
from tests.ops.clouds import ascending, cloud


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_pairs_of_the_reference_in_its_order(data) -> None:
    axes = data.draw(st.integers(1, 3))
    coordinates = cloud(
        data.draw(st.sampled_from([0, 1, 3, 60, 400])), axes, seed=data.draw(st.integers(0, 99))
    )
    if data.draw(st.booleans()):
        coordinates = ascending(coordinates)
    sites = checked_sites(coordinates, batch_size=2)
    sizes = [data.draw(st.integers(1, 5)) for _ in range(axes)]
    dilation = [data.draw(st.integers(1, 3)) for _ in range(axes)]
    stride = [data.draw(st.integers(1, 3)) for _ in range(axes)]
    kernel = Kernel.of(axes, sizes, stride, dilation=dilation)
    outputs = sites if set(stride) == {1} else coarser_sites(sites, kernel, "floor")
    found, expected = (f(sites, outputs, kernel) for f in (find_pairs, find_pairs_reference))
    assert found.starts == expected.starts
    assert found.identity == expected.identity
    assert torch.equal(found.in_rows, expected.in_rows)
    assert torch.equal(found.out_rows, expected.out_rows)
    steps = torch.tensor(list(kernel.steps()))
    for offset in found.occupied:
        in_rows, out_rows = (rows.long() for rows in found.of(offset))
        centre = outputs.coordinates[out_rows, 1:] * torch.tensor(stride)
        assert torch.equal(sites.coordinates[in_rows, 1:] - centre, steps[offset].expand_as(centre))
        assert torch.equal(sites.coordinates[in_rows, 0], outputs.coordinates[out_rows, 0])


def test_a_symmetric_window_sees_both_ways() -> None:
    sites = checked_sites(cloud(300))
    pairs = find_pairs(sites, sites, Kernel.of(3, 3))
    for offset in range(13):
        there, back = pairs.of(offset), pairs.of(26 - offset)
        assert torch.equal(there[0], back[1])
        assert torch.equal(there[1], back[0])
    assert pairs.identity == 13
    assert len(pairs.of(13)[0]) == len(sites)


@pytest.mark.parametrize("is_sorted", [True, False])
def test_tiles_hold_every_pair_once_and_no_row_twice(is_sorted: bool) -> None:
    coordinates = cloud(3 * TILE, extent=16)
    sites = checked_sites(ascending(coordinates) if is_sorted else coordinates)
    pairs = find_pairs(sites, sites, Kernel.of(3, 3))
    for lists in (pairs, pairs.swapped):
        tiles = lists.tiles
        assert tiles[0].tolist() == list(lists.starts[:-1])
        assert tiles[-1].tolist() == list(lists.starts[1:])
        owner = np.full(len(sites), -1)
        for tile, (first, last) in enumerate(pairwise(tiles)):
            rows = np.unique(
                np.concatenate([lists.out_rows[a:b] for a, b in zip(first, last, strict=True)])
            )
            assert (owner[rows] == -1).all()
            owner[rows] = tile
        assert (owner >= 0).all()
        assert (np.bincount(owner) <= TILE).all()


@settings(max_examples=50, deadline=None)
@given(
    lower=st.tuples(*[st.integers(-(2**31), 2**30)] * 2),
    extent=st.tuples(*[st.integers(1, 2**30)] * 2),
    seed=st.integers(0, 99),
)
def test_keys_keep_the_order_and_lead_back(lower, extent, seed) -> None:
    generator = torch.Generator().manual_seed(seed)
    columns = [torch.randint(3, (50,), generator=generator)]
    columns += [
        torch.randint(low, low + n, (50,), generator=generator)
        for low, n in zip(lower, extent, strict=True)
    ]
    coordinates = torch.stack(columns, dim=1).int()
    upper = [low + n - 1 for low, n in zip(lower, extent, strict=True)]
    grid = Grid.around(3, lower, upper, (0, 0))
    keys = pack(coordinates, grid)
    assert torch.equal(unpack(keys, grid), coordinates)
    by_keys = coordinates[torch.argsort(keys)].tolist()
    assert by_keys == sorted(coordinates.tolist())
    assert int(keys.min()) >= 0
