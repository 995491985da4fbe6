"""Rays against a world: the first surface that each meets.

A ray walks through the cells of a grid (Amanatides and Woo, "A fast voxel traversal algorithm for
ray tracing", Eurographics 1987), meets the shapes listed there and the ground's bilinear patch,
and stops in the cell of the first hit. Cells whose content is below the ray cost nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from sensorfusion.compiled import borrowing, compiled, merged
from sensorfusion.errors import DataError
from sensorfusion.simulation.ground import (
    CELL,
    HALF_LENGTH,
    HALF_WIDTH,
    KERB,
    is_street,
)
from sensorfusion.simulation.intersect import (
    NOTHING,
    Ray,
    hit_shape,
    misses,
    normal_of,
)
from sensorfusion.simulation.world import World

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
NEAREST = 1e-3  # metres: closer surfaces are those that a ray starts on


@dataclass(frozen=True, eq=False)
class Hits:
    """What N rays met.

    Args:
        distance_N: float64 metres; infinite for the sky.
        shape_N: int32 row of the shape; P (their number) for the ground, -1 for the sky.
        normal_N3: float64 unit normal that faces the ray; zero for the sky.
    """

    distance_N: Floats
    shape_N: npt.NDArray[np.int32]
    normal_N3: Floats


def cast(
    world: World,
    origins_N3: Array,
    directions_N3: Array,
    offsets_N: Array | None = None,
    reach: float = 150.0,
) -> Hits:
    """First hits of N rays in block axes.

    Args:
        origins_N3: in metres, inside the block. directions_N3: unit vectors.
        offsets_N: seconds after the world's moment at which each ray leaves (default 0).
        reach: metres beyond which nothing is seen.

    Raises:
        DataError: when the arrays' shapes do not fit each other.
    """
    count = len(directions_N3)
    given = np.zeros(count) if offsets_N is None else offsets_N
    if origins_N3.shape != (count, 3) or directions_N3.shape != (count, 3) or len(given) != count:
        raise DataError(
            f"rays of shapes {origins_N3.shape}, {directions_N3.shape}, {given.shape}",
            where="simulation.casting.cast",
            remedy="give [N, 3], [N, 3] and [N]",
        )
    rays = [np.ascontiguousarray(a, dtype=np.float64) for a in (origins_N3, directions_N3, given)]
    distance, shape, normal = np.empty(count), np.empty(count, np.int32), np.zeros((count, 3))
    _cast(world, rays[0], rays[1], rays[2], float(reach), distance, shape, normal)
    return Hits(distance, shape, normal)


@compiled()
def _cast(
    world: World,
    origins: Floats,
    directions: Floats,
    offsets: Floats,
    reach: float,
    distance: Floats,
    shape: Array,
    normal: Floats,
) -> None:
    for n in numba.prange(origins.shape[0]):
        ray = (
            origins[n, 0],
            origins[n, 1],
            origins[n, 2],
            directions[n, 0],
            directions[n, 1],
            directions[n, 2],
        )
        t, found = trace(world, ray, offsets[n], reach)
        distance[n] = t if found >= 0 else np.inf
        shape[n] = found
        if found >= 0:
            side = surface_normal(world, found, ray, t, offsets[n])
            normal[n, 0], normal[n, 1], normal[n, 2] = side


@merged
def trace(world: World, ray: Ray, offset: float, reach: float) -> tuple[float, int]:
    """Distance and row of the first hit. Row -1: nothing."""
    best, found = reach, -1
    shapes, moves, moving, look = world.shapes_P16, world.moves_P6, world.moving_P, world.look_P12
    balls = world.balls_P4
    starts, entries, tops, grounds = world.starts_C, world.entries_E, world.tops_IJ, world.ground_IJ
    columns, rows = tops.shape
    z, dz = ray[2], ray[5]
    if dz > 0.0:
        best = min(best, max((world.ceiling - z) / dz, 0.0))
    i, j, step_i, step_j, next_u, next_v, across_u, across_v = _walk(ray)
    start = 0.0
    while 0 <= i < columns and 0 <= j < rows and start < best:
        stop = min(next_u, next_v, best)
        low = z + dz * (stop if dz < 0.0 else start)
        if low <= tops[i, j]:
            cell = i * rows + j
            for e in range(starts[cell], starts[cell + 1]):
                p = entries[e]
                if misses(balls, p, ray, best) and not (moving[p] and offset != 0.0):
                    continue
                later = offset if moving[p] else 0.0
                t = hit_shape(shapes, moves, look, p, ray, later, best)
                if t < best:
                    best, found = t, p
        if low <= grounds[i, j]:
            t = _hit_ground(world, i, j, ray, start, stop)
            if t < best:
                best, found = t, shapes.shape[0]
        start = min(next_u, next_v)
        if next_u < next_v:
            next_u += across_u
            i += step_i
        else:
            next_v += across_v
            j += step_j
    return best, found


@merged
def meet_ground(world: World, ray: Ray, best: float, roof: float) -> float:
    """Distance at which a ray meets the ground, if nearer than `best`; else `NOTHING`.

    No ground is higher than `roof`.
    """
    grounds = world.ground_IJ
    columns, rows = grounds.shape
    z, dz = ray[2], ray[5]
    if z + (dz * best if dz < 0.0 else 0.0) > roof:
        return NOTHING
    i, j, step_i, step_j, next_u, next_v, across_u, across_v = _walk(ray)
    start = 0.0
    while 0 <= i < columns and 0 <= j < rows and start < best:
        stop = min(next_u, next_v)
        low = z + dz * (stop if dz < 0.0 else start)
        if low <= grounds[i, j]:
            t = _hit_ground(world, i, j, ray, start, stop)
            if t < best:
                return float(t)
        elif dz > 0.0 and low > roof:
            return NOTHING
        start = stop
        if next_u < next_v:
            next_u += across_u
            i += step_i
        else:
            next_v += across_v
            j += step_j
    return NOTHING


@merged
def _walk(ray: Ray) -> tuple[int, int, int, int, float, float, float, float]:
    """A ray's cell, its steps along both axes, where it first leaves, and how far cells are."""
    x, y, _, dx, dy, _ = ray
    u, v = (x + HALF_LENGTH) / CELL, (y + HALF_WIDTH) / CELL
    i, j = math.floor(u), math.floor(v)
    du, dv = dx / CELL, dy / CELL
    step_i, step_j = (1 if du > 0 else -1), (1 if dv > 0 else -1)
    across_u = abs(1.0 / du) if du != 0.0 else NOTHING
    across_v = abs(1.0 / dv) if dv != 0.0 else NOTHING
    next_u = ((i + 1 - u) if du > 0 else (u - i)) * across_u if du != 0.0 else NOTHING
    next_v = ((j + 1 - v) if dv > 0 else (v - j)) * across_v if dv != 0.0 else NOTHING
    return i, j, step_i, step_j, next_u, next_v, across_u, across_v


