"""One ray and one shape: where it enters, and the normal there."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from sensorfusion.compiled import borrowing, merged
from sensorfusion.simulation.noise import noise, noise_reference
from sensorfusion.simulation.shapes import BALL, BOX
from sensorfusion.simulation.world import World

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Ray = tuple[float, float, float, float, float, float]  # where it starts, and its direction
NOTHING = 1e30  # the distance of a surface that is not there
GRAIN = 5.5  # holes per metre
LAYERS = 4  # of foliage that a ray passes
CLOSEST = 1e-3


@merged
def hit_shape(
    shapes: Array, moves: Array, look: Array, p: int, ray: Ray, offset: float, best: float
) -> float:
    """Distance at which a ray enters shape p, if nearer than `best`; else `NOTHING`."""
    if offset != 0.0:
        ray = to_object(moves, p, ray, offset)
    x, y, z, dx, dy, dz = ray
    ox, oy, oz = unit_point(shapes, p, x, y, z)
    ex, ey, ez = unit_direction(shapes, p, dx, dy, dz)
    return float(enter_unit(shapes, look, p, (ox, oy, oz, ex, ey, ez), best))


@borrowing
def unit_point(shapes: Array, p: int, x: float, y: float, z: float) -> tuple[float, float, float]:
    """A point in the coordinates in which shape p is a unit shape."""
    return (
        shapes[p, 0] * x + shapes[p, 1] * y + shapes[p, 2] * z + shapes[p, 9],
        shapes[p, 3] * x + shapes[p, 4] * y + shapes[p, 5] * z + shapes[p, 10],
        shapes[p, 6] * x + shapes[p, 7] * y + shapes[p, 8] * z + shapes[p, 11],
    )


@borrowing
def unit_direction(
    shapes: Array, p: int, dx: float, dy: float, dz: float
) -> tuple[float, float, float]:
    """A direction in those coordinates; its length says how far a metre is there."""
    return (
        shapes[p, 0] * dx + shapes[p, 1] * dy + shapes[p, 2] * dz,
        shapes[p, 3] * dx + shapes[p, 4] * dy + shapes[p, 5] * dz,
        shapes[p, 6] * dx + shapes[p, 7] * dy + shapes[p, 8] * dz,
    )


@merged
def enter_unit(shapes: Array, look: Array, p: int, ray: Ray, best: float) -> float:
    """`hit_shape` of a ray in the unit shape's coordinates."""
    ox, oy, oz, ex, ey, ez = ray
    if shapes[p, 14] == BOX:
        enter, leave = box_span(ox, oy, oz, ex, ey, ez, shapes[p, 12], shapes[p, 13])
    elif shapes[p, 14] == BALL:
        enter, leave = ball_span(ox, oy, oz, ex, ey, ez)
    else:
        enter, leave = rod_span(ox, oy, oz, ex, ey, ez, shapes[p, 12])
    if enter >= leave or leave <= CLOSEST or enter >= best:
        return NOTHING
    share = shapes[p, 15]
    if share == 0.0:
        return enter if enter > CLOSEST else NOTHING
    layers = 1 if look[p, 6] != 3.0 else LAYERS  # leaves fill the whole shape
    for layer in range(layers + 1):
        t = enter + (leave - enter) * layer / layers
        if CLOSEST < t < best and not is_hole(look, share, p, ox, oy, oz, ex, ey, ez, t):
            return t
    return NOTHING


@borrowing
def misses(balls: Array, p: int, ray: Ray, best: float) -> bool:
    """Whether a ray passes the ball around shape p, or meets something nearer before it."""
    x, y, z, dx, dy, dz = ray
    cx, cy, cz = balls[p, 0] - x, balls[p, 1] - y, balls[p, 2] - z
    along = cx * dx + cy * dy + cz * dz
    square = balls[p, 3]
    away = cx * cx + cy * cy + cz * cz - along * along
    return bool(away > square or (along > best and (along - best) * (along - best) > square))


