"""Regions: the same every time, in their place, and of plausible values."""

from __future__ import annotations

import numpy as np
import pytest

from sensorfusion.geometry.rasters import map_points, pixel_points
from sensorfusion.sensors.optical import L2A_BANDS, numbers_of, reflectance_of
from sensorfusion.sensors.raster import Quality
from sensorfusion.simulation import classes
from sensorfusion.simulation.above import materials
from sensorfusion.simulation.above.grid import Grid
from sensorfusion.simulation.above.land import make_land
from sensorfusion.simulation.above.materials import (
    AGED_M,
    BACKSCATTER_MB,
    CLASSES,
    MATERIALS,
    REFLECTANCE_MB,
    WORLDCOVER,
)
from sensorfusion.simulation.above.optical import Pass, averaged, clouds, photograph
from sensorfusion.simulation.above.region import (
    CRS,
    FACTOR,
    PIXEL,
    majority,
    make_region,
    region_grid,
    world_offset,
)
from sensorfusion.simulation.above.terrain import draw_site
from sensorfusion.simulation.scene import make_scene

SIZE = 64


@pytest.fixture(scope="module")
def scene():
    return make_scene(0, 6)


@pytest.fixture(scope="module")
def region():
    return make_region(0, 6, SIZE)


@pytest.fixture(scope="module")
def country():
    """A region with fields, woods and a river that rises."""
    return make_region(0, 7, 192)


def test_materials_are_complete():
    assert len(CLASSES) == len(WORLDCOVER) == len(materials.PALETTE) == 8
    assert set(materials.LABEL_M) == set(range(8))
    assert REFLECTANCE_MB.shape == (len(MATERIALS), len(L2A_BANDS))
    assert ((REFLECTANCE_MB > 0) & (REFLECTANCE_MB < 0.6)).all()
    assert (BACKSCATTER_MB[:, 0] > BACKSCATTER_MB[:, 1]).all()  # VV above VH
    assert (np.arange(len(MATERIALS)) != AGED_M).all()


class TestValues:
    def test_the_same_every_time(self, region):
        again = make_region(0, 6, SIZE)
        for name, value in vars(region).items():
            np.testing.assert_array_equal(value, getattr(again, name), err_msg=name)

    def test_another_seed_or_scene_is_another_region(self, region):
        for seed, number in ((1, 6), (0, 7)):
            assert (
                make_region(seed, number, 16).label_DHW != region.label_DHW[:, 24:40, 24:40]
            ).any()

    def test_reflectances_are_those_of_a_product(self, country):
        values = country.optical_DBHW
        assert values.dtype == np.float32
        assert values.min() >= 0.0
        assert 0.2 < values.max() <= 1.0
        np.testing.assert_array_equal(reflectance_of(numbers_of(values)), values)
        near, red = (values[0, L2A_BANDS.index(name)] for name in ("B08", "B04"))
        clear = country.optical_quality[0] == Quality.CLEAR
        greenness = (near - red) / np.maximum(near + red, 1e-3)
        trees = clear & (country.label_DHW[0] == materials.TREES)
        built = clear & (country.label_DHW[0] == materials.BUILT)
        assert np.median(greenness[trees]) > np.median(greenness[built]) + 0.2

    def test_backscatter_is_plausible(self, country):
        vv, vh = country.radar_DBHW[0]
        seen, label = country.radar_valid[0], country.label_DHW[0]
        assert vv.min() > -35
        assert vv.max() < 15
        assert 5 < np.median((vv - vh)[seen]) < 11
        water, trees = (seen & (label == kind) for kind in (materials.WATER, materials.TREES))
        assert np.median(vv[trees]) - np.median(vv[water]) > 6

    def test_quality_is_known_where_something_was_measured(self, country):
        for name in ("optical", "radar"):
            known = getattr(country, f"{name}_quality") != 255
            np.testing.assert_array_equal(known, getattr(country, f"{name}_valid"))
        assert not country.optical_valid.all()

    def test_most_changes_are_those_of_the_labels(self, country):
        before, after = country.label_DHW
        differs = before != after
        kinds = {
            materials.CLEAR_CUT: (materials.TREES, None),
            materials.FLOOD: (None, materials.WATER),
        }
        for kind, (old, new) in kinds.items():
            where = country.change_HW == kind
            assert where.sum() > 50
            assert differs[where].mean() > 0.8
            assert old is None or (before[where] == old).mean() > 0.8
            assert new is None or (after[where] == new).mean() > 0.8
        assert (country.change_HW[differs] != materials.NONE).mean() > 0.8
        harvested = country.change_HW == materials.HARVEST
        assert (after[harvested] == materials.CROPS).mean() > 0.9

    def test_the_old_map_is_mostly_right_and_not_all(self, country):
        agree = (country.map_HW == country.label_DHW[0]).mean()
        assert 0.6 < agree < 0.97


