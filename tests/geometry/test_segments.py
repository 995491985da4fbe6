from __future__ import annotations

import numba
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorfusion.errors import DataError
from sensorfusion.geometry.segments import (
    segment_counts,
    segment_max,
    segment_max_reference,
    segment_mean,
    segment_sum,
    segment_sum_reference,
)

FUNCTIONS = [segment_sum, segment_mean, segment_max]


def draw(rows, width, size, seed, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(rows, width, generator=generator, dtype=torch.float64).to(dtype)
    return features, torch.randint(-1, max(size, 1), (rows,), generator=generator).clamp(
        max=size - 1
    )


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 200),
    st.integers(0, 40),
    st.integers(0, 30),
    st.integers(0, 999),
    st.sampled_from([torch.float32, torch.float64]),
)
def test_kernels_and_references_agree(rows, width, size, seed, dtype):
    features, ids = draw(rows, width, size, seed, dtype)
    sums = segment_sum_reference(features.numpy(), ids.numpy(), size)
    counts = np.bincount(ids[ids >= 0].numpy(), minlength=size)
    found = segment_sum(features, ids, size)
    assert found.shape == (size, width)
    assert found.dtype == dtype
    np.testing.assert_allclose(found.numpy(), sums, atol=1e-4)
    assert segment_counts(ids, size).tolist() == counts.tolist()
    mean = segment_mean(features, ids, size).numpy()
    np.testing.assert_allclose(mean, sums / np.maximum(counts, 1)[:, None], atol=1e-5)
    largest = segment_max_reference(features.numpy(), ids.numpy(), size)
    np.testing.assert_array_equal(segment_max(features, ids, size).numpy(), largest)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_gradients(function):
    features, ids = draw(40, 19, 9, seed=1, dtype=torch.float64)
    ids[ids == 4] = -1  # one segment without rows
    features.requires_grad_()
    assert torch.autograd.gradcheck(lambda f: function(f, ids, 9), features)
    assert (function(features, ids, 9)[4] == 0).all()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_what_other_devices_compute_is_the_same(function, monkeypatch):
    """The branch for devices other than the CPU, run on the CPU."""
    features, ids = draw(300, 21, 17, seed=2, dtype=torch.float64)
    ids[ids == 5] = -1
    weights = torch.randn(17, 21, dtype=torch.float64)

    def run():
        leaf = features.clone().requires_grad_()
        out = function(leaf, ids, 17)
        (out * weights).sum().backward()
        return out.detach(), leaf.grad

    ours = run()
    from sensorfusion.geometry import segments

    class Elsewhere:
        @staticmethod
        def apply(*_):
            raise AssertionError("the CPU's branch")

    monkeypatch.setattr(segments, "_on_cpu", lambda tensor: False)
    monkeypatch.setattr(segments, "_Sum", Elsewhere)
    monkeypatch.setattr(segments, "_Max", Elsewhere)
    for mine, other in zip(ours, run(), strict=True):
        torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_results_repeat_exactly_whatever_the_threads(function):
    features, ids = draw(20_000, 70, 300, seed=3)
    before = numba.get_num_threads()
    results = []
    try:
        for threads in (1, before, 1):
            numba.set_num_threads(threads)
            results.append(function(features, ids, 300))
    finally:
        numba.set_num_threads(before)
    assert all(torch.equal(results[0], result) for result in results)


def test_ties_and_nan_of_a_maximum():
    features = torch.tensor([[1.0, np.nan], [1.0, 2.0], [0.5, np.nan]], requires_grad=True)
    largest = segment_max(features, torch.tensor([0, 0, 0]), 2)
    largest[:, 0].sum().backward()
    assert features.grad[:, 0].tolist() == [1, 0, 0]
    assert largest[0].isnan().tolist() == [False, True]
    assert largest[1].tolist() == [0, 0]


def test_half_precision_is_summed_in_float32():
    features = torch.ones(4000, 3, dtype=torch.bfloat16)
    sums = segment_sum(features, torch.zeros(4000, dtype=torch.int64), 1)
    assert sums.dtype == torch.bfloat16
    assert sums[0].tolist() == [4000.0] * 3  # summed in bfloat16 it would stop at 256


@pytest.mark.parametrize("function", FUNCTIONS)
def test_wrong_arguments_are_refused(function):
    features, ids = torch.zeros(4, 2), torch.tensor([0, 1, -1, 2])
    for arguments, named in (
        ((features, ids, 2), "from -1 to 2"),
        ((features, ids - 1, 3), "from -2"),
        ((features[0], ids, 3), "features"),
        ((features, ids[:3], 3), "ids"),
        ((features.long(), ids, 3), "floating"),
        ((features, ids.int(), 3), "int32"),
    ):
        with pytest.raises(DataError, match=named):
            function(*arguments)


def test_counts_of_wrong_ids_are_refused():
    ids = torch.tensor([0, 1, -1, 1])
    assert segment_counts(ids, 3).tolist() == [1, 2, 0]
    assert segment_counts(ids[:0], 0).tolist() == []
    for arguments, named in (
        ((ids, 1), "from -1 to 1"),
        ((torch.tensor([2**63 - 1]), 3), str(2**63 - 1)),
        ((ids - 1, 3), "from -2"),
        ((ids[None], 3), r"\(1, 4\)"),
        ((ids.float(), 3), "float32"),
        ((ids, -1), "-1 segments"),
    ):
        with pytest.raises(DataError, match=named):
            segment_counts(*arguments)