@borrowing
def to_object(moves: Array, p: int, ray: Ray, offset: float) -> Ray:
    """A ray that leaves `offset` seconds later, as the object's position at the moment sees it."""
    x, y, z, dx, dy, dz = ray
    angle = moves[p, 3] * offset
    cosine, sine = math.cos(angle), math.sin(angle)
    rx = x - moves[p, 4] - moves[p, 0] * offset
    ry = y - moves[p, 5] - moves[p, 1] * offset
    return (
        moves[p, 4] + cosine * rx + sine * ry,
        moves[p, 5] - sine * rx + cosine * ry,
        z - moves[p, 2] * offset,
        cosine * dx + sine * dy,
        -sine * dx + cosine * dy,
        dz,
    )


@borrowing
def is_hole(
    look: Array,
    share: float,
    p: int,
    ox: float,
    oy: float,
    oz: float,
    ex: float,
    ey: float,
    ez: float,
    t: float,
) -> bool:
    """Whether a point of a surface is open; holes are fixed to the object."""
    px = (ox + t * ex) * look[p, 9]
    py = (oy + t * ey) * look[p, 10]
    pz = (oz + t * ez) * look[p, 11]
    if look[p, 6] == 10.0:  # a mesh: bars 6 cm wide every 24 cm
        return bool((px + 100.0) % 0.24 > 0.06 and (pz + 100.0) % 0.5 > 0.06)
    if look[p, 6] == 16.0:  # a wheel of spokes: its rim and hub are closed
        return bool(0.02 < (ox + t * ex) ** 2 + (oy + t * ey) ** 2 < share)
    return bool(noise(GRAIN * px + 37.0 * (p % 101), GRAIN * py, GRAIN * pz) < share)


@borrowing
def box_span(
    ox: float, oy: float, oz: float, ex: float, ey: float, ez: float, kx: float, ky: float
) -> tuple[float, float]:
    """Where a ray is inside the tapered unit box: six half spaces."""
    enter, leave = -NOTHING, NOTHING
    for side in range(6):
        sign = 1.0 if side % 2 == 0 else -1.0
        if side < 2:
            rate, room = sign * ez, 1.0 - sign * oz
        elif side < 4:
            rate = sign * ex + 0.5 * kx * ez
            room = 1.0 - 0.5 * kx - sign * ox - 0.5 * kx * oz
        else:
            rate = sign * ey + 0.5 * ky * ez
            room = 1.0 - 0.5 * ky - sign * oy - 0.5 * ky * oz
        if rate > 0.0:
            leave = min(leave, room / rate)
        elif rate < 0.0:
            enter = max(enter, room / rate)
        elif room < 0.0:
            return NOTHING, -NOTHING
    return enter, leave


@borrowing
def ball_span(
    ox: float, oy: float, oz: float, ex: float, ey: float, ez: float
) -> tuple[float, float]:
    """Where a ray is inside the unit ball."""
    a = ex * ex + ey * ey + ez * ez
    b = ox * ex + oy * ey + oz * ez
    c = ox * ox + oy * oy + oz * oz - 1.0
    inside = b * b - a * c
    if inside <= 0.0:
        return NOTHING, -NOTHING
    root = math.sqrt(inside)
    return (-b - root) / a, (-b + root) / a


