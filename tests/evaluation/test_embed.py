import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from sensorfusion.errors import ConfigError, DataError, NonFiniteError, UnitError
from sensorfusion.evaluation.embed import embed, embed_copies
from sensorfusion.sample import Features

from .synthetic import BatchNormEncoder, Windows


def encoders():
    return {"imu": BatchNormEncoder(), "skeleton": BatchNormEncoder(8)}


def test_vectors_masks_labels_and_keys():
    data = Windows(missing=[("imu", 0), ("imu", 5)])
    found = embed(encoders(), data, batch_size=7)
    assert found.features["imu"].shape == (32, 16)
    assert found.features["skeleton"].shape == (32, 8)
    assert (~found.present["imu"]).nonzero()[:, 0].tolist() == [0, 5]
    assert not found.features["imu"][[0, 5]].any()
    assert bool(found.present["skeleton"].all())
    assert found.label("action").tolist() == [row[1] for row in data.rows]
    assert found.key("subject").tolist() == [row[0] for row in data.rows]
    assert found.ids[3] == data[3].id


def test_encoder_is_frozen_batch_norm_included():
    modules = encoders()
    modules["imu"].train()
    modules["skeleton"].net[1].eval()
    before = {n: {k: v.clone() for k, v in m.state_dict().items()} for n, m in modules.items()}
    first = embed(modules, Windows(), batch_size=32)
    for name, module in modules.items():
        for key, value in module.state_dict().items():
            assert torch.equal(value, before[name][key]), key
    # Modes come back as they were, submodule by submodule.
    assert modules["imu"].training
    assert modules["imu"].net[1].training
    assert not modules["skeleton"].net[1].training
    assert modules["skeleton"].net[0].training
    # Neither batch statistics nor dropout: a clip's vector does not depend on its neighbours.
    again = embed(modules, Windows(), batch_size=1)
    for name in first.sensors:
        torch.testing.assert_close(first.features[name], again.features[name])


class TracksAnyway(BatchNormEncoder):
    def forward(self, batch):
        self.net[1].running_mean += 1
        return super().forward(batch)


class StaysInTraining(BatchNormEncoder):
    def train(self, mode=True):
        return super().train(True)


def test_an_encoder_that_is_not_frozen_is_refused():
    with pytest.raises(ConfigError, match="running_mean changed"):
        embed({"imu": TracksAnyway()}, Windows())
    with pytest.raises(ConfigError, match="statistics of the evaluated batch"):
        embed({"imu": StaysInTraining()}, Windows())
    without = BatchNormEncoder()
    without.net[1] = nn.BatchNorm1d(16, track_running_stats=False)
    with pytest.raises(ConfigError, match="statistics of the evaluated batch"):
        embed({"imu": without}, Windows())


class TwoTokens(BatchNormEncoder):
    """Two tokens a reading, of which only the first is valid; another for odd readings."""

    def forward(self, batch):
        one = super().forward(batch)
        tokens = torch.cat([one.tokens, one.tokens + 100])
        valid = torch.cat([one.valid, one.item % 2 == 1])
        return Features(
            tokens, torch.cat([one.item] * 2), torch.cat([one.frame] * 2), one.size, valid
        )


def test_vector_is_the_mean_of_valid_tokens():
    torch.manual_seed(3)
    plain = BatchNormEncoder()
    double = TwoTokens()
    double.load_state_dict(plain.state_dict())
    one = embed({"imu": plain}, Windows(), batch_size=4).features["imu"]
    two = embed({"imu": double}, Windows(), batch_size=4).features["imu"]
    shift = (two - one).mean(dim=1)
    torch.testing.assert_close(shift[0::2], torch.zeros(16), atol=1e-4, rtol=0)
    torch.testing.assert_close(shift[1::2], torch.full((16,), 50.0), atol=1e-4, rtol=0)


def jitter(sample, generator):
    def change(name, reading):
        noise = generator.normal(size=reading.values.shape).astype(np.float32)
        return reading.replace(values=reading.values + noise)

    return sample.map_readings(change)


def test_augmented_copies_depend_on_seed_repetition_and_index_only():
    modules = encoders()
    plain, first, second = embed_copies(modules, Windows(), jitter, 2, seed=4)
    assert torch.equal(plain.features["imu"], embed(modules, Windows()).features["imu"])
    again = embed_copies(modules, Windows(), jitter, 2, seed=4, batch_size=5)
    other = embed_copies(modules, Windows(), jitter, 1, seed=5)
    torch.testing.assert_close(first.features["imu"], again[1].features["imu"])
    torch.testing.assert_close(second.features["imu"], again[2].features["imu"])
    for different in (plain, second, other[1]):
        assert not torch.allclose(first.features["imu"], different.features["imu"])


def test_heads_are_applied_and_frozen():
    head = nn.Sequential(nn.Linear(16, 3), nn.BatchNorm1d(3))
    found = embed({"imu": BatchNormEncoder()}, Windows(), heads={"imu": head})
    assert found.features["imu"].shape == (32, 3)
    assert head[1].num_batches_tracked == 0


def test_only_masks_and_keep_drops():
    found = embed(encoders(), Windows())
    alone = found.only("imu")
    assert alone.sensors == ("imu", "skeleton")
    assert not alone.present["skeleton"].any()
    assert not alone.features["skeleton"].any()
    assert found.keep("skeleton").sensors == ("skeleton",)
    with pytest.raises(ConfigError, match="radar"):
        found.only("radar")
    assert len(found.where("subject", [3])) == 8
    with pytest.raises(DataError, match="site"):
        found.where("site", [3])


def test_bad_input():
    with pytest.raises(DataError, match="split is empty"):
        embed(encoders(), Windows(subjects=()))
    with pytest.raises(DataError, match="no sample has") as caught:
        embed({"radar": BatchNormEncoder()}, Windows())
    assert "radar" in str(caught.value)
    with pytest.raises(UnitError, match="'g'") as caught:
        embed(encoders(), Windows(unit="g"))
    assert "imu" in str(caught.value)
    broken = BatchNormEncoder()
    with torch.no_grad():
        broken.net[0].weight[0, 0] = torch.nan
    with pytest.raises(NonFiniteError, match="a0_s1_t0"):
        embed({"imu": broken}, Windows())


def test_frames_of_a_sample_are_averaged():
    data = Windows(noise=1.0)

    class TwoFrames(Windows):
        def __getitem__(self, index):
            first, second = data[index], data[(index + 1) % len(data)]
            return dataclasses.replace(first, frames=first.frames + second.frames)

    module = BatchNormEncoder()
    one = embed({"imu": module}, data).features["imu"]
    two = embed({"imu": module}, TwoFrames(noise=1.0)).features["imu"]
    torch.testing.assert_close(two, (one + one.roll(-1, 0)) / 2)
