"""What every sensor promises, checked for all that the folder of sensors holds."""

from __future__ import annotations

import importlib
import inspect
import pickle
import pkgutil

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import sensorfusion.sensors
from sensorfusion.collate import collate
from sensorfusion.errors import ClockError, DataError, UnitError
from sensorfusion.geometry.clock import Clock
from sensorfusion.sample import Frame, Reading, Sample
from sensorfusion.sensors.drawing import Drawable, draw_sample
from sensorfusion.sensors.optical import SSL4EO_L2A
from sensorfusion.sensors.transform import Augmentation, SensorTransform
from tests.sensors import windows

KNOWN_READINGS = 6
KNOWN_TRANSFORMS = 57


def classes(base: type) -> list[type]:
    """Every concrete subclass of `base` that a module of the folder defines."""
    found = {}
    for module in pkgutil.iter_modules(sensorfusion.sensors.__path__):
        loaded = importlib.import_module(f"sensorfusion.sensors.{module.name}")
        for name, value in inspect.getmembers(loaded, inspect.isclass):
            if issubclass(value, base) and value.__module__ == loaded.__name__:
                found[name] = value
    abstract = {"Preparation"} | {n for n, kind in found.items() if inspect.isabstract(kind)}
    return [kind for name, kind in sorted(found.items()) if name not in abstract]


READINGS = classes(Reading)
TRANSFORMS = classes(SensorTransform)

# What a transform cannot do without, by the name of the argument.
REQUIRED = {
    "sigma": {
        "JitterImu": (1.0, 1.0),
        "JitterSkeleton": 0.1,
        "NoiseImage": 5.0,
        "OffsetImu": (0.1, 1.0),
    },
    "steps": 8,
    "size": (6, 8),
    "mean": (0.0,) * 6,
    "deviation": (1.0,) * 6,
    "near": 1.0,
    "far": 4.0,
    "bands": ("B04", "B03"),
    "statistics": SSL4EO_L2A,
    "scale": 1e-4,
    "offset": -0.1,
}


# Examples for transforms that do not take raw readings.
PREPARED = {
    "MoveSurface": windows.surface,
    "PreparedSuperpixels": windows.colour,
    "Superpixels": windows.colour,
    "ToReflectance": windows.numbers,
    "ToDecibels": windows.backscatter,
    "ToPower": windows.radar,
}


