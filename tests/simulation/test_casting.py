"""Rays against brute force, on small worlds and on a town."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorfusion.errors import DataError
from sensorfusion.geometry.rotation import rotation_about
from sensorfusion.simulation.casting import _cast, cast
from sensorfusion.simulation.noise import noise, noise_reference
from sensorfusion.simulation.reference import cast_reference
from sensorfusion.simulation.scene import make_scene
from sensorfusion.simulation.shapes import BALL, BOX, CYLINDER

NEAR = np.array([-6.0, -6.0, 0.5]), np.array([6.0, 6.0, 7.0])


@pytest.fixture(scope="module")
def scene():
    return make_scene(3, 0)


def only(scene, chosen):
    """A world with some of a scene's standing shapes, all the others far away."""
    world = scene.at(5.0)
    maps, balls = world.shapes_P16.copy(), world.balls_P4.copy()
    away = np.setdiff1d(np.arange(len(maps)), chosen)
    maps[away, :12] = 0.0
    maps[away, 11] = 1e6
    balls[away, 2] = 1e6
    return world._replace(shapes_P16=maps, balls_P4=balls)


def rays_from(places_K3, generator, each):
    origins = np.repeat(places_K3, each, axis=0)
    directions = generator.normal(size=origins.shape)
    directions[:, 2] *= 0.35
    return origins, directions / np.linalg.norm(directions, axis=1, keepdims=True)


def test_noise_is_that_of_its_reference():
    points = np.random.default_rng(0).uniform(-50, 50, (300, 3))
    values = np.array([noise(*point) for point in points])
    np.testing.assert_allclose(values, noise_reference(points), atol=1e-12)
    assert 0.0 <= values.min() < 0.3 < 0.7 < values.max() < 1.0


def test_first_hits_in_a_town_are_those_of_brute_force(scene):
    generator = np.random.default_rng(1)
    ego = scene.ego_pose(5.0)[:3, 3]
    places = ego + np.array([[0, 0, 1.8], [25, 1.0, 3.0], [-20, 3.0, 1.2], [3.0, 2.0, 9.0]])
    origins, directions = rays_from(places, generator, 25)
    world = scene.at(5.0)
    hits = cast(world, origins, directions, reach=60.0)
    distance, row = cast_reference(world, scene.ground, origins, directions, 60.0)
    assert len(np.unique(row)) > 25
    seen = np.isfinite(distance)
    np.testing.assert_array_equal(np.isfinite(hits.distance_N), seen)
    # Rays that graze a surface lose digits, differently in each form.
    np.testing.assert_allclose(hits.distance_N[seen], distance[seen], atol=1e-4)
    # Shapes that touch may swap names, never distances.
    assert (hits.shape_N[seen] == row[seen]).mean() > 0.98


@pytest.mark.parametrize("kind", [BOX, BALL, CYLINDER])
@given(seed=st.integers(0, 10_000), taper=st.sampled_from([0.0, 0.3, 0.9, 1.0]))
@settings(max_examples=30, deadline=None)
def test_normals_are_those_of_the_distance(scene, kind, seed, taper):
    """Three rays close together span the surface that the normal is perpendicular to."""
    generator = np.random.default_rng(seed)
    world = one_shape(scene, kind, generator, taper)
    centre = np.array([0.0, 0.0, 30.0])
    start = centre + 12 * unit(generator.normal(size=3))
    aim = unit(centre + generator.normal(size=3) * 0.6 - start)
    side = unit(np.cross(aim, generator.normal(size=3)))
    other = np.cross(aim, side)
    directions = np.stack([aim, unit(aim + 1e-5 * side), unit(aim + 1e-5 * other)])
    hits = cast(world, np.tile(start, (3, 1)), directions, reach=60.0)
    if not (hits.shape_N == 0).all():
        return
    normals = hits.normal_N3
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0, atol=1e-9)
    slant = -np.sum(normals * directions, axis=1)
    assert (slant >= 0).all()
    if np.ptp(normals, axis=0).max() > 1e-3 or slant.min() < 0.05:
        return  # across an edge
    points = start + hits.distance_N[:, None] * directions
    tangents = (points[1:] - points[0]) / 1e-4
    assert np.abs(tangents @ normals[0]).max() < 1e-2 * np.linalg.norm(tangents)


