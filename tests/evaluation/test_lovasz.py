"""Lovász-softmax against the intersection over union."""

from __future__ import annotations

import itertools

import pytest
import torch

from sensorfusion.evaluation.lovasz import lovasz_softmax
from sensorfusion.evaluation.segmentation import Segmented


def test_lovasz_is_the_loss_of_intersection_over_union_at_every_corner() -> None:
    """On one-hot predictions, the vertices of the cube, the extension equals 1 - IoU."""
    label_N = torch.tensor([0, 1, 0, 1])
    for predicted in itertools.product((0, 1), repeat=4):
        predicted_N = torch.tensor(predicted)
        counts = torch.bincount(label_N * 2 + predicted_N, minlength=4).view(2, 2)
        chance_NC = torch.nn.functional.one_hot(predicted_N, 2).float()
        found = lovasz_softmax(chance_NC, label_N)
        miou = Segmented(counts, ("a", "b")).miou
        assert float(found) == pytest.approx(1 - miou / 100, abs=1e-6)