@pytest.fixture(scope="module", autouse=True)
def _prepared(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What transforms look up for their examples."""
    folder = tmp_path_factory.mktemp("superpixels")
    REQUIRED["folder"] = windows.superpixels(folder, windows.colour())


def build(kind: type) -> SensorTransform:
    """A transform that acts always, on the sensor "it"."""
    arguments = {"sensors": ("it",)}
    for name, parameter in inspect.signature(kind).parameters.items():
        if parameter.default is inspect.Parameter.empty and name not in arguments:
            value = REQUIRED[name]
            arguments[name] = value[kind.__name__] if isinstance(value, dict) else value
    if issubclass(kind, Augmentation):
        arguments["p"] = 1.0
    return kind(**arguments)


def example(kind: type, seed: int = 0) -> Reading:
    """A reading by the table of examples; a new sensor adds one there."""
    return windows.EXAMPLES[kind](seed=seed)


def sample_of(reading: Reading | None) -> Sample:
    return Sample(id="x", frames=(Frame({} if reading is None else {"it": reading}),))


def test_all_sensors_are_found():
    assert len(READINGS) >= KNOWN_READINGS, READINGS
    assert len(TRANSFORMS) >= KNOWN_TRANSFORMS, [kind.__name__ for kind in TRANSFORMS]
    assert set(READINGS) == set(windows.EXAMPLES), "add an example of the new sensor"


@pytest.mark.parametrize("kind", READINGS)
class TestReading:
    def test_arrays_are_fields_with_units_axes_and_source(self, kind):
        reading = example(kind)
        assert kind.ARRAYS
        assert all(isinstance(getattr(reading, name), np.ndarray) for name in kind.ARRAYS)
        assert reading.unit
        assert reading.axes
        rows = len(getattr(reading, kind.ARRAYS[0])) if kind.IN_TIME else 1
        assert len(reading.clock) == rows

    def test_wrong_arrays_are_refused_with_the_source(self, kind):
        reading = example(kind)
        for name in kind.ARRAYS:
            array = getattr(reading, name)
            for wrong in (array[..., 0], array.astype(np.complex64), array[None], array.tolist()):
                with pytest.raises(DataError, match=name) as caught:
                    reading.replace(**{name: wrong})
                assert reading.source in str(caught.value)

    def test_a_clock_of_another_length_is_refused(self, kind):
        with pytest.raises(ClockError, match=kind.__name__):
            example(kind).replace(clock=Clock.fraction(1000))

    def test_pickle_keeps_everything(self, kind):
        reading = example(kind)
        again = pickle.loads(pickle.dumps(reading))
        assert (again.unit, again.axes, again.source) == (
            reading.unit,
            reading.axes,
            reading.source,
        )
        for name in kind.ARRAYS:
            np.testing.assert_array_equal(getattr(again, name), getattr(reading, name))

    @pytest.mark.parametrize("present", [(1, 1, 1), (1, 0, 1), (0, 0, 0)])
    def test_batches_hold_the_present_readings_in_order(self, kind, present):
        readings = [example(kind, seed) if here else None for seed, here in enumerate(present)]
        batch = collate([sample_of(reading) for reading in readings])["it"]
        assert batch.present[:, 0].tolist() == [bool(here) for here in present]
        held = [reading for reading in readings if reading is not None]
        assert len(batch) == len(held)
        if held:
            batch.require(kind, held[0].unit)
            for name in kind.ARRAYS:
                join = np.concatenate if kind.RAGGED else np.stack
                expected = join([getattr(reading, name) for reading in held])
                np.testing.assert_array_equal(batch.values[name].numpy(), expected)

    def test_readings_of_different_units_do_not_mix(self, kind):
        reading = example(kind)
        arrays = {name: getattr(reading, name) for name in kind.ARRAYS}
        float_arrays = {
            name: array.astype(np.float32) if array.dtype.kind == "u" else array
            for name, array in arrays.items()
        }
        other = reading.replace(unit="something else", **float_arrays)
        with pytest.raises(UnitError, match="something else"):
            collate([sample_of(reading), sample_of(other)])

    def test_drawing(self, kind):
        reading = example(kind)
        assert isinstance(reading, Drawable)
        figure = draw_sample(sample_of(reading))
        figure.canvas.draw()
        assert len(figure.axes) >= 1
        assert all(axes.get_xlabel() for axes in figure.axes[:1])


@pytest.mark.parametrize("transform", TRANSFORMS)
class TestTransform:
    def readings(self, transform):
        if transform.__name__ in PREPARED:
            return [PREPARED[transform.__name__]()]
        fits = [kind for kind in READINGS if issubclass(kind, transform.kind)]
        if transform.kind is Reading:  # transforms of time
            fits = [kind for kind in fits if kind.IN_TIME]
        assert fits
        return [example(kind) for kind in fits]

    def change(self, transform, reading, seed=0):
        if type(reading).__name__ == "CameraImage" and transform.__name__ in METHODS:
            built = build(transform)
            built = type(built)(**{**vars(built), "method": "nearest"})
        else:
            built = build(transform)
        out = built(sample_of(reading), np.random.default_rng(seed))
        return out.frames[0].readings["it"]

    def test_the_input_is_untouched_and_the_type_stays(self, transform):
        for reading in self.readings(transform):
            before = {name: getattr(reading, name).copy() for name in reading.ARRAYS}
            out = self.change(transform, reading)
            assert type(out) is type(reading)
            for name, array in before.items():
                np.testing.assert_array_equal(getattr(reading, name), array)

    def test_the_generator_alone_decides(self, transform):
        np.random.seed(0)  # noqa: NPY002  the global generator must not matter
        torch.manual_seed(0)
        for reading in self.readings(transform):
            first, again, other = (self.change(transform, reading, s) for s in (0, 0, 1))
            alike = [
                all(np.array_equal(getattr(a, n), getattr(b, n)) for n in reading.ARRAYS)
                for a, b in ((first, again), (first, other))
            ]
            assert alike[0]
            if not build(transform).random:
                assert alike[1]

    def test_augmentations_split_into_draw_and_apply(self, transform):
        if not issubclass(transform, Augmentation):
            assert build(transform).random is False
            return
        for reading in self.readings(transform):
            if isinstance(reading, windows.CameraImage) and transform.__name__ in METHODS:
                continue
            built = build(transform)
            generator = np.random.default_rng(4)
            generator.random()  # whether, which `change` draws first
            applied = built.apply(reading, built.draw(reading, generator))
            whole = self.change(transform, reading, 4)
            for name in reading.ARRAYS:
                np.testing.assert_array_equal(getattr(applied, name), getattr(whole, name))

    def test_values_of_another_unit_say_so(self, transform):
        """Only augmentations and changes of shape may keep the unit's name."""
        shape_only = {"Resample", "Resize", "CropPerson", "CropBody", "RemoveBackground", "ToAxes"}
        shape_only |= {"Superpixels", "PreparedSuperpixels", "SelectBands", "LocalAxes"}
        for reading in self.readings(transform):
            out = self.change(transform, reading)
            if not build(transform).random and transform.__name__ not in shape_only:
                assert out.unit != reading.unit
            else:
                assert out.unit == reading.unit

    def test_pickle(self, transform):
        assert pickle.loads(pickle.dumps(build(transform))) == build(transform)


METHODS = {"Resample", "CropResample"}


class Examples:
    """A small data set of every sensor; sample 1 lacks them all but the first."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        readings = {kind.__name__: example(kind, index) for kind in READINGS}
        if index == 1:
            readings = {READINGS[0].__name__: readings[READINGS[0].__name__]}
        return Sample(id=str(index), frames=(Frame(readings),))


def test_batches_from_two_loader_workers_equal_those_from_none():
    batches = [
        list(DataLoader(Examples(), batch_size=2, collate_fn=collate, num_workers=workers))
        for workers in (0, 2)
    ]
    for here, there in zip(*batches, strict=True):
        assert here.ids == there.ids
        for kind in READINGS:
            one, two = here[kind.__name__], there[kind.__name__]
            assert torch.equal(one.present, two.present)
            assert all(torch.equal(one.values[name], two.values[name]) for name in kind.ARRAYS)