class TestPlace:
    def test_a_smaller_region_is_the_middle_of_a_larger_one(self, region):
        small = make_region(0, 6, 32)
        inner = np.s_[..., 16:48, 16:48]
        np.testing.assert_array_equal(small.label_DHW, region.label_DHW[inner])
        np.testing.assert_array_equal(small.map_HW, region.map_HW[inner])
        np.testing.assert_array_equal(small.change_HW, region.change_HW[inner])
        corner = map_points(region.transform, np.array([[16.0, 16.0]]))
        np.testing.assert_array_equal(map_points(small.transform, np.zeros((1, 2))), corner)

    def test_a_known_street_lies_in_the_right_pixel(self, scene, region):
        """Points of the town's street, from block axes to the map, lie on built-up pixels."""
        x = np.arange(-120.0, 120.0, 10.0)
        block = np.stack([x, scene.ground.middle(x)[0], 0 * x, 1 + 0 * x])
        world = (scene.T_world_block @ block)[:2].T
        pixels = pixel_points(region.transform, world + np.array(world_offset(6)))
        u, v = np.rint(pixels).astype(int).T
        assert (region.label_DHW[0, v, u] == materials.BUILT).mean() > 0.85

    def test_a_known_building_lies_in_its_cells(self, scene):
        site = draw_site(0, 6, scene.T_world_block)
        fine = region_grid(scene, 40).refined(FACTOR)
        land = make_land(fine, site)
        from sensorfusion.simulation.above.block import place_block

        place_block(fine, scene, land)
        shapes = scene.shapes
        height = shapes.half_P3[:, 2] * (scene.label_O[shapes.object_P] == classes.MANMADE)
        height[np.isin(shapes.object_P, scene.moving_O)] = 0
        row = int(np.argmax(height))
        number = int(shapes.object_P[row])
        place = scene.T_world_block @ scene.object_pose(number, 0.0)
        middle = (place @ np.append(shapes.centre_P3[row], 1.0))[:2]
        u, v = np.rint(pixel_points(fine.transform, middle[None])).astype(int)[0]
        top = shapes.centre_P3[row, 2] + shapes.half_P3[row, 2]
        assert land.object_HW[v, u] >= top - 0.5
        assert materials.LABEL_M[land.material_HW[v, u]] == materials.BUILT

    def test_edges_are_whole_pixels_of_the_map(self, region):
        assert CRS == "EPSG:32632"
        (a, b, left), (d, e, top) = region.transform
        assert (a, b, d, e) == (PIXEL, 0.0, 0.0, -PIXEL)
        assert left % PIXEL == 0.0
        assert top % PIXEL == 0.0

    def test_regions_of_different_scenes_do_not_overlap(self):
        places = np.array([world_offset(n) for n in range(200)])
        apart = np.abs(places[:, None] - places).max(-1) + 1e9 * np.eye(200)
        assert apart.min() >= 5000.0


class TestPixels:
    def test_averages_and_majorities(self):
        values = np.arange(64, dtype=np.float32).reshape(8, 8)
        np.testing.assert_allclose(averaged(values, 4), [[13.5, 17.5], [45.5, 49.5]])
        numbers = np.zeros((4, 8), np.uint8)
        numbers[:, 4:] = 2
        numbers[0, :3] = 1
        numbers[:2, 4:] = 1  # a tie of 1 and 2
        np.testing.assert_array_equal(majority(numbers, 4, 3), [[0, 1]])

    def test_a_pixel_of_two_materials_is_their_mean(self, scene):
        site = draw_site(0, 6, scene.T_world_block)
        grid = Grid(0.0, 240.0, 10.0, 24, 24)
        land = make_land(grid.refined(FACTOR), site)
        land.ground_HW[:], land.object_HW[:] = 0.0, 0.0
        seen = Pass(0, 2.6, 0.9, 0.0, 500.0, 0.0, 0.0)
        band = L2A_BANDS.index("B08")
        found = []
        for share in (0.0, 0.5, 1.0):
            land.material_HW[:] = materials.NUMBER["water"]
            land.material_HW[:, np.arange(96) % 4 < 4 * share] = materials.NUMBER["grass"]
            found.append(photograph(grid, site, land, seen, FACTOR)[0][band].mean())
        assert found[1] == pytest.approx((found[0] + found[2]) / 2, rel=0.05)

    def test_a_clouds_shadow_lies_away_from_the_sun(self, scene):
        site = draw_site(0, 6, scene.T_world_block)
        seen = Pass(1, np.radians(180.0), np.radians(45.0), 0.3, 400.0, 0.0, 0.0)
        cloud, shadow = clouds(Grid(0.0, 4000.0, 10.0, 400, 100), site, seen)
        assert cloud.max() > 0.5
        # 900 m up with the sun at 45 degrees in the south: 900 m to the north.
        np.testing.assert_allclose(shadow[:-90], cloud[90:], atol=1e-4)
