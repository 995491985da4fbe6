import numpy as np
import pytest
import torch

from sensorfusion.collate import collate
from sensorfusion.errors import ConfigError, DataError
from sensorfusion.evaluation.embed import embed
from sensorfusion.evaluation.floors import (
    RawFeatures,
    random_encoders,
    supervised_labels,
    train_supervised,
)
from sensorfusion.evaluation.probe import FUSION, LINEAR, train_probe
from sensorfusion.sample import SensorBatch

from .synthetic import BatchNormEncoder, Window, Windows

SETTINGS = FUSION.replace(epochs=30, hidden=16, learning_rate=1e-2, batch_size=16)


def factory():
    return {"imu": BatchNormEncoder(), "skeleton": BatchNormEncoder(8)}


def test_random_encoders_depend_on_the_seed_only():
    torch.manual_seed(1)
    first = random_encoders(factory, 0)["imu"].net[0].weight
    expected = torch.rand(2)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(2), expected)
    torch.manual_seed(99)
    assert torch.equal(random_encoders(factory, 0)["imu"].net[0].weight, first)
    assert not torch.equal(random_encoders(factory, 1)["imu"].net[0].weight, first)


def test_raw_features_are_the_values():
    data = Windows(missing=[("imu", 1)])
    found = embed({"imu": RawFeatures()}, data)
    assert found.features["imu"].shape == (32, 24)
    np.testing.assert_array_equal(
        found.features["imu"][2], data[2].frames[0].readings["imu"].values.ravel()
    )
    assert train_probe(found, LINEAR.replace(learning_rate=1e-2)).accuracy(found) > 0.9


def test_videos_are_block_means():
    values = torch.arange(2 * 32 * 40 * 24, dtype=torch.float32).reshape(2, 32, 40, 24)
    batch = SensorBatch(torch.ones(2, 1).bool(), {"values": values}, kind=Window)
    tokens = RawFeatures(limit=100)(batch).tokens
    assert tokens.shape == (2, 16 * 16 * 16)
    np.testing.assert_allclose(tokens[1, 0], values[1, :2, :3, :2].mean(), rtol=1e-6)
    with pytest.raises(ConfigError, match="ragged"):
        RawFeatures()(SensorBatch(torch.ones(2, 1).bool(), lengths=torch.ones(2).long()))


def test_supervised_learns_end_to_end_deterministically():
    data = Windows(missing=[("imu", 3), ("skeleton", 9)])
    train = [i for i, row in enumerate(data.rows) if row[0] != 7]
    test = [i for i, row in enumerate(data.rows) if row[0] == 7]
    model = train_supervised(factory, data, SETTINGS, rows=train, seed=3)
    labels = torch.tensor([data.rows[i][1] for i in test])
    predicted = supervised_labels(model, data, test)
    assert (predicted == labels).double().mean() >= 0.9
    again = train_supervised(factory, data, SETTINGS, rows=train, seed=3)
    batch = collate([data[i] for i in test])
    assert torch.equal(model.network(batch), again.network(batch))
    other = train_supervised(factory, data, SETTINGS, rows=train, seed=4)
    assert not torch.equal(model.network(batch), other.network(batch))
    # The encoders were trained, not only the classifier.
    fresh = random_encoders(factory, 3)["imu"].net[0].weight
    assert not torch.allclose(model.network.encoders["encoder0"].net[0].weight, fresh)


def test_supervised_with_augmentation_draws_by_seed_epoch_and_index():
    calls = []

    def transform(sample, generator):
        calls.append((sample.id, float(generator.random())))
        return sample

    data = Windows(subjects=(1,), actions=2)
    settings = SETTINGS.replace(epochs=2)
    train_supervised(factory, data, settings, transform=transform)
    assert len(set(calls)) == len(calls) == 2 * len(data)
    first, calls[:] = sorted(calls), []
    train_supervised(factory, data, settings.replace(batch_size=3), transform=transform)
    assert sorted(calls) == first


def test_bad_input():
    data = Windows()
    with pytest.raises(DataError, match="empty"):
        train_supervised(factory, data, rows=[])
    with pytest.raises(DataError, match="'verb'"):
        train_supervised(factory, data, SETTINGS, label="verb")
    few = [i for i, row in enumerate(data.rows) if row[1] != 2]
    model = train_supervised(factory, data, SETTINGS.replace(epochs=1), rows=few)
    with pytest.raises(DataError, match=r"classes \[2\]"):
        supervised_labels(model, data, range(len(data)))
