"""Measures of segments, by hand."""

import numpy as np
import pytest

from sensorfusion.superpixels import quality

TRUTH = np.repeat([[0, 0, 0, 1, 1, 1]], 4, axis=0)
SHIFTED = np.repeat([[0, 0, 1, 1, 1, 1]], 4, axis=0)  # of its 4 columns in segment 1, one is wrong


def test_against_segments():
    assert quality.achievable_accuracy(TRUTH, TRUTH) == 1
    assert quality.undersegmentation(TRUTH, TRUTH) == 0
    assert quality.achievable_accuracy(SHIFTED, TRUTH) == pytest.approx(5 / 6)
    # Segment 1 meets both truths, and leaks one column out of either: min(1, 3) + min(3, 1).
    assert quality.undersegmentation(SHIFTED, TRUTH) == pytest.approx(2 / 6)
    single = np.zeros_like(TRUTH)
    assert quality.achievable_accuracy(single, TRUTH) == 0.5
    assert quality.undersegmentation(single, TRUTH) == 1
    finer = np.arange(24).reshape(4, 6)
    assert quality.achievable_accuracy(finer, TRUTH) == 1
    assert quality.undersegmentation(finer, TRUTH) == 0


def test_against_edges():
    edges = quality.borders(TRUTH)
    assert edges.sum() == 4
    assert quality.boundary_recall(SHIFTED, edges, 0.5) == 0
    assert quality.boundary_recall(SHIFTED, edges, 1) == 1
    assert quality.boundary_recall(np.zeros_like(TRUTH), edges, 9) == 0
    assert quality.boundary_recall(TRUTH, np.zeros_like(edges), 1) == 1


def test_against_values():
    values = TRUTH[..., None] * np.array([1.0, 5.0])
    assert quality.explained_variation(TRUTH, values) == pytest.approx(1)
    assert quality.explained_variation(np.zeros_like(TRUTH), values) == pytest.approx(0)
    # Means 0 and 3/4 around 1/2: (2 x 1/4 + 4 x 1/16) / (6 x 1/4).
    assert quality.explained_variation(SHIFTED, values) == pytest.approx(0.5)
    assert quality.explained_variation(TRUTH, np.ones((4, 6, 3))) == 1