@merged
def _hit_ground(world: World, i: int, j: int, ray: Ray, start: float, stop: float) -> float:
    """Where a ray meets the ground of a cell, between two distances."""
    x, y, z, dx, dy, dz = ray
    zone = world.zones[i, j]
    middle, widths, crossings = world.middle, world.widths, world.crossings
    if zone != 2:
        return float(_patch(world.heights, i, j, ray, start, stop, KERB * zone))
    raised = _patch(world.heights, i, j, ray, start, stop, KERB)
    if raised < NOTHING and not is_street(
        middle, widths, crossings, x + raised * dx, y + raised * dy
    ):
        return raised
    street = _patch(world.heights, i, j, ray, start, stop, 0.0)
    if street < NOTHING and is_street(middle, widths, crossings, x + street * dx, y + street * dy):
        return street
    # Between the two levels the ray left the street: it meets the kerb's face there.
    above = raised if raised < NOTHING else start
    below = street if street < NOTHING else stop
    if below <= above or not is_street(middle, widths, crossings, x + above * dx, y + above * dy):
        return NOTHING
    if is_street(middle, widths, crossings, x + below * dx, y + below * dy):
        return NOTHING
    for _ in range(24):
        between = 0.5 * (above + below)
        if is_street(middle, widths, crossings, x + between * dx, y + between * dy):
            above = between
        else:
            below = between
    level = z + below * dz - _level(world.heights, i, j, x + below * dx, y + below * dy)
    return below if -1e-6 <= level <= KERB + 1e-6 and below > NEAREST else NOTHING


