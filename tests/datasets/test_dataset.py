from __future__ import annotations

import numpy as np
import pytest

from sensorfusion.datasets.dataset import Cached
from sensorfusion.datasets.utd_mhad import UtdMhad
from sensorfusion.errors import ConfigError, DataError
from sensorfusion.sensors.camera import Resize
from sensorfusion.sensors.imu_augment import (
    JitterImu,
)
from sensorfusion.sensors.resampling import Resample
from sensorfusion.sensors.transform import apply_all
from tests.datasets.recordings import inertial, write_set

PREPARE = (
    Resample(sensors=("imu", "skeleton"), steps=8),
    Resample(sensors=("camera",), steps=2, method="nearest"),
    Resize(size=(6, 8)),
)


@pytest.fixture
def root(tmp_path):
    return write_set(tmp_path)


@pytest.mark.parametrize("workers", [1, 3])
def test_the_cache_holds_what_the_transforms_give(root, workers):
    dataset = UtdMhad(root, subjects=(1, 2))
    cached = Cached(dataset, PREPARE, workers=workers)
    assert len(cached) == len(dataset) == 4
    assert cached.sensors == dataset.sensors
    for index in range(4):
        expected = apply_all(PREPARE, dataset[index], np.random.default_rng(9))
        assert cached[index].id == expected.id
        for name, reading in expected.frames[0].readings.items():
            kept = cached[index].frames[0].readings[name]
            for array in reading.ARRAYS:
                np.testing.assert_array_equal(getattr(kept, array), getattr(reading, array))
    assert cached.nbytes == 4 * (8 * 6 * 4 + 8 * 60 * 4 + 2 * 6 * 8 * 2)


def test_the_cache_does_not_read_again_nor_keep_what_was_cut_away(root):
    cached = Cached(UtdMhad(root, subjects=(1,)), PREPARE)
    for path in root.rglob("*.*"):
        path.unlink()
    readings = cached[0].frames[0].readings
    for reading in readings.values():
        for name in reading.ARRAYS:
            assert getattr(reading, name).base is None


def test_random_transforms_are_refused(root):
    with pytest.raises(ConfigError, match="JitterImu"):
        Cached(UtdMhad(root), [JitterImu(sigma=(1.0, 1.0))])


@pytest.mark.parametrize("workers", [1, 2])
def test_a_corrupt_sample_fails_when_it_is_asked_for(root, workers):
    inertial(root, "a1_s1_t1").write_bytes(b"")
    cached = Cached(UtdMhad(root, subjects=(1, 2)), PREPARE, workers=workers)
    for _ in range(2):
        with pytest.raises(DataError, match="a1_s1_t1") as caught:
            cached[0]
        assert caught.value.remedy
    assert cached[1].id == "a1_s2_t1"


def test_a_cache_needs_a_worker(root):
    with pytest.raises(ConfigError, match="workers = 0"):
        Cached(UtdMhad(root), PREPARE, workers=0)
