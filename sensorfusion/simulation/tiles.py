"""Which shapes each tile of an image may show, nearest first.

A view's pixels all start at one place, so that what depends on a shape and that place alone is
worked out once, and a pixel only meets the shapes whose outlines reach its tile.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from sensorfusion.compiled import borrowing, compiled, merged
from sensorfusion.simulation.bins import bin_rectangles
from sensorfusion.simulation.intersect import Ray, enter_unit, to_object, unit_direction, unit_point
from sensorfusion.simulation.shapes import BALL
from sensorfusion.simulation.world import CLEARANCE, World, listed

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
TILE_ROWS, TILE_COLUMNS = 8, 16
CLOSE = 1e-4  # metres before a camera, where outlines are cut off
JUST_ABOVE = 1.0 + 2.0**-51
SLACK = 1e-3  # pixels by which outlines are widened, against rounding


class Tiles(NamedTuple):
    """K views of P shapes.

    Args:
        sight_KP10: a view of a shape: where its rays start in the unit shape's coordinates (3),
            cosine and sine of the object's turn since the world's moment, from the camera to the
            middle of the ball around the shape (3), the square of the distance to the ball's
            rim, and a distance nearer than which the shape is nowhere.
        outline_KP4: int32 first and last row, first and last column of pixels that may show it.
        starts_T, entries_E: the shapes of every tile, row of tiles after row, view after view.
    """

    sight_KP10: Floats
    outline_KP4: Array
    starts_T: Array
    entries_E: Array


def find_tiles(
    world: World, rays_K33: Floats, centres_K3: Floats, offsets_K: Floats, size: tuple[int, int]
) -> Tiles:
    """Outlines of all shapes in K views.

    Args:
        rays_K33: take (u, v, 1) to directions in block axes. centres_K3: of the cameras.
        offsets_K: seconds after the world's moment of each view. size: (H, W).
    """
    views, shapes = len(rays_K33), len(world.shapes_P16)
    sight = np.zeros((views, shapes, 10))
    outline = np.empty((views, shapes, 4), np.int32)
    pixels = np.ascontiguousarray(np.linalg.inv(rays_K33))
    _outline(world, listed(world), pixels, centres_K3, offsets_K, size, sight, outline)
    order = np.argsort(sight[:, :, 9], axis=1, kind="stable")
    cells = outline // np.array([TILE_ROWS, TILE_ROWS, TILE_COLUMNS, TILE_COLUMNS], np.int32)
    return Tiles(sight, outline, *bin_rectangles(cells, order, tile_grid(size)))


def tile_grid(size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of tiles that cover an image of (H, W)."""
    return -(-size[0] // TILE_ROWS), -(-size[1] // TILE_COLUMNS)


@compiled()
def _outline(
    world: World,
    rows: Array,
    pixels: Floats,
    centres: Floats,
    offsets: Floats,
    size: tuple[int, int],
    sight: Floats,
    outline: Array,
) -> None:
    for k in numba.prange(centres.shape[0]):
        axes = np.empty((4, 3))
        outline[k, :, ::2] = 0
        outline[k, :, 1::2] = -1
        for r in range(rows.shape[0]):
            p = rows[r]
            _place(world, p, centres[k], offsets[k], sight[k, p], axes)
            u0, u1, v0, v1, depth = _project(pixels[k], axes, world.shapes_P16[p, 14] == BALL)
            sight[k, p, 9] = max(sight[k, p, 9], depth) - CLEARANCE
            u0, u1 = max(u0 - SLACK, 0.0), min(u1 + SLACK, size[1] - 1.0)
            v0, v1 = max(v0 - SLACK, 0.0), min(v1 + SLACK, size[0] - 1.0)
            u0, v0 = math.ceil(u0), math.ceil(v0)
            if u0 <= u1 and v0 <= v1:
                outline[k, p, 0], outline[k, p, 1] = int(v0), int(v1)
                outline[k, p, 2], outline[k, p, 3] = int(u0), int(u1)


@merged
def _place(
    world: World, p: int, centre: Floats, offset: float, sight: Floats, axes: Floats
) -> None:
    """A shape's row of `Tiles.sight_KP10`; its half axes and centre as seen from the camera."""
    shapes, moves, ball = world.shapes_P16, world.moves_P6, world.balls_P4[p]
    ray = (centre[0], centre[1], centre[2], 0.0, 0.0, 0.0)
    cosine, sine = 1.0, 0.0
    middle_x, middle_y, middle_z = ball[0], ball[1], ball[2]
    if world.moving_P[p] and offset != 0.0:
        ray = to_object(moves, p, ray, offset)
        cosine, sine = math.cos(moves[p, 3] * offset), math.sin(moves[p, 3] * offset)
        rx, ry = ball[0] - moves[p, 4], ball[1] - moves[p, 5]
        middle_x = moves[p, 4] + moves[p, 0] * offset + cosine * rx - sine * ry
        middle_y = moves[p, 5] + moves[p, 1] * offset + sine * rx + cosine * ry
        middle_z += moves[p, 2] * offset
    sight[0], sight[1], sight[2] = unit_point(shapes, p, ray[0], ray[1], ray[2])
    sight[3], sight[4] = cosine, sine
    for a in range(3):
        ax, ay, az = shapes[p, 3 * a], shapes[p, 3 * a + 1], shapes[p, 3 * a + 2]
        square = ax * ax + ay * ay + az * az
        axes[a, 0] = (cosine * ax - sine * ay) / square
        axes[a, 1] = (sine * ax + cosine * ay) / square
        axes[a, 2] = az / square
    axes[3, 0] = middle_x - centre[0]
    axes[3, 1] = middle_y - centre[1]
    axes[3, 2] = middle_z - centre[2]
    sight[5], sight[6], sight[7] = axes[3, 0], axes[3, 1], axes[3, 2]
    away = axes[3, 0] ** 2 + axes[3, 1] ** 2 + axes[3, 2] ** 2
    sight[8] = away - ball[3]
    sight[9] = math.sqrt(away) - math.sqrt(ball[3])


@borrowing
def _project(pixels: Floats, axes: Floats, ball: bool) -> tuple[float, float, float, float, float]:
    """Columns u0 to u1, rows v0 to v1 and least depth of a shape; no columns behind the camera."""
    for a in range(4):
        x, y, z = axes[a, 0], axes[a, 1], axes[a, 2]
        for b in range(3):
            axes[a, b] = pixels[b, 0] * x + pixels[b, 1] * y + pixels[b, 2] * z
    if ball:
        square = axes[0, 2] ** 2 + axes[1, 2] ** 2 + axes[2, 2] ** 2
        if axes[3, 2] > 0.0 and axes[3, 2] ** 2 > 1.001 * square:
            u0, u1 = _rim(axes, 0, square)
            v0, v1 = _rim(axes, 1, square)
            return u0, u1, v0, v1, axes[3, 2] - math.sqrt(square)
    return _corners(axes)


@borrowing
def _rim(axes: Floats, b: int, square: float) -> tuple[float, float]:
    """Bounds of an ellipsoid's outline, wholly before the camera, along one axis of the image.

    Its dual conic is N N^T - m m^T, with half axes N and centre m as homogeneous pixels (Hartley
    and Zisserman, Multiple View Geometry, 2003, 8.3).
    """
    ends = axes[0, b] ** 2 + axes[1, b] ** 2 + axes[2, b] ** 2 - axes[3, b] ** 2
    mixed = axes[0, b] * axes[0, 2] + axes[1, b] * axes[1, 2] + axes[2, b] * axes[2, 2]
    mixed -= axes[3, b] * axes[3, 2]
    below = square - axes[3, 2] ** 2
    root = math.sqrt(max(mixed * mixed - ends * below, 0.0))
    return (mixed + root) / below, (mixed - root) / below


@borrowing
def _corners(axes: Floats) -> tuple[float, float, float, float, float]:
    """`_project` of a box; of its part before the camera, where it reaches behind."""
    u0, u1, v0, v1, nearest = np.inf, -np.inf, np.inf, -np.inf, np.inf
    for c in range(8):
        x, y, z = _corner(axes, c)
        nearest = min(nearest, z)
        if z >= CLOSE:
            u0, u1, v0, v1 = min(u0, x / z), max(u1, x / z), min(v0, y / z), max(v1, y / z)
            continue
        for b in range(3):
            fx, fy, fz = _corner(axes, c ^ (1 << b))
            if fz > CLOSE:
                part = (CLOSE - z) / (fz - z)
                u, v = (x + part * (fx - x)) / CLOSE, (y + part * (fy - y)) / CLOSE
                u0, u1, v0, v1 = min(u0, u), max(u1, u), min(v0, v), max(v1, v)
    return u0, u1, v0, v1, nearest


@borrowing
def _corner(axes: Floats, c: int) -> tuple[float, float, float]:
    first = 1.0 if c & 1 else -1.0
    second = 1.0 if c & 2 else -1.0
    third = 1.0 if c & 4 else -1.0
    return (
        axes[3, 0] + first * axes[0, 0] + second * axes[1, 0] + third * axes[2, 0],
        axes[3, 1] + first * axes[0, 1] + second * axes[1, 1] + third * axes[2, 1],
        axes[3, 2] + first * axes[0, 2] + second * axes[1, 2] + third * axes[2, 2],
    )


@merged
def meet_shapes(
    world: World,
    tiles: Tiles,
    k: int,
    tile: int,
    corner: tuple[int, int],
    end: tuple[int, int],
    directions: Floats,
    best: Floats,
    found: Array,
) -> None:
    """Nearest shapes of a tile's pixels.

    Args:
        corner, end: first row and column of the tile's pixels, and those past the last.
        directions: unit vectors of the tile's pixels. best, found: distances and rows so far.
    """
    farthest = np.inf
    for e in range(tiles.starts_T[tile], tiles.starts_T[tile + 1]):
        p = tiles.entries_E[e]
        sight, outline = tiles.sight_KP10[k, p], tiles.outline_KP4[k, p]
        if sight[9] >= farthest:
            break
        top, bottom = max(outline[0], corner[0]), min(outline[1] + 1, end[0])
        left, right = max(outline[2], corner[1]), min(outline[3] + 1, end[1])
        closer = False
        for v in range(top, bottom):
            for u in range(left, right):
                n = (v - corner[0]) * TILE_COLUMNS + u - corner[1]
                t = _see(world, p, sight, directions[n], best[n] * JUST_ABOVE)
                # Of surfaces that coincide the first row is seen, whatever their order here.
                if t < best[n] or (t == best[n] and p < found[n]):
                    best[n], found[n], closer = t, p, True
        if closer:
            farthest = 0.0
            for v in range(end[0] - corner[0]):
                for u in range(end[1] - corner[1]):
                    farthest = max(farthest, best[v * TILE_COLUMNS + u])


@merged
def _see(world: World, p: int, sight: Floats, direction: Floats, best: float) -> float:
    """Distance of a shape along a pixel's ray, if nearer than `best`; else more than that."""
    dx, dy, dz = direction[0], direction[1], direction[2]
    along = sight[5] * dx + sight[6] * dy + sight[7] * dz
    if sight[9] >= best or (sight[8] > 0.0 and (along < 0.0 or along * along < sight[8])):
        return np.inf
    cosine, sine = sight[3], sight[4]
    dx, dy = cosine * dx + sine * dy, -sine * dx + cosine * dy
    ex, ey, ez = unit_direction(world.shapes_P16, p, dx, dy, dz)
    ray: Ray = (sight[0], sight[1], sight[2], ex, ey, ez)
    return float(enter_unit(world.shapes_P16, world.look_P12, p, ray, best))
