"""Short cuts of the renderer against the caster of single rays and plain formulas."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorfusion.geometry.poses import pose
from sensorfusion.geometry.rotation import rotation_about
from sensorfusion.simulation.bins import bin_rectangles, bin_rectangles_reference
from sensorfusion.simulation.casting import cast
from sensorfusion.simulation.exposure import THRESHOLDS, srgb, srgb_reference
from sensorfusion.simulation.noise import noise, plane_noise
from sensorfusion.simulation.rendering import FAR, OVERCAST, render
from sensorfusion.simulation.rig import LOOKING_AHEAD, RIG
from sensorfusion.simulation.scene import make_scene
from sensorfusion.simulation.sunlight import SHADOW
from sensorfusion.simulation.vectors import cross

TIME = 6.0


@pytest.fixture(scope="module")
def scene():
    return make_scene(0, 0)


def pixel_rays(T_block_camera, intrinsics, size):
    """Origins, unit directions and their lengths at depth 1 of all pixels of a view."""
    v, u = np.mgrid[0 : size[0], 0 : size[1]].reshape(2, -1)
    rays = (
        np.linalg.solve(intrinsics, np.stack([u, v, np.ones(len(u))])).T @ T_block_camera[:3, :3].T
    )
    length = np.linalg.norm(rays, axis=1)
    return np.tile(T_block_camera[:3, 3], (len(rays), 1)), rays / length[:, None], length


def test_views_from_anywhere_see_what_single_rays_hit(scene):
    """Close to walls, among people, rolled, upwards and downwards, at other times."""
    world, generator = scene.at(TIME), np.random.default_rng(0)
    size, count = (37, 61), 12
    near = world.balls_P4[generator.choice(np.nonzero(world.moving_P)[0], count), :3]
    near = np.clip(near, (-110, -40, 0.3), (110, 40, 8)) + generator.normal(0, 0.7, (count, 3))
    poses = np.stack(
        [
            pose(
                rotation_about((0, 0, 1), generator.uniform(0, 6.3))
                @ rotation_about(generator.normal(size=3), generator.uniform(0, 0.8))
                @ LOOKING_AHEAD,
                place,
            )
            for place in near
        ]
    )
    intrinsics = np.array([[40.0, 0, 30], [0, 35.0, 15], [0, 0, 1]])
    offsets = generator.uniform(-0.05, 0.05, count)
    picture = render(world, poses, np.tile(intrinsics, (count, 1, 1)), offsets, size)
    for k in range(count):
        origins, directions, length = pixel_rays(poses[k], intrinsics, size)
        hits = cast(world, origins, directions, np.full(len(length), offsets[k]), FAR)
        depth = np.where(hits.shape_N >= 0, hits.distance_N / length, 0.0)
        np.testing.assert_allclose(picture.depth_KHW[k].ravel(), depth, rtol=1e-5, atol=1e-6)
        # Where surfaces coincide either may be named.
        assert np.mean(picture.shape_KHW[k].ravel() == hits.shape_N) > 0.999


def test_pixels_are_dark_where_rays_to_the_sun_are_stopped(scene):
    world, size, mount = scene.at(TIME), (56, 104), RIG["camera.front"]
    assert world.light[0] > OVERCAST
    camera = scene.ego_pose(TIME + mount.delay) @ mount.pose
    intrinsics = mount.intrinsics(size)
    arguments = world, camera[None], intrinsics[None], np.array([mount.delay]), size
    lit, plain = (render(*arguments, shadows=shadows) for shadows in (True, False))
    origins, directions, _ = pixel_rays(camera, intrinsics, size)
    late = np.full(len(origins), mount.delay)
    hits = cast(world, origins, directions, late, FAR)
    leafy = np.zeros(len(world.shapes_P16) + 1, dtype=bool)
    leafy[:-1] = world.look_P12[:, 6] == 3.0  # bumps turn their normals
    chosen = np.nonzero((hits.shape_N >= 0) & ~leafy[hits.shape_N])[0]
    distance, normal = hits.distance_N[chosen, None], hits.normal_N3[chosen]
    start = origins[chosen] + distance * directions[chosen] + (2e-3 + 1e-4 * distance) * normal
    sun = np.tile(world.sun_3, (len(chosen), 1))
    stopped = cast(world, start, sun, late[chosen], SHADOW).shape_N >= 0
    facing = normal @ world.sun_3
    dark = lit.colour_KHW3[0].reshape(-1, 3)[chosen]
    bright = plain.colour_KHW3[0].reshape(-1, 3)[chosen]
    shaded, free = stopped & (facing > 0.1), ~stopped | (facing < -1e-6)
    assert min(shaded.sum(), (free & (facing > 0.1)).sum()) > 150
    np.testing.assert_array_equal(dark[free], bright[free])
    assert np.mean(dark[shaded].sum(1) < bright[shaded].sum(1)) > 0.97


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_bins_list_what_meets_them(data):
    views, shapes = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 6))
    size = data.draw(st.tuples(st.integers(1, 5), st.integers(1, 4)))
    generator = np.random.default_rng(data.draw(st.integers(0, 1000)))
    first = generator.integers(0, size, (views, shapes, 2))
    last = np.minimum(first + generator.integers(-1, 4, first.shape), np.array(size) - 1)
    cells = np.stack([first[..., 0], last[..., 0], first[..., 1], last[..., 1]], 2).astype(np.int32)
    order = np.argsort(generator.random((views, shapes)), axis=1)
    starts, entries = bin_rectangles(cells, order, size)
    found = [entries[a:b].tolist() for a, b in itertools.pairwise(starts)]
    assert found == bin_rectangles_reference(cells, order, size)


def test_bytes_are_those_of_the_formula():
    edges = THRESHOLDS[1:-1]
    values = np.concatenate(
        [[0.0, 1.0], edges, np.nextafter(edges, 0), np.random.default_rng(0).random(2000)]
    )
    np.testing.assert_array_equal([srgb(float(v)) for v in values], srgb_reference(values))
    assert srgb(0.0) == 0
    assert srgb(1.0) == 255
    assert (srgb(0.2140), srgb(0.2141)) == (127, 128)  # 0.21404 is 0.5 in sRGB


@given(x=st.floats(-500, 500), y=st.floats(-500, 500), k=st.integers(-40, 40))
@settings(deadline=None)
def test_noise_in_a_plane_is_noise(x, y, k):
    assert plane_noise(x, y, k) == noise(x, y, float(k))


def test_cross_products_are_those_of_numpy():
    first, second = np.random.default_rng(0).normal(size=(2, 50, 3))
    np.testing.assert_array_equal(
        [cross(a, b) for a, b in zip(first, second, strict=True)], np.cross(first, second)
    )
