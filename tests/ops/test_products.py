"""Kernels of products over pairs against their references."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorfusion.ops.backends.products import (
    outer_products,
    outer_products_reference,
    products,
    products_reference,
)
from sensorfusion.ops.backends.tiles import ROWS, lanes

CHANNELS = st.sampled_from([1, 2, ROWS - 1, ROWS, ROWS + 1, 16, 17, 40])


def lists_of_pairs(generator: np.random.Generator, rows: int, offsets: int, tiles: int):
    """For each offset random pairs of distinct rows, both sides ascending, cut into tiles."""
    edges = np.linspace(0, rows, tiles + 1).astype(int)
    ins, outs, cuts = [], [], []
    for _ in range(offsets):
        count = generator.integers(0, rows + 1)
        pair = [np.sort(generator.permutation(rows)[:count]) for _ in range(2)]
        cuts.append(sum(map(len, ins)) + np.searchsorted(pair[1], edges))
        ins.append(pair[0])
        outs.append(pair[1])
    lists = [np.concatenate(side).astype(np.int32) for side in (ins, outs)]
    return *lists, np.stack(cuts, axis=1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=40, deadline=None)
@given(
    rows=st.sampled_from([1, 5, 6, 7, 60, 200]),
    channels=CHANNELS,
    columns=CHANNELS,
    offsets=st.integers(1, 5),
    tiles=st.integers(1, 4),
    parts=st.integers(1, 9),
    seed=st.integers(0, 2**16),
)
def test_kernels_are_their_references(
    dtype, rows, channels, columns, offsets, tiles, parts, seed
) -> None:
    generator = np.random.default_rng(seed)
    pairs = lists_of_pairs(generator, rows, offsets, tiles)
    features = generator.standard_normal((rows, channels)).astype(dtype)
    weight = generator.standard_normal((offsets, columns, channels)).astype(dtype).swapaxes(1, 2)
    gradient = generator.standard_normal((rows, columns)).astype(dtype)
    bound = {"rtol": 0, "atol": 1e-4 if dtype == np.float32 else 1e-11}
    found = products(features, weight, *pairs, rows)
    assert found.dtype == dtype
    assert found.flags.c_contiguous
    np.testing.assert_allclose(found, products_reference(features, weight, *pairs, rows), **bound)
    found = outer_products(features, gradient, *pairs, parts)
    expected = outer_products_reference(features, gradient, *pairs, parts)
    np.testing.assert_allclose(found, expected, **bound)
    assert np.array_equal(found, outer_products(features, gradient, *pairs, 1)), "parts add nothing"


def test_no_pairs_and_no_rows() -> None:
    nothing = np.zeros(0, np.int32)
    tiles = np.zeros((1, 3), np.int64)
    weight = np.ones((3, 4, 5), np.float32)
    found = products(np.zeros((0, 4), np.float32), weight, nothing, nothing, tiles, 0)
    assert found.shape == (0, 5)
    empty = (np.zeros((0, 4), np.float32), np.zeros((0, 5), np.float32))
    assert not outer_products(*empty, nothing, nothing, tiles, 2).any()


def test_strided_views_and_wide_row_numbers_are_read_as_they_are() -> None:
    generator = np.random.default_rng(0)
    in_rows, out_rows, tiles = lists_of_pairs(generator, 30, 3, 2)
    features = generator.standard_normal((30, 40))[:, ::3]
    gradient = np.asfortranarray(generator.standard_normal((30, 9)))
    weight = generator.standard_normal((3, 14, 9))
    plain = (in_rows, out_rows, tiles)
    wide = (in_rows.astype(np.int64), np.repeat(out_rows, 2)[::2], np.asfortranarray(tiles))
    found = products(features, weight, *wide, 30)
    np.testing.assert_allclose(found, products_reference(features, weight, *plain, 30), atol=1e-12)
    found = outer_products(features, gradient, *wide, 2)
    expected = outer_products_reference(features, gradient, *plain, 2)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_vectors_are_whole_lines_of_the_cache_or_more() -> None:
    assert lanes(np.dtype(np.float32)) == 2 * lanes(np.dtype(np.float64))
    assert lanes(np.dtype(np.float32)) in (16, 32)
