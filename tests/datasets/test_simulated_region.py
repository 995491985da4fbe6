"""Simulated regions as a data set."""

from __future__ import annotations

import numpy as np
import pytest

from sensorfusion.collate import collate
from sensorfusion.datasets.simulated_region import MAP, SimulatedRegion
from sensorfusion.errors import ConfigError
from sensorfusion.sensors.optical import L2A_BANDS
from sensorfusion.sensors.radar import SENTINEL1_BANDS
from sensorfusion.simulation.above.grid import Grid
from sensorfusion.simulation.above.materials import CHANGES, CLASSES
from sensorfusion.simulation.above.region import make_region, swath
from sensorfusion.simulation.above.terrain import draw_site

SMALL = {"size": 32, "chip": 16}


@pytest.fixture(scope="module")
def regions():
    return SimulatedRegion((2,), labels=True, **SMALL)


def test_a_sample_has_both_sensors_at_two_dates_and_one_map(regions):
    first, second = regions[1].frames
    assert set(first.readings) == {"optical", "radar", "map"}
    assert set(second.readings) == {"optical", "radar"}
    assert first.readings["optical"].bands == L2A_BANDS
    assert first.readings["radar"].bands == SENTINEL1_BANDS
    assert (first.readings["map"].unit, first.readings["map"].bands) == ("class", (MAP,))
    for frame in (first, second):
        for reading in frame.readings.values():
            assert reading.size == (16, 16)
            assert reading.axes == "EPSG:32632"
            np.testing.assert_array_equal(reading.transform, first.readings["optical"].transform)
    times = [f.readings["optical"].clock.times_T[0] for f in (first, second)]
    assert 30 <= (times[1] - times[0]) / 86_400e9 < 130


def test_chips_are_the_windows_of_their_region(regions):
    whole = make_region(0, 2, 32)
    assert len(regions) == 4
    last = regions[3].frames[1].readings["radar"]
    np.testing.assert_array_equal(last.values, whole.radar_DBHW[1, :, 16:, 16:])
    np.testing.assert_array_equal(last.label, whole.label_DHW[1, 16:, 16:])
    np.testing.assert_array_equal(last.change, whole.change_HW[16:, 16:])
    np.testing.assert_array_equal(last.transform[:, 2] - whole.transform[:, 2], [160.0, -160.0])


def test_the_first_date_has_no_change(regions):
    assert not regions[0].frames[0].readings["optical"].change.any()
    assert regions.class_names["optical.change"] == CHANGES
    assert regions.class_names["radar.label"] == CLASSES
    assert not SimulatedRegion((2,), **SMALL).class_names


def test_labels_do_not_change_what_is_measured(regions):
    plain = SimulatedRegion((2,), **SMALL)[0]
    for frame, labelled in zip(plain.frames, regions[0].frames, strict=True):
        for name, reading in frame.readings.items():
            np.testing.assert_array_equal(reading.values, labelled.readings[name].values)
            assert reading.label is None


def test_dates_and_maps_share_a_batch(regions):
    batch = collate([regions[i] for i in range(3)])
    assert batch["optical"].values["values"].shape == (6, 12, 16, 16)
    assert batch["map"].present.tolist() == [[True, False]] * 3
    assert batch["radar"].values["change"].shape == (6, 16, 16)


def test_values_outside_the_swath_are_0_and_not_valid():
    def cut(scene):  # the first date's optical swath; the place matters little
        site = draw_site(0, scene, np.eye(4))
        return not swath(Grid(-160.0, 160.0, 10.0, 32, 32), site, 0)[0].all()

    scene = next(filter(cut, range(200)))
    reading = SimulatedRegion((scene,), size=32, chip=32)[0].frames[0].readings["optical"]
    assert 0.3 < reading.valid.mean() < 1.0
    assert not reading.values[:, ~reading.valid[0]].any()


def test_some_sensors_only():
    only = SimulatedRegion((2,), sensors=("radar",), **SMALL)
    assert list(only[0].frames[0].readings) == list(only.sensors) == ["radar"]
    maps = SimulatedRegion((2,), sensors=("map",), **SMALL)
    assert len(maps[0].frames) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scenes": ()}, "scenes"),
        ({"scenes": (1, 1)}, "scenes"),
        ({"seed": -1}, "seed"),
        ({"size": 7}, "size"),
        ({"size": 33}, "size"),
        ({"chip": 300}, "chip"),
        ({"chip": 0}, "chip"),
        ({"sensors": ("lidar",)}, "lidar"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        SimulatedRegion(**settings)