@borrowing
def rod_span(
    ox: float, oy: float, oz: float, ex: float, ey: float, ez: float, taper: float
) -> tuple[float, float]:
    """Where a ray is inside the tapered unit cylinder: x^2 + y^2 <= (radius at z)^2, |z| <= 1."""
    enter, leave = -NOTHING, NOTHING
    if ez != 0.0:
        enter, leave = (-1.0 - oz) / ez, (1.0 - oz) / ez
        enter, leave = min(enter, leave), max(enter, leave)
    elif abs(oz) > 1.0:
        return NOTHING, -NOTHING
    slope = -0.5 * taper
    radius = 1.0 - 0.5 * taper + slope * oz
    a = ex * ex + ey * ey - slope * slope * ez * ez
    b = ox * ex + oy * ey - slope * ez * radius
    c = ox * ox + oy * oy - radius * radius
    inside = b * b - a * c
    if inside < 0.0 or a == 0.0:
        if a >= 0.0:
            return (enter, leave) if a == 0.0 and b == 0.0 and c <= 0.0 else (NOTHING, -NOTHING)
        return enter, leave  # steeper than the side, and within both caps' nappe
    root = math.sqrt(inside)
    first, second = (-b - root) / a, (-b + root) / a
    if a > 0.0:
        return max(enter, first), min(leave, second)
    first, second = second, first  # outside of [first, second] is inside the double cone
    if enter < first:
        return enter, min(leave, first)
    return max(enter, second), leave


@borrowing
def normal_of(
    shapes: Array, moves: Array, p: int, x: float, y: float, z: float, offset: float
) -> tuple[float, float, float]:
    """Outward unit normal of shape p at a point of its surface."""
    if offset != 0.0:
        x, y, z, _, _, _ = to_object(moves, p, (x, y, z, 0.0, 0.0, 0.0), offset)
    ox, oy, oz = unit_point(shapes, p, x, y, z)
    gx, gy, gz = unit_normal(shapes, p, ox, oy, oz)
    nx = shapes[p, 0] * gx + shapes[p, 3] * gy + shapes[p, 6] * gz
    ny = shapes[p, 1] * gx + shapes[p, 4] * gy + shapes[p, 7] * gz
    nz = shapes[p, 2] * gx + shapes[p, 5] * gy + shapes[p, 8] * gz
    if offset != 0.0:
        angle = moves[p, 3] * offset
        cosine, sine = math.cos(angle), math.sin(angle)
        nx, ny = cosine * nx - sine * ny, sine * nx + cosine * ny
    length = math.sqrt(nx * nx + ny * ny + nz * nz)
    return nx / length, ny / length, nz / length


@borrowing
def unit_normal(
    shapes: Array, p: int, ox: float, oy: float, oz: float
) -> tuple[float, float, float]:
    """Gradient of the unit shape's side that a point lies on."""
    kx, ky = shapes[p, 12], shapes[p, 13]
    if shapes[p, 14] == BALL:
        return ox, oy, oz
    if shapes[p, 14] == BOX:
        side_x = abs(ox) + 0.5 * kx * oz + 0.5 * kx
        side_y = abs(oy) + 0.5 * ky * oz + 0.5 * ky
        if abs(oz) >= side_x and abs(oz) >= side_y:
            return 0.0, 0.0, (1.0 if oz > 0 else -1.0)
        if side_x >= side_y:
            return (1.0 if ox > 0 else -1.0), 0.0, 0.5 * kx
        return 0.0, (1.0 if oy > 0 else -1.0), 0.5 * ky
    radius = 1.0 - 0.5 * kx - 0.5 * kx * oz
    if abs(oz) - 1.0 >= math.sqrt(ox * ox + oy * oy) - radius:
        return 0.0, 0.0, (1.0 if oz > 0 else -1.0)
    return ox, oy, 0.5 * kx * radius