def one_shape(scene, kind, generator, taper):
    world = only(scene, [])
    maps, balls = world.shapes_P16.copy(), world.balls_P4.copy()
    turn = rotation_about(generator.normal(size=3), generator.uniform(0, 3))
    half = generator.uniform(0.3, 2.0, 3)
    if kind == CYLINDER:
        half[1] = half[0]
    linear = turn.T / half[:, None]
    maps[0, :9], maps[0, 9:12] = linear.ravel(), -linear @ (0.0, 0.0, 30.0)
    maps[0, 12:] = (taper, 0.5 * taper, kind, 0.0)
    balls[0] = (0.0, 0.0, 30.0, 3 * half.max() ** 2)
    cells = len(world.starts_C)
    tops = np.full(world.tops_IJ.shape, 40.0)
    return world._replace(
        shapes_P16=maps,
        balls_P4=balls,
        moving_P=np.zeros_like(world.moving_P),
        starts_C=np.arange(cells, dtype=np.int64),
        entries_E=np.zeros(cells, dtype=np.int32),
        tops_IJ=tops,
        ceiling=45.0,
    )


def unit(vector):
    return vector / np.linalg.norm(vector)


def test_a_later_ray_meets_what_moves_where_it_then_is(scene):
    """Casting with an offset is casting in the world of the later moment."""
    late = 0.04
    now, then = scene.at(5.0), scene.at(5.0 + late)
    generator = np.random.default_rng(2)
    moving = np.nonzero(now.moving_P)[0]
    target = then.balls_P4[generator.choice(moving, 400), :3]
    start = scene.ego_pose(5.0)[:3, 3] + (0.0, 0.0, 1.8)
    directions = target - start
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    origins = np.tile(start, (len(directions), 1))
    offset = cast(now, origins, directions, np.full(len(origins), late))
    exact = cast(then, origins, directions)
    same = offset.shape_N == exact.shape_N
    assert same.mean() > 0.97
    hit = same & np.isin(exact.shape_N, moving)
    assert hit.sum() > 20
    error = np.abs(offset.distance_N - exact.distance_N)[hit]
    assert np.median(error) < 2e-3  # linearised motion: acceleration times 0.04^2 / 2
    frozen = cast(now, origins, directions)
    both = hit & (frozen.shape_N == exact.shape_N)
    # Most of what moves are limbs, and slow.
    assert np.median(np.abs(frozen.distance_N - exact.distance_N)[both]) > 5e-3


def test_one_thread_and_many_are_bit_identical(scene):
    generator = np.random.default_rng(3)
    world = scene.at(7.0)
    origins, directions = rays_from(scene.ego_pose(7.0)[None, :3, 3] + (0, 0, 2.0), generator, 3000)
    results = []
    for form in (_cast.serial, _cast.parallel):
        out = np.empty(3000), np.empty(3000, np.int32), np.zeros((3000, 3))
        form(world, origins, directions, np.zeros(3000), 100.0, *out)
        results.append(out)
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


def test_no_rays_and_rays_that_do_not_fit(scene):
    world = scene.at(1.0)
    assert len(cast(world, np.zeros((0, 3)), np.zeros((0, 3))).distance_N) == 0
    with pytest.raises(DataError, match="rays"):
        cast(world, np.zeros((2, 3)), np.zeros((3, 3)))


def test_single_precision_and_strided_rays_are_taken(scene):
    world = scene.at(1.0)
    origins, directions = rays_from(
        scene.ego_pose(1.0)[None, :3, 3] + (0, 0, 2.0), np.random.default_rng(4), 64
    )
    wide = np.zeros((64, 6), np.float32)
    wide[:, ::2] = directions
    rounded = wide[:, ::2]
    one = cast(world, origins, rounded)
    two = cast(world, origins, np.ascontiguousarray(rounded).astype(np.float64))
    np.testing.assert_array_equal(one.distance_N, two.distance_N)


def test_a_scene_is_always_the_same_and_seeds_differ():
    first, again, other = make_scene(3, 1), make_scene(3, 1), make_scene(4, 1)
    for name in ("shapes_P16", "entries_E", "look_P12", "heights", "light"):
        np.testing.assert_array_equal(getattr(first.at(2.0), name), getattr(again.at(2.0), name))
    assert (
        len(first.shapes) != len(other.shapes)
        or dataclasses.astuple(first.drive)[0] != (dataclasses.astuple(other.drive)[0])
    )
