"""Pixels of pinhole cameras: colour with sun, shadow, sky and haze; depth and what was hit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from sensorfusion.compiled import borrowing, compiled, merged
from sensorfusion.simulation.casting import meet_ground, surface_normal
from sensorfusion.simulation.exposure import expose
from sensorfusion.simulation.ground import made_of
from sensorfusion.simulation.intersect import Ray, to_object, unit_normal, unit_point
from sensorfusion.simulation.noise import noise
from sensorfusion.simulation.shapes import BOX
from sensorfusion.simulation.sunlight import Sunlight, find_sunlight, is_shaded
from sensorfusion.simulation.surface import (
    RGB,
    ground_colour,
    sky_colour,
    smooth_sky,
    surface_colour,
)
from sensorfusion.simulation.tiles import (
    TILE_COLUMNS,
    TILE_ROWS,
    Tiles,
    find_tiles,
    meet_shapes,
)
from sensorfusion.simulation.world import World

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
FAR = 180.0  # metres
OVERCAST = 0.3  # sunlight below which nothing casts a shadow


@dataclass(frozen=True, eq=False)
class Picture:
    """What K cameras saw.

    Args:
        colour_KHW3: uint8 sRGB. depth_KHW: float32, z in the camera's frame (m), 0 for the sky.
        shape_KHW: int32 row of the shape, their number for the ground, -1 for the sky.
    """

    colour_KHW3: npt.NDArray[np.uint8]
    depth_KHW: npt.NDArray[np.float32]
    shape_KHW: npt.NDArray[np.int32]


def render(
    world: World,
    T_block_camera_K44: Floats,
    intrinsics_K33: Floats,
    offsets_K: Floats,
    size: tuple[int, int],
    *,
    grain: float = 0.012,
    seeds_K: Sequence[int] | None = None,
    shadows: bool = True,
) -> Picture:
    """Render K cameras.

    Args:
        T_block_camera_K44: poses in block axes; camera frame x right, y down, z ahead.
        offsets_K: seconds after the world's moment of each exposure.
        size: (H, W). grain: deviation of the sensor's noise at full exposure.
        seeds_K: of each camera's noise. shadows: whether things cast shadows.
    """
    count, (height, width) = len(T_block_camera_K44), size
    colour = np.empty((count, height, width, 3), np.uint8)
    depth = np.empty((count, height, width), np.float32)
    shape = np.empty((count, height, width), np.int32)
    rays = np.ascontiguousarray(T_block_camera_K44[:, :3, :3] @ np.linalg.inv(intrinsics_K33))
    centres = np.ascontiguousarray(T_block_camera_K44[:, :3, 3])
    offsets = np.ascontiguousarray(offsets_K, dtype=np.float64)
    lit = shadows and bool(world.light[0] > OVERCAST)
    views = Views(
        rays,
        centres,
        offsets,
        np.ascontiguousarray(intrinsics_K33[:, 0, 0]),
        np.arange(count) if seeds_K is None else np.asarray(seeds_K, dtype=np.int64),
    )
    tiles = find_tiles(world, rays, centres, offsets, size)
    sunlight = find_sunlight(world, float(np.abs(offsets).max(initial=0.0)), lit)
    _render(world, views, tiles, sunlight, lit, grain, colour, depth, shape)
    return Picture(colour, depth, shape)


class Views(NamedTuple):
    """K cameras: rays and centres (see `find_tiles`), offsets, focal lengths, seeds of noise."""

    rays_K33: Floats
    centres_K3: Floats
    offsets_K: Floats
    focal_K: Floats
    seeds_K: Array


@compiled()
def _render(
    world: World,
    views: Views,
    tiles: Tiles,
    sunlight: Sunlight,
    lit: bool,
    grain: float,
    colour: Array,
    depth: Array,
    shape: Array,
) -> None:
    count, height, width = depth.shape
    rows, columns = -(-height // TILE_ROWS), -(-width // TILE_COLUMNS)
    for n in numba.prange(count * rows * columns):
        # Columns of tiles, so that every thread has its part of sky and of ground.
        row, column = n % (count * rows), n // (count * rows)
        k, first_v, first_u = row // rows, row % rows * TILE_ROWS, column * TILE_COLUMNS
        last_v, last_u = min(first_v + TILE_ROWS, height), min(first_u + TILE_COLUMNS, width)
        directions = np.empty((TILE_ROWS * TILE_COLUMNS, 4))
        best = np.full(TILE_ROWS * TILE_COLUMNS, FAR)
        found = np.full(TILE_ROWS * TILE_COLUMNS, -1)
        corner, end = (first_v, first_u), (last_v, last_u)
        _aim(views.rays_K33[k], corner, end, directions)
        meet_shapes(world, tiles, k, row * columns + column, corner, end, directions, best, found)
        for v in range(first_v, last_v):
            for u in range(first_u, last_u):
                m = (v - first_v) * TILE_COLUMNS + u - first_u
                ray = _ray(views, k, directions[m])
                t, p = best[m], found[m]
                ground = meet_ground(world, ray, t, sunlight.roof)
                if ground < t:
                    t, p = ground, world.shapes_P16.shape[0]
                length = directions[m, 3]
                shape[k, v, u] = p
                depth[k, v, u] = t / length if p >= 0 else 0.0
                spread = length / views.focal_K[k]  # metres that a pixel covers, per metre
                offset = views.offsets_K[k]
                light = _shade(world, sunlight, p, ray, t, offset, spread, lit)
                pixel = v * width + u
                expose(world.light[11], grain, views.seeds_K[k], pixel, light, colour[k, v, u])


@borrowing
def _aim(rays: Floats, corner: tuple[int, int], end: tuple[int, int], directions: Floats) -> None:
    """Directions of a tile's pixels, and how long they are where their depth is 1."""
    for v in range(corner[0], end[0]):
        for u in range(corner[1], end[1]):
            n = (v - corner[0]) * TILE_COLUMNS + u - corner[1]
            dx = rays[0, 0] * u + rays[0, 1] * v + rays[0, 2]
            dy = rays[1, 0] * u + rays[1, 1] * v + rays[1, 2]
            dz = rays[2, 0] * u + rays[2, 1] * v + rays[2, 2]
            length = math.sqrt(dx * dx + dy * dy + dz * dz)
            directions[n, 0], directions[n, 1] = dx / length, dy / length
            directions[n, 2], directions[n, 3] = dz / length, length


