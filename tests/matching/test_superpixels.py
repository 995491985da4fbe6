"""Points and pixels of one segment: against a plain reading of the definition, and the truth."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from sensorfusion.collate import collate
from sensorfusion.datasets.simulated import SimulatedWorld
from sensorfusion.errors import ConfigError, DataError
from sensorfusion.geometry.occlusion import DepthBuffer
from sensorfusion.matching.superpixels import Superpixels
from sensorfusion.sample import Features
from sensorfusion.sensors.camera_augment import CropImage, FlipImage
from sensorfusion.sensors.lidar_augment import DropPoints, FlipXY, RotateZ, ScalePoints
from sensorfusion.sensors.transform import apply_all

CAMERAS = ("camera.front", "camera.back_left")
SIZE, PATCH = (56, 104), 4
MATCH = Superpixels(CAMERAS)


@pytest.fixture(scope="module")
def samples():
    """Two moments; segments are objects, so that points and pixels can be compared by truth."""
    world = SimulatedWorld(
        (0,), every=9.0, image_size=SIZE, sensors=("lidar", *CAMERAS), labels=True, shadows=False
    )

    def with_segments(name, reading):
        if name == "lidar":
            return reading
        classes = reading.label.astype(np.int32)
        return reading.replace(segments=np.where(classes == 255, -1, classes))

    return [world[i].map_readings(with_segments) for i in range(2)]


def features_of(batch):
    """Tokens of points, and of patches of pixels."""
    found = {}
    cloud = batch["lidar"]
    if len(cloud):
        found["lidar"] = _features(cloud, cloud.row_reading, cloud.values["points"])
    else:
        found["lidar"] = Features.empty(len(batch), 3, like=torch.zeros(1))
    height, width = SIZE[0] // PATCH, SIZE[1] // PATCH
    v, u = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    centres = torch.from_numpy(np.stack([u, v], axis=2).reshape(-1, 2) * PATCH + 1.5)
    for camera in CAMERAS:
        images = batch[camera]
        reading = torch.arange(len(images)).repeat_interleave(height * width)
        found[camera] = _features(images, reading, centres.repeat(len(images), 1))
    return found


def _features(readings, reading_N, positions):
    count = len(reading_N)
    return Features(
        torch.zeros(count, 3),
        readings.item[reading_N],
        readings.frame[reading_N],
        len(readings.present),
        torch.ones(count, dtype=torch.bool),
        positions=positions,
    )


def expected(batch, features):
    """Per (sample, camera, segment): its points and patches, point by point."""
    found = {}
    cloud = batch["lidar"]
    for c, camera in enumerate(CAMERAS):
        images = batch[camera]
        for image in range(len(images)):
            item = int(images.item[image])
            if item not in cloud.item:
                continue
            row = cloud.item.tolist().index(item)
            T = np.linalg.inv(images.poses[image].numpy()) @ cloud.poses[row].numpy()
            tokens = (features["lidar"].item == item).nonzero()[:, 0].tolist()
            points, patches = {}, {}
            segments = images.values["segments"][image, 0].numpy()
            for token in tokens:
                x, y, z = T[:3, :3] @ cloud.values["points"][token].double().numpy() + T[:3, 3]
                if z <= 1:
                    continue
                u, v, _ = images.calibration["intrinsics"][image].numpy() @ [x / z, y / z, 1]
                u, v = round(u), round(v)
                if 0 <= u < SIZE[1] and 0 <= v < SIZE[0] and segments[v, u] >= 0:
                    points.setdefault(segments[v, u], set()).add(token)
            of_image = (features[camera].item == item).nonzero()[:, 0].tolist()
            for token in of_image:
                u, v = features[camera].positions[token].round().int().tolist()
                if segments[v, u] >= 0:
                    patches.setdefault(segments[v, u], set()).add(token)
            for segment in points.keys() & patches.keys():
                found[item, c, segment] = (points[segment], patches[segment])
    return found


def found_in(correspondence):
    """The same of a correspondence: (sample, camera, ...) -> tokens; ids have no order."""
    groups = []
    for number in range(correspondence.size):
        tokens = [
            set(tokens[ids == number].tolist())
            for ids, tokens in zip(correspondence.ids, correspondence.tokens, strict=True)
        ]
        (camera,) = (c for c, each in enumerate(tokens[1:]) if each)
        groups.append((int(correspondence.item[number]), camera, tokens[0], tokens[1 + camera]))
    return sorted(groups, key=str)


def same(correspondence, wanted):
    listed = [(item, c, *tokens) for (item, c, _), tokens in wanted.items()]
    return found_in(correspondence) == sorted(listed, key=str)


def test_ids_are_the_segments_with_points(samples):
    batch = collate(samples)
    features = features_of(batch)
    correspondence = MATCH(features, batch)
    wanted = expected(batch, features)
    assert len(wanted) > 20
    assert same(correspondence, wanted)
    assert correspondence.columns == ("lidar", *CAMERAS)


@pytest.mark.parametrize("seed", [0, 1])
def test_augmented_points_and_images_keep_their_partners(samples, seed):
    """Turned, mirrored, stretched clouds and mirrored, cropped images match as their truth does."""
    steps = [
        RotateZ(),
        FlipXY(),
        ScalePoints(),
        DropPoints(),
        FlipImage(sensors=CAMERAS, p=0.5),
        CropImage(sensors=CAMERAS, smallest=0.5),
    ]
    generator = np.random.default_rng(seed)
    batch = collate([apply_all(steps, sample, generator) for sample in samples])
    features = features_of(batch)
    correspondence = MATCH(features, batch)
    assert same(correspondence, expected(batch, features))
    label = batch["lidar"].values["label"]
    for k, camera in enumerate(CAMERAS, start=1):
        ids, tokens = correspondence.ids[k], correspondence.tokens[k]
        segment = torch.full((correspondence.size,), -1)
        u, v = features[camera].positions[tokens].round().long().unbind(1)
        image = features[camera].item[tokens]
        segment[ids] = batch[camera].values["segments"][image, 0, v, u].long()
        mine = segment[correspondence.ids[0]] >= 0
        agree = label[correspondence.tokens[0][mine]] == segment[correspondence.ids[0][mine]]
        assert agree.float().mean() > 0.8  # the rest is hidden from the camera, or on an edge


def test_hidden_points_are_left_out(samples):
    batch = collate(samples)
    features = features_of(batch)
    every = MATCH(features, batch)
    fewer = dataclasses.replace(MATCH, occlusion=DepthBuffer())(features, batch)
    assert 0 < len(fewer.ids[0]) < len(every.ids[0])


def without(sample, *sensors):
    return sample.map_readings(lambda name, reading: None if name in sensors else reading)


@pytest.mark.parametrize("missing", [("lidar",), CAMERAS[:1], CAMERAS, ("lidar", CAMERAS[1])])
def test_missing_sensors_are_absent(samples, missing):
    batch = collate([samples[0], without(samples[1], *missing)])
    features = features_of(batch)
    correspondence = MATCH(features, batch)
    assert same(correspondence, expected(batch, features))
    assert (1 in correspondence.item) == (missing == CAMERAS[:1])
    alone = collate([without(samples[1], *missing)])
    assert (MATCH(features_of(alone), alone).size > 0) == (missing == CAMERAS[:1])


def test_samples_do_not_share_ids_and_their_order_does_not_matter(samples):
    def sizes(order):
        batch = collate([samples[i] for i in order])
        correspondence = MATCH(features_of(batch), batch)
        counts = torch.bincount(correspondence.ids[0], minlength=correspondence.size)
        return sorted(
            (order[item], count)
            for item, count in zip(correspondence.item.tolist(), counts.tolist(), strict=True)
        )

    assert sizes([0, 1]) == sizes([1, 0]) == sorted([*sizes([0]), *sizes([1])])


def test_what_is_missing_is_named(samples):
    batch = collate(samples)
    features = features_of(batch)
    with pytest.raises(ConfigError, match="radar"):
        Superpixels(("radar",))(features, batch)
    for change, message in (
        ({"poses": None}, "poses"),
        ({"calibration": {}}, "intrinsics"),
        ({"values": {"pixels": batch[CAMERAS[0]].values["pixels"]}}, "segments"),
    ):
        images = dataclasses.replace(batch[CAMERAS[0]], **change)
        wrong = dataclasses.replace(batch, sensors={**batch.sensors, CAMERAS[0]: images})
        with pytest.raises(DataError, match=message):
            MATCH(features, wrong)
