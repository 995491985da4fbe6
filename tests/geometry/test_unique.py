from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorfusion.geometry.scratch import scratch
from sensorfusion.geometry.unique import unique_keys, unique_keys_reference


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 400), st.sampled_from([1, 2, 60, 5000, 2**33, 2**50, 2**62]), st.integers(0))
def test_kernel_and_reference_agree(rows, limit, seed):
    rng = np.random.default_rng(seed)
    keys = rng.integers(0, limit, rows)
    keys[rng.random(rows) < 0.3] = limit  # left out
    keys[rng.random(rows) < 0.5] = limit - 1
    before = keys.copy()
    found, expected = unique_keys(keys, limit), unique_keys_reference(keys, limit)
    np.testing.assert_array_equal(found.inverse_N, expected.inverse_N)
    different, first, counts = np.unique(keys, return_index=True, return_counts=True)
    assert len(found) == len(expected) == (different < limit).sum()
    np.testing.assert_array_equal(found.first_V, first[: len(found)])
    np.testing.assert_array_equal(found.counts_V, counts[: len(found)])
    assert found.first_V.dtype == found.counts_V.dtype == np.int64
    np.testing.assert_array_equal(keys, before)
    values = keys[found.first_V]
    assert (np.diff(values) > 0).all()
    inside = found.inverse_N >= 0
    np.testing.assert_array_equal(values[found.inverse_N[inside]], keys[inside])


def test_results_do_not_live_in_memory_that_is_used_again():
    keys = np.arange(1000) % 7
    first = unique_keys(keys, 7)
    kept = first.inverse_N.copy()
    unique_keys(np.zeros(1000, dtype=np.int64), 7)
    np.testing.assert_array_equal(first.inverse_N, kept)


def test_scratch_grows_and_is_shared_by_name():
    small = scratch("test", (3, 4), np.float32)
    assert small.shape == (3, 4)
    large = scratch("test", (1000,), np.int64)
    again = scratch("test", (10, 10), np.int32)
    assert np.shares_memory(large, again)
    assert not np.shares_memory(again, scratch("other", (10,), np.int32))
    assert scratch("test", (0, 3), np.int64).shape == (0, 3)


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows(rows):
    found = unique_keys(np.full(rows, 5), 5)
    assert len(found) == 0
    assert found.inverse_N.tolist() == [-1] * rows
