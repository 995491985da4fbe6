"""Rasters: what is refused, units, bands, masks, and moves that keep places."""

from __future__ import annotations

import numpy as np
import pytest

from sensorfusion.collate import collate
from sensorfusion.errors import ConfigError, DataError, UnitError
from sensorfusion.geometry.rasters import map_points
from sensorfusion.sample import Frame, Sample
from sensorfusion.sensors.optical import (
    L2A_BANDS,
    L2A_OFFSET,
    L2A_SCALE,
    SSL4EO_L2A,
    numbers_of,
    reflectance_of,
)
from sensorfusion.sensors.radar import SSL4EO_GRD
from sensorfusion.sensors.raster import DECIBEL, POWER, Quality
from sensorfusion.sensors.raster_augment import CropRaster, FlipRaster, TurnRaster
from sensorfusion.sensors.raster_prepare import (
    BandStatistics,
    LocalAxes,
    NormaliseBands,
    SelectBands,
    ToDecibels,
    ToPower,
    ToReflectance,
)
from sensorfusion.sensors.resampling import Resample
from tests.sensors.windows import backscatter, numbers, optical, radar

IT = ("it",)


def sample_of(*readings):
    return Sample(id="x", frames=tuple(Frame({"it": reading}) for reading in readings))


class TestReading:
    def test_digital_numbers_are_no_reflectance(self):
        values = 10_000 * optical().values
        with pytest.raises(UnitError, match=r"(?s)no reflectance.*scale and offset"):
            optical().replace(values=values)

    def test_linear_power_is_not_taken_for_decibels_when_it_cannot_be(self):
        with pytest.raises(UnitError, match="no dB"):
            radar().replace(values=100 * radar().values)

    def test_what_is_not_valid_must_be_0(self):
        values = optical().values.copy()
        values[3, 0, 1] = -9999.0
        with pytest.raises(DataError, match=r"(?s)not valid are not 0.*nodata"):
            optical().replace(values=values)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"bands": L2A_BANDS[:11]},
            {"bands": ("B04",) * 12},
            {"transform": np.zeros((2, 3))},
            {"valid": np.ones((3, 12, 9), np.bool_)},
            {"valid": np.ones((1, 12, 9), np.uint8)},
            {"label": np.zeros((12, 8), np.uint8)},
            {"label": np.zeros((12, 9), np.int64)},
        ],
        ids=str,
    )
    def test_wrong_parts_are_refused_with_the_source(self, wrong):
        with pytest.raises(DataError, match=r"optical\.tif"):
            optical().replace(**wrong)

    def test_true_colour_is_red_green_blue(self):
        values = np.zeros((12, 12, 9), np.float32)
        values[L2A_BANDS.index("B04"), :, 2:] = 0.3
        shown = optical().replace(values=values).in_true_colour(ceiling=0.3)
        assert shown[5, 5].tolist() == [255, 0, 0]
        assert shown[5, 1].tolist() == [0, 0, 0]
        assert shown[0, 1].tolist() == [255, 255, 255]  # not valid

    def test_clouds_do_not_decide_the_stretch(self):
        values = np.full((12, 12, 9), 0.1, np.float32)
        values[:, :6] = 0.9
        quality = np.zeros((12, 9), np.uint8)
        quality[:6] = Quality.CLOUD
        valid = np.ones((1, 12, 9), np.bool_)
        raster = optical().replace(values=values, valid=valid, quality=quality)
        assert raster.in_true_colour()[8, 4].tolist() == [255, 255, 255]


class TestBatches:
    def test_bands_and_level_are_traits_of_the_batch(self):
        batch = collate([sample_of(optical(seed=s)) for s in (0, 1)])["it"]
        assert batch.traits == {"bands": L2A_BANDS, "level": "L2A"}
        assert batch.axes == "EPSG:32632"
        assert batch.values["valid"].shape == (2, 1, 12, 9)
        assert batch.values["transform"].shape == (2, 2, 3)

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"bands": tuple(reversed(L2A_BANDS))}, "bands"),
            ({"level": "L1C"}, "level"),
            ({"axes": "EPSG:32633"}, "axes"),
            ({"unit": "DN"}, "unit"),
        ],
        ids=lambda change: str(change)[:20],
    )
    def test_what_differs_does_not_mix(self, change, named):
        other = optical().replace(**change)
        with pytest.raises(UnitError, match=f"differ in {named}"):
            collate([sample_of(optical()), sample_of(other)])

    def test_rasters_of_several_zones_mix_when_told_to(self):
        local = LocalAxes(sensors=IT)
        pair = [local.prepare(optical()), local.prepare(optical().replace(axes="EPSG:32633"))]
        assert len(collate([sample_of(reading) for reading in pair])["it"]) == 2

    def test_transforms_of_time_refuse_rasters(self):
        with pytest.raises(ConfigError, match="rows in time"):
            Resample(sensors=IT, steps=4)(sample_of(optical()), np.random.default_rng(0))