@merged
def _ray(views: Views, k: int, direction: Floats) -> Ray:
    centre = views.centres_K3[k]
    return centre[0], centre[1], centre[2], direction[0], direction[1], direction[2]


@merged
def _shade(
    world: World,
    sunlight: Sunlight,
    p: int,
    ray: Ray,
    t: float,
    offset: float,
    spread: float,
    lit: bool,
) -> RGB:
    """Radiance that comes along a ray."""
    x, y, z, dx, dy, dz = ray
    light, sun = world.light, world.sun_3
    if p < 0:
        red, green, blue = sky_colour(light, sun, dx, dy, dz)
        return red, green, blue
    hx, hy, hz = x + t * dx, y + t * dy, z + t * dz
    nx, ny, nz = surface_normal(world, p, ray, t, offset)
    slant = max(0.15, -(nx * dx + ny * dy + nz * dz))
    red, green, blue, gloss = _albedo(world, p, hx, hy, hz, nx, ny, nz, offset, spread * t / slant)
    open_sky = 0.5 + 0.5 * nz
    if p < world.shapes_P16.shape[0] and world.look_P12[p, 6] == 3.0:
        bump = 3.0
        nx += 1.1 * (noise(bump * hx, bump * hy, bump * hz + 11.0) - 0.5)
        ny += 1.1 * (noise(bump * hx + 31.0, bump * hy, bump * hz) - 0.5)
    facing = nx * sun[0] + ny * sun[1] + nz * sun[2]
    direct = max(facing, 0.0)
    if facing > 0.0 and lit:
        lift = 2e-3 + 1e-4 * t
        if is_shaded(world, sunlight, hx + lift * nx, hy + lift * ny, hz + lift * nz, offset):
            direct = 0.0
    ambient = 0.85 * open_sky
    bounce = 0.18 * (1.0 - open_sky) + 0.05
    mirror, seen_red, seen_green, seen_blue = _mirrored(
        light, sun, dx, dy, dz, nx, ny, nz, gloss, direct
    )
    haze = 1.0 - math.exp(-light[10] * t)
    return (
        _blend(
            red, light[0], direct, ambient * light[3] + bounce, mirror, seen_red, haze, light[6]
        ),
        _blend(
            green, light[1], direct, ambient * light[4] + bounce, mirror, seen_green, haze, light[7]
        ),
        _blend(
            blue, light[2], direct, ambient * light[5] + bounce, mirror, seen_blue, haze, light[8]
        ),
    )


