import itertools

import pytest
import torch

from sensorfusion.errors import ConfigError, DataError
from sensorfusion.evaluation.label_fractions import FRACTIONS, nested_subsets

LABELS = torch.tensor([0] * 12 + [4] * 100 + [2] * 1)[torch.randperm(113)]


def test_counts_per_class():
    subsets = nested_subsets(LABELS)
    counts = {f: torch.bincount(LABELS[rows], minlength=5).tolist() for f, rows in subsets.items()}
    assert counts == {
        0.01: [1, 0, 1, 0, 1],
        0.02: [1, 0, 1, 0, 2],
        0.05: [1, 0, 1, 0, 5],
        0.10: [1, 0, 1, 0, 10],
        0.25: [3, 0, 1, 0, 25],
        0.50: [6, 0, 1, 0, 50],
    }


def test_nested_unique_and_ascending():
    for seed in range(5):
        subsets = nested_subsets(LABELS, seed=seed)
        for small, large in itertools.pairwise(FRACTIONS):
            assert set(subsets[small].tolist()) <= set(subsets[large].tolist())
        for rows in subsets.values():
            assert rows.tolist() == sorted(set(rows.tolist()))


def test_seed_decides_and_other_classes_or_fractions_do_not():
    first = nested_subsets(LABELS, seed=1)
    assert all(torch.equal(first[f], rows) for f, rows in nested_subsets(LABELS, seed=1).items())
    assert not torch.equal(first[0.5], nested_subsets(LABELS, seed=2)[0.5])
    assert torch.equal(nested_subsets(LABELS, [0.25], seed=1)[0.25], first[0.25])
    assert nested_subsets(LABELS, [1.0])[1.0].tolist() == list(range(113))


def test_bad_input():
    with pytest.raises(ConfigError, match=r"\[10\]"):
        nested_subsets(LABELS, [10])
    with pytest.raises(DataError):
        nested_subsets(LABELS[:0])