class TestUnits:
    def test_decibels_and_power_are_inverse(self):
        back = ToDecibels(sensors=IT).prepare(ToPower(sensors=IT).prepare(radar()))
        assert back.unit == DECIBEL
        np.testing.assert_allclose(back.values, radar().values, atol=2e-6)
        assert not back.values[~back.valid].any()

    def test_known_powers(self):
        values = np.full((2, 12, 9), 0.001, np.float32)
        values[0, 0] = 2.0
        values[1, 0] = 0.0
        raster = radar(unit=POWER).replace(values=values, valid=np.ones((1, 12, 9), np.bool_))
        found = ToDecibels(sensors=IT).prepare(raster).values
        np.testing.assert_allclose(found[0, :2, 0], [3.0103, -30.0], atol=1e-4)
        assert found[1, 0, 0] == -100.0

    def test_another_unit_is_refused(self):
        for transform in (ToDecibels, ToPower):
            with pytest.raises(UnitError, match=transform.__name__):
                transform(sensors=IT).prepare(optical())
        with pytest.raises(UnitError, match=r"(?s)'linear power'.*order"):
            NormaliseBands(sensors=IT, statistics=SSL4EO_GRD).prepare(backscatter())

    def test_products_scale_and_offset(self):
        values = np.full((12, 12, 9), 3500.0, np.float32)
        raster = numbers().replace(values=values, valid=np.ones((1, 12, 9), np.bool_))
        made = ToReflectance(sensors=IT, scale=L2A_SCALE, offset=L2A_OFFSET).prepare(raster)
        np.testing.assert_allclose(made.values, 0.25, rtol=1e-6)

    def test_digital_numbers_survive_both_ways(self):
        every = np.arange(1, 65536, dtype=np.uint16)
        np.testing.assert_array_equal(numbers_of(reflectance_of(every)), every)
        assert numbers_of(np.array([-1.0], np.float32)) == 1  # 0 would be nodata

    def test_normalised_values_have_the_bands_own_statistics(self):
        chosen = SelectBands(sensors=IT, bands=("B12", "B02")).prepare(optical())
        made = NormaliseBands(sensors=IT, statistics=SSL4EO_L2A).prepare(chosen)
        rows = [L2A_BANDS.index(name) for name in ("B12", "B02")]
        for k, row in enumerate(rows):
            expected = (optical().values[row] - SSL4EO_L2A.mean[row]) / SSL4EO_L2A.deviation[row]
            valid = optical().valid[0]
            np.testing.assert_allclose(made.values[k][valid], expected[valid], rtol=1e-5, atol=1e-6)
        assert made.unit == SSL4EO_L2A.name
        assert made.values[0, 0, 1] == 0.0

    def test_bands_that_are_missing_are_named(self):
        with pytest.raises(UnitError, match="B10"):
            SelectBands(sensors=IT, bands=("B04", "B10")).prepare(optical())
        few = BandStatistics(
            name="n", unit="reflectance", bands=("B02",), mean=(0.0,), deviation=(1.0,)
        )
        with pytest.raises(UnitError, match="B01"):
            NormaliseBands(sensors=IT, statistics=few).prepare(optical())

    def test_statistics_that_cannot_be(self):
        with pytest.raises(ConfigError, match="positive deviation"):
            BandStatistics(name="n", unit="dB", bands=("VV",), mean=(0.0,), deviation=(0.0,))

    def test_masks_of_single_bands_follow_their_bands(self):
        made = SelectBands(sensors=IT, bands=("VH",)).prepare(radar())
        np.testing.assert_array_equal(made.valid, radar().valid[1:])


def values_by_place(reading):
    """Value of the first band and label of every map coordinate."""
    height, width = reading.size
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    places = map_points(reading.transform, np.stack([u, v], -1).reshape(-1, 2)).round(3)
    values = zip(reading.values[0].ravel(), reading.label.ravel(), strict=True)
    return dict(zip(map(tuple, places), values, strict=True))


@pytest.mark.parametrize(
    "transform",
    [CropRaster(sensors=IT, size=(5, 4)), FlipRaster(sensors=IT, p=1.0), TurnRaster(sensors=IT)],
    ids=lambda transform: type(transform).__name__,
)
class TestMoves:
    def test_values_stay_at_their_place_on_the_map(self, transform):
        before = values_by_place(optical())
        for seed in range(4):
            generator = np.random.default_rng(seed)
            (frame,) = transform(sample_of(optical()), generator).frames
            after = values_by_place(frame.readings["it"])
            assert after.items() <= before.items()
            assert len(after) == np.prod(frame.readings["it"].size)

    def test_all_sensors_and_dates_move_alike(self, transform):
        frames = tuple(
            Frame({"it": optical(seed=seed), "other": radar(seed=seed)}) for seed in (0, 1)
        )
        both = type(transform)(**{**vars(transform), "sensors": ("it", "other")})
        for seed in range(4):
            made = both(Sample(id="x", frames=frames), np.random.default_rng(seed))
            moved = [reading for frame in made.frames for reading in frame.readings.values()]
            for reading in moved[1:]:
                np.testing.assert_array_equal(reading.transform, moved[0].transform)
                np.testing.assert_array_equal(reading.label, moved[0].label)

    def test_grids_that_differ_are_refused(self, transform):
        shifted = optical().transform + np.array([[0, 0, 10.0], [0, 0, 0]])
        pair = sample_of(optical(), optical().replace(transform=shifted))
        with pytest.raises(DataError, match="one grid"):
            transform(pair, np.random.default_rng(0))


def test_windows_reach_every_place_and_no_further():
    crop = CropRaster(sensors=IT, size=(11, 9))
    tops = set()
    for seed in range(20):
        (frame,) = crop(sample_of(optical()), np.random.default_rng(seed)).frames
        tops.add(frame.readings["it"].transform[1, 2])
    assert tops == {5_300_000.0, 5_299_990.0}
    with pytest.raises(ConfigError, match="smaller window"):
        CropRaster(sensors=IT, size=(13, 9))(sample_of(optical()), np.random.default_rng(0))