@borrowing
def _mirrored(
    light: Array,
    sun: Array,
    dx: float,
    dy: float,
    dz: float,
    nx: float,
    ny: float,
    nz: float,
    gloss: float,
    direct: float,
) -> tuple[float, float, float, float]:
    """Share of mirrored light, more at grazing angles, and the sky and sun that are seen in it."""
    if gloss == 0.0:
        return 0.0, 0.0, 0.0, 0.0
    cosine = -(nx * dx + ny * dy + nz * dz)
    share = gloss + (1.0 - gloss) * max(0.0, 1.0 - max(cosine, 0.0)) ** 5 * 0.6
    rx, ry, rz = dx + 2 * cosine * nx, dy + 2 * cosine * ny, dz + 2 * cosine * nz
    red, green, blue = smooth_sky(light, max(rz, 0.0))
    dim = 0.75 if rz > 0.12 else 0.3
    spot = 2.5 * direct * max(rx * sun[0] + ry * sun[1] + rz * sun[2], 0.0) ** 200
    return share, red * dim + spot, green * dim + spot, blue * dim + spot


@borrowing
def _blend(
    albedo: float,
    sunlight: float,
    direct: float,
    ambient: float,
    mirror: float,
    seen: float,
    haze: float,
    veil: float,
) -> float:
    """One channel: diffuse light, mirrored sky, haze."""
    diffuse = albedo * (sunlight * direct * 0.9 + ambient)
    return (diffuse * (1.0 - mirror) + seen * mirror) * (1.0 - haze) + 0.8 * veil * haze


@merged
def _albedo(
    world: World,
    p: int,
    x: float,
    y: float,
    z: float,
    nx: float,
    ny: float,
    nz: float,
    offset: float,
    footprint: float,
) -> tuple[float, float, float, float]:
    """Colour and gloss of what was hit at a point."""
    shapes = world.shapes_P16
    if p >= shapes.shape[0]:
        made = made_of(world.middle, world.widths, world.lanes, world.crossings, world.plots, x, y)
        red, green, blue = ground_colour(world.tints, made, x, y, abs(nz) < 0.5, footprint)
        return red, green, blue, 0.0
    if offset != 0.0 and world.moving_P[p]:
        x, y, z, _, _, _ = to_object(world.moves_P6, p, (x, y, z, 0.0, 0.0, 0.0), offset)
    ox, oy, oz = unit_point(shapes, p, x, y, z)
    gx, gy, gz = 0.0, 0.0, 1.0
    if shapes[p, 14] == BOX:
        gx, gy, gz = unit_normal(shapes, p, ox, oy, oz)
    return surface_colour(world.look_P12, p, ox, oy, oz, gx, gy, gz, footprint)