def hit_shape_reference(world: World, p: int, origins_N3: Floats, directions_N3: Floats) -> Floats:
    """`hit_shape` of N rays at the world's moment, by other means: float64 [N].

    Every surface's own hit point is tried, and those that lie on the shape are kept; the first and
    the last of them are where the ray enters and leaves.
    """
    table = world.shapes_P16[p]
    linear = table[:9].reshape(3, 3)
    start, ray = origins_N3 @ linear.T + table[9:12], directions_N3 @ linear.T
    with np.errstate(divide="ignore", invalid="ignore"):
        at_TN = np.stack(_tries(table, start, ray))
        valid = _on_shape(table, start + at_TN[..., None] * ray) & np.isfinite(at_TN)
    enter = np.where(valid, at_TN, np.inf).min(axis=0)
    leave = np.where(valid, at_TN, -np.inf).max(axis=0)
    hit = leave > np.maximum(enter, CLOSEST)
    if table[15] == 0.0:
        return np.where(hit & (enter > CLOSEST), enter, NOTHING)
    enter, leave = np.where(hit, enter, 0.0), np.where(hit, leave, 0.0)
    layers = LAYERS if world.look_P12[p, 6] == 3.0 else 1
    found = np.full(len(enter), NOTHING)
    for layer in range(layers, -1, -1):
        t = enter + (leave - enter) * layer / layers
        closed = hit & (t > CLOSEST)
        closed &= ~_open(world.look_P12[p], table[15], p, start + t[:, None] * ray)
        found = np.where(closed, t, found)
    return found


def _tries(table: Floats, start: Floats, ray: Floats) -> list[Floats]:
    """Distances [N] at which rays cross each of a shape's surfaces, extended."""
    kx, ky = table[12], table[13]
    if table[14] == BALL:
        return _roots((ray**2).sum(1), (start * ray).sum(1), (start**2).sum(1) - 1.0)
    tries = [(end - start[:, 2]) / ray[:, 2] for end in (-1.0, 1.0)]
    if table[14] == BOX:
        for axis, k in ((0, kx), (1, ky)):
            for sign in (-1.0, 1.0):
                normal = np.array([0.0, 0.0, k / 2])
                normal[axis] = sign
                tries.append((1 - k / 2 - start @ normal) / (ray @ normal))
        return tries
    slope = -kx / 2
    radius = 1.0 + slope + slope * start[:, 2]
    return tries + _roots(
        ray[:, 0] ** 2 + ray[:, 1] ** 2 - (slope * ray[:, 2]) ** 2,
        start[:, 0] * ray[:, 0] + start[:, 1] * ray[:, 1] - slope * ray[:, 2] * radius,
        start[:, 0] ** 2 + start[:, 1] ** 2 - radius**2,
    )


def _roots(a: Floats, b: Floats, c: Floats) -> list[Floats]:
    root = np.sqrt(b * b - a * c)
    return [(-b - root) / a, (-b + root) / a]


def _on_shape(table: Floats, points: Floats, surface: float = 1e-7) -> npt.NDArray[np.bool_]:
    x, y, z = np.moveaxis(points, -1, 0)
    kx, ky, kind = table[12], table[13], table[14]
    if kind == BALL:
        return np.asarray(x * x + y * y + z * z <= 1.0 + 2 * surface)
    within = np.abs(z) <= 1.0 + surface
    if kind == BOX:
        within &= np.abs(x) <= 1.0 - kx * (z + 1) / 2 + surface
        return np.asarray(within & (np.abs(y) <= 1.0 - ky * (z + 1) / 2 + surface))
    return np.asarray(within & (np.hypot(x, y) <= 1.0 - kx * (z + 1) / 2 + surface))


def _open(look: Floats, share: float, p: int, points: Floats) -> npt.NDArray[np.bool_]:
    metres = points * look[9:12]
    if look[6] == 10.0:
        bars_x, bars_z = (metres[..., 0] + 100.0) % 0.24, (metres[..., 2] + 100.0) % 0.5
        return np.asarray((bars_x > 0.06) & (bars_z > 0.06))
    if look[6] == 16.0:
        square = points[..., 0] ** 2 + points[..., 1] ** 2
        return np.asarray((square > 0.02) & (square < share))
    grains = GRAIN * metres.reshape(-1, 3) + np.array([37.0 * (p % 101), 0.0, 0.0])
    return np.asarray(noise_reference(grains).reshape(metres.shape[:-1]) < share)
