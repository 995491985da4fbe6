"""Linear heads, fine-tuning and counts on scans whose classes are known functions of the points."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from sensorfusion.errors import ConfigError, DataError
from sensorfusion.evaluation.finetune import FinetuneSettings, finetune, subset
from sensorfusion.evaluation.segmentation import (
    LinearSettings,
    Segmented,
    class_weights,
    segment,
    train_linear,
)
from sensorfusion.sample import Features, Frame, Sample
from sensorfusion.sensors.lidar import PointCloud
from sensorfusion.sensors.lidar_augment import RotateZ
from tests.sensors.windows import cloud

NAMES = ("left", "right", "above")


class Columns(nn.Module):
    """An "encoder" whose tokens are scaled coordinates, through a layer that can be trained."""

    reading = PointCloud
    width = 3

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.norm = nn.BatchNorm1d(3)

    def forward(self, batch):
        tokens = self.norm(self.layer(batch.values["points"]))
        item = batch.item[batch.row_reading]
        return Features(tokens, item, 0 * item, len(batch.present), item >= 0)


def scans(count: int = 4, labelled: bool = True) -> list[Sample]:
    made = []
    for seed in range(count):
        reading = cloud(300, seed)
        x, _, z = reading.points.T
        sides = (x > np.median(x)).astype(np.uint8)
        label = np.where(z > np.quantile(z, 0.75), np.uint8(2), sides)
        label[:5] = 255
        if labelled:
            reading = reading.replace(label=label)
        made.append(Sample(id=str(seed), frames=(Frame({"lidar": reading}),)))
    return made


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    made = Columns()
    made.norm.running_mean.fill_(3.0)
    made.norm.running_var.fill_(0.01)
    return made.requires_grad_(False)


def test_iou_of_known_counts():
    counts = torch.tensor([[6, 2, 0], [1, 3, 0], [0, 0, 0]])
    found = Segmented(counts, NAMES)
    np.testing.assert_allclose(found.iou.numpy(), [100 * 6 / 9, 100 * 3 / 6, np.nan])
    assert found.miou == pytest.approx((100 * 6 / 9 + 50) / 2)
    # A class without points does not count, though others are taken for it.
    mistaken = Segmented(torch.tensor([[6, 0, 2], [0, 4, 0], [0, 0, 0]]), NAMES)
    assert mistaken.miou == pytest.approx((75 + 100) / 2)


def test_a_linear_head_finds_linear_classes_whatever_the_scale(encoder):
    head = train_linear(encoder, scans(), "lidar", 3)
    found = segment(encoder, head, scans(6)[4:], "lidar", NAMES)
    assert found.miou > 85
    assert int(found.counts.sum()) == 2 * 295  # points without a class do not count
    scaled = copy.deepcopy(encoder)
    scaled.norm.weight.mul_(1000.0)
    scaled.norm.bias.add_(-50.0)
    again = segment(scaled, train_linear(scaled, scans(), "lidar", 3), scans(6)[4:], "lidar", NAMES)
    assert again.miou == pytest.approx(found.miou, abs=1.0)


def test_the_probe_leaves_the_encoder_as_it_is(encoder):
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    encoder.train()
    train_linear(encoder, scans(), "lidar", 3)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())


def test_drawn_points_follow_the_seed(encoder):
    few = LinearSettings(points=40)
    heads = [train_linear(encoder, scans(), "lidar", 3, settings=few, seed=s) for s in (1, 1, 2)]
    assert torch.equal(heads[0].weight, heads[1].weight)
    assert not torch.equal(heads[0].weight, heads[2].weight)


def test_rare_classes_weigh_more():
    label = torch.tensor([0] * 90 + [2] * 10)
    weight = class_weights(label, 3, "root")
    assert weight[2] / weight[0] == pytest.approx(3.0)
    assert weight[1] == 0.0
    assert float(weight[label].mean()) == pytest.approx(1.0)
    assert torch.equal(class_weights(label, 3, "none"), torch.ones(3))


def test_fine_tuning_trains_a_copy_and_repeats_itself(encoder):
    settings = FinetuneSettings(steps=200, learning_rate=1e-2, head_rate=3e-2)
    before = copy.deepcopy(encoder.state_dict())
    runs = [
        finetune(encoder, scans(), [0, 2], "lidar", 3, settings=settings, seed=seed)
        for seed in (0, 0, 1)
    ]
    assert all(torch.equal(v, before[k]) for k, v in encoder.state_dict().items())
    assert runs[0].losses == runs[1].losses != runs[2].losses
    assert torch.equal(runs[0].encoder.layer.weight, runs[1].encoder.layer.weight)
    assert not torch.equal(runs[0].encoder.layer.weight, encoder.layer.weight)
    assert runs[0].losses[-1] < 0.7 * runs[0].losses[0]
    found = segment(runs[0].encoder, runs[0].head, scans(6)[4:], "lidar", NAMES)
    assert found.miou > 80


def test_a_head_may_start_as_a_probe(encoder):
    miou = {}
    for first in (True, False):  # at a rate of 0 the head stays what it starts as
        settings = FinetuneSettings(steps=1, learning_rate=0.0, head_rate=0.0, linear_first=first)
        done = finetune(encoder, scans(), [0, 2], "lidar", 3, settings=settings)
        miou[first] = segment(encoder, done.head, scans(6)[4:], "lidar", NAMES).miou
    assert miou[True] > max(60, miou[False] + 20)


def test_augmented_scans_are_drawn_anew(encoder):
    seen = []

    def augment(sample, generator):
        turned = RotateZ()(sample, generator)
        seen.append(turned.frames[0].readings["lidar"].points[0].tolist())
        return turned

    settings = FinetuneSettings(steps=3)
    finetune(encoder, scans(), [1], "lidar", 3, settings=settings, augment=augment)
    assert len(seen) == 3
    assert seen[0] != seen[1]


def test_labelled_subsets_are_nested():
    assert subset(200, 0.01, 0) != subset(200, 0.01, 1)
    assert set(subset(200, 0.01, 0)) < set(subset(200, 0.1, 0))
    assert len(subset(200, 0.1, 0)) == 20
    assert len(subset(96, 0.01, 0)) == 1
    with pytest.raises(ConfigError, match=r"1 % of 10 samples(?s:.*)at least 0\.1"):
        subset(10, 0.01, 0)
    assert subset(10, 1.0, 3) == list(range(10))
    with pytest.raises(ConfigError, match=r"0\.01"):
        subset(10, 0.0, 0)


def test_scans_without_labels_are_refused(encoder):
    with pytest.raises(DataError, match="labels"):
        train_linear(encoder, scans(labelled=False), "lidar", 3)
    with pytest.raises(DataError, match="label"):
        finetune(encoder, scans(labelled=False), [0], "lidar", 3)


def test_an_encoder_of_voxels_is_refused(encoder):
    class Voxels(Columns):
        def forward(self, batch):
            features = super().forward(batch)
            return features.replace(tokens=features.tokens[:7])

    with pytest.raises(ConfigError, match="points"):
        train_linear(Voxels(), scans(), "lidar", 3)
