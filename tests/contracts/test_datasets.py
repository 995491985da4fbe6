"""What every data set promises, checked for all that the folder of data sets holds."""

from __future__ import annotations

import importlib
import inspect
import pickle
import pkgutil

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import sensorfusion.datasets
from sensorfusion.collate import collate
from sensorfusion.datasets.dataset import Cached, Uncached
from sensorfusion.datasets.simulated import SimulatedWorld
from sensorfusion.datasets.simulated_people import SimulatedPeople
from sensorfusion.datasets.simulated_region import SimulatedRegion
from sensorfusion.datasets.utd_mhad import UtdMhad
from sensorfusion.sample import Sample
from sensorfusion.sensors.camera import CropPerson
from sensorfusion.sensors.drawing import draw_sample
from sensorfusion.sensors.resampling import Resample
from sensorfusion.sensors.transform import apply_all
from sensorfusion.sensors.views import DropSensors
from tests.datasets.recordings import write_set

KNOWN_DATASETS = 6
ONE_SIZE = (
    Resample(sensors=("imu", "skeleton"), steps=10),
    Resample(sensors=("camera",), steps=3, method="nearest"),
    CropPerson(size=(16, 12)),
)

# How a small one is made; `root` is a folder of generated files. A new data set adds an entry.
MAKE = {
    UtdMhad: lambda root: UtdMhad(root, subjects=(1, 2)),
    SimulatedWorld: lambda root: SimulatedWorld(
        (0,), every=9.0, image_size=(24, 40), sensors=("lidar", "camera.front", "imu", "gnss")
    ),
    SimulatedPeople: lambda root: SimulatedPeople(
        4, sensors=("imu", "skeleton", "camera", "colour"), image_size=(24, 32), frames=4
    ),
    SimulatedRegion: lambda root: SimulatedRegion((0, 1), size=16, chip=8, labels=True),
    Cached: lambda root: Cached(UtdMhad(root, subjects=(1, 2)), ONE_SIZE),
    Uncached: lambda root: Uncached(UtdMhad(root, subjects=(1, 2)), ONE_SIZE),
}


def discovered() -> list[type]:
    """Every class in the folder with a length, samples by index, and a table of sensors."""
    found = []
    for module in pkgutil.iter_modules(sensorfusion.datasets.__path__):
        loaded = importlib.import_module(f"sensorfusion.datasets.{module.name}")
        for _, kind in inspect.getmembers(loaded, inspect.isclass):
            own = kind.__module__ == loaded.__name__ and not getattr(kind, "_is_protocol", False)
            if own and all(hasattr(kind, n) for n in ("__len__", "__getitem__", "sensors")):
                found.append(kind)
    return found


def test_all_data_sets_are_found():
    assert len(discovered()) >= KNOWN_DATASETS
    assert set(discovered()) == set(MAKE), "add how a small one of the new data set is made"


@pytest.fixture(params=discovered(), ids=lambda kind: kind.__name__)
def dataset(request, tmp_path):
    return MAKE[request.param](write_set(tmp_path))


def equal(first: Sample, second: Sample) -> bool:
    if (first.id, first.labels, first.keys) != (second.id, second.labels, second.keys):
        return False
    pairs = zip(first.frames, second.frames, strict=True)
    return all(
        a.readings.keys() == b.readings.keys()
        and all(
            np.array_equal(getattr(a.readings[sensor], name), getattr(b.readings[sensor], name))
            for sensor in a.readings
            for name in a.readings[sensor].ARRAYS
        )
        for a, b in pairs
    )


def test_samples_have_the_named_sensors_labels_and_unique_ids(dataset):
    samples = [dataset[index] for index in range(len(dataset))]
    assert len({sample.id for sample in samples}) == len(samples) > 0
    for sample in samples:
        for frame in sample.frames:
            assert frame.readings
            for name, reading in frame.readings.items():
                assert isinstance(reading, dataset.sensors[name])
                assert reading.source
                assert reading.unit
        assert all(
            isinstance(value, int) for value in (*sample.labels.values(), *sample.keys.values())
        )


def test_the_same_index_is_the_same_sample(dataset):
    for index in (0, len(dataset) - 1):
        assert equal(dataset[index], dataset[index])
        assert equal(dataset[index], pickle.loads(pickle.dumps(dataset))[index])
    assert not equal(dataset[0], dataset[1])


def test_an_index_beyond_the_end_is_refused(dataset):
    with pytest.raises(IndexError):
        dataset[len(dataset)]


class InOneSize:
    """A data set at one size, with sensors missing by the index alone."""

    def __init__(self, dataset):
        self.dataset = dataset
        sensors = dataset.sensors
        ready = isinstance(dataset, Cached)
        self.transforms = (
            () if ready else tuple(t for t in ONE_SIZE if set(t.sensors) <= set(sensors))
        )

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        generator = np.random.default_rng([7, index])
        drop = DropSensors(p=dict.fromkeys(self.dataset.sensors, 0.5))
        return apply_all((*self.transforms, drop), self.dataset[index], generator)


def test_two_loader_workers_give_the_batches_of_none(dataset):
    batches = [
        list(DataLoader(InOneSize(dataset), batch_size=2, collate_fn=collate, num_workers=n))
        for n in (0, 2)
    ]
    missing = 0
    for here, there in zip(*batches, strict=True):
        assert here.ids == there.ids
        for sensor in dataset.sensors:
            one, two = here[sensor], there[sensor]
            missing += int((~one.present).sum())
            assert torch.equal(one.present, two.present)
            assert all(torch.equal(value, two.values[name]) for name, value in one.values.items())
    assert missing > 0


def test_samples_can_be_drawn(dataset):
    figure = draw_sample(dataset[0])
    figure.canvas.draw()
    assert len(figure.axes) >= len(dataset[0].frames[0].readings)