@borrowing
def _level(heights: Floats, i: int, j: int, x: float, y: float) -> float:
    """Height of the street's level in a cell."""
    u = (x + HALF_LENGTH) / CELL - i
    v = (y + HALF_WIDTH) / CELL - j
    low = heights[i, j] * (1 - u) + heights[i + 1, j] * u
    high = heights[i, j + 1] * (1 - u) + heights[i + 1, j + 1] * u
    return float(low * (1 - v) + high * v)


@borrowing
def _patch(
    heights: Floats, i: int, j: int, ray: Ray, start: float, stop: float, lift: float
) -> float:
    """First crossing of the bilinear patch, raised by `lift`: the root of a quadratic in t."""
    x, y, z, dx, dy, dz = ray
    u, v = (x + start * dx + HALF_LENGTH) / CELL - i, (y + start * dy + HALF_WIDTH) / CELL - j
    du, dv = dx / CELL, dy / CELL
    h00 = heights[i, j]
    ku, kv = heights[i + 1, j] - h00, heights[i, j + 1] - h00
    kuv = heights[i + 1, j + 1] - h00 - ku - kv
    a = kuv * du * dv
    b = ku * du + kv * dv + kuv * (u * dv + v * du) - dz
    c = h00 + lift + ku * u + kv * v + kuv * u * v - (z + start * dz)
    t = NOTHING
    if abs(a) < 1e-9 * abs(b):
        t = -c / b
    else:
        inside = b * b - 4.0 * a * c
        if inside >= 0.0:
            q = -0.5 * (b + (math.sqrt(inside) if b > 0 else -math.sqrt(inside)))
            first, second = q / a, (c / q if q != 0.0 else NOTHING)
            first, second = min(first, second), max(first, second)
            low = NEAREST - start if start < NEAREST else -1e-9
            t = first if first >= low else second
    t += start
    return t if t > NEAREST and start - 1e-9 <= t <= stop + 1e-9 else NOTHING


@merged
def surface_normal(
    world: World, p: int, ray: Ray, t: float, offset: float
) -> tuple[float, float, float]:
    """Unit normal, facing the ray, of what was hit at distance t."""
    x, y, z, dx, dy, dz = ray
    hx, hy, hz = x + t * dx, y + t * dy, z + t * dz
    if p < world.shapes_P16.shape[0]:
        later = offset if world.moving_P[p] else 0.0
        nx, ny, nz = normal_of(world.shapes_P16, world.moves_P6, p, hx, hy, hz, later)
    else:
        nx, ny, nz = _ground_normal(world, hx, hy, hz, dx, dy)
    if nx * dx + ny * dy + nz * dz > 0.0:
        return -nx, -ny, -nz
    return nx, ny, nz


@merged
def _ground_normal(
    world: World, x: float, y: float, z: float, dx: float, dy: float
) -> tuple[float, float, float]:
    columns, rows = world.zones.shape
    i = min(max(int((x + HALF_LENGTH) / CELL), 0), columns - 1)
    j = min(max(int((y + HALF_WIDTH) / CELL), 0), rows - 1)
    above = z - _level(world.heights, i, j, x, y)
    if world.zones[i, j] == 2 and 1e-5 < above < KERB - 1e-5:
        for k in range(world.crossings.shape[0]):
            if abs(abs(x - world.crossings[k, 0]) - world.crossings[k, 1]) < 1e-4:
                return (-1.0 if dx > 0 else 1.0), 0.0, 0.0
        return 0.0, (-1.0 if dy > 0 else 1.0), 0.0
    slope_x = (
        _level(world.heights, i, j, x + 0.1, y) - _level(world.heights, i, j, x - 0.1, y)
    ) / 0.2
    slope_y = (
        _level(world.heights, i, j, x, y + 0.1) - _level(world.heights, i, j, x, y - 0.1)
    ) / 0.2
    length = math.sqrt(slope_x * slope_x + slope_y * slope_y + 1.0)
    return -slope_x / length, -slope_y / length, 1.0 / length
