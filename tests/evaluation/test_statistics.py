import numpy as np
import pytest

from sensorfusion.errors import DataError
from sensorfusion.evaluation.statistics import (
    clustered_bootstrap,
    paired_difference,
    summarise,
)


def accuracies(rng, subjects, deviation, clips=30):
    chance = 1 / (1 + np.exp(-(1.5 + deviation * rng.normal(size=subjects))))
    of = np.repeat(np.arange(subjects), clips)
    return (rng.random(len(of)) < chance[of]).astype(float), of


def test_summary():
    found = summarise([1.0, 2.0, 4.0])
    assert (found.mean, found.deviation) == (pytest.approx(7 / 3), pytest.approx(1.527525))
    assert summarise([3.0]).deviation is None
    with pytest.raises(DataError):
        summarise([])


def test_coverage_on_simulated_subjects():
    rng = np.random.default_rng(0)
    truth = (1 / (1 + np.exp(-(1.5 + 0.5 * rng.normal(size=10**6))))).mean()
    hits = 0
    for trial in range(150):
        found = clustered_bootstrap(*accuracies(rng, 20, 0.5), draws=300, seed=trial)
        hits += found.low <= truth <= found.high
    assert 0.88 <= hits / 150 <= 1.0


def test_subjects_that_differ_widen_the_interval():
    rng = np.random.default_rng(0)
    values, subjects = accuracies(rng, 8, 2.5)
    clustered = clustered_bootstrap(values, subjects)
    independent = clustered_bootstrap(values, np.arange(len(values)))
    assert clustered.high - clustered.low > 1.8 * (independent.high - independent.low)
    assert (clustered.clusters, clustered.clips) == (8, 240)


def test_one_clip_per_subject_is_the_ordinary_bootstrap():
    values = np.random.default_rng(0).normal(size=100)
    found = clustered_bootstrap(values, np.arange(100), draws=8000)
    # The variance of a bootstrap mean is the population variance / n, exactly.
    half = 1.96 * values.std() / 10
    assert found.estimate == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.05 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.05 * half)


def test_one_subject_resamples_its_clips():
    values = np.random.default_rng(1).normal(size=400)
    found = clustered_bootstrap(values, np.zeros(400), draws=8000)
    half = 1.96 * values.std() / 20
    assert found.high - found.low == pytest.approx(2 * half, rel=0.05)


def test_constant_within_subjects_leaves_only_the_draw_of_subjects():
    values, subjects = np.repeat([0.0, 1.0], 50), np.repeat([3, 9], 50)
    # Draws give 0 with 1/4, 1/2 with 1/2, 1 with 1/4.
    found = clustered_bootstrap(values, subjects, level=0.4)
    assert (found.low, found.high) == (0.5, 0.5)
    found = clustered_bootstrap(values, subjects, level=0.95)
    assert (found.estimate, found.low, found.high) == (0.5, 0.0, 1.0)


def test_subjects_of_different_sizes_weigh_by_their_clips():
    values, subjects = np.array([1.0] * 90 + [0.0] * 10), np.array([1] * 90 + [2] * 10)
    assert clustered_bootstrap(values, subjects).estimate == pytest.approx(0.9)


def test_all_right_has_no_width():
    found = clustered_bootstrap(np.ones(40), np.arange(40) % 4)
    assert (found.low, found.high) == (1.0, 1.0)


def test_seeds_are_averaged_per_clip():
    values = np.random.default_rng(0).random((5, 40))
    subjects = np.arange(40) % 4
    assert clustered_bootstrap(values, subjects) == clustered_bootstrap(values.mean(0), subjects)


def test_paired_difference_is_narrower_than_unpaired():
    rng = np.random.default_rng(0)
    first, subjects = accuracies(rng, 6, 1.0)
    second = first.copy()
    second[rng.choice(len(second), 6, replace=False)] = 0.0
    found = paired_difference(first, second, subjects)
    assert found.estimate == pytest.approx(first.mean() - second.mean())
    alone = clustered_bootstrap(first, subjects)
    assert found.high - found.low < 0.4 * (alone.high - alone.low)
    same = paired_difference(first, first, subjects)
    assert (same.low, same.estimate, same.high) == (0, 0, 0)
    back = paired_difference(second, first, subjects)
    assert back.low == pytest.approx(-found.high, abs=0.01)


def test_bad_input():
    with pytest.raises(DataError, match="shape"):
        clustered_bootstrap(np.ones(3), np.ones(4))
    with pytest.raises(DataError, match="shape"):
        clustered_bootstrap([], [])
    with pytest.raises(DataError, match="non-finite"):
        clustered_bootstrap([1.0, np.nan], [1, 2])
