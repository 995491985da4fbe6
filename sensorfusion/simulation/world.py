"""A world at one moment: posed shapes and ground in the tables that rays read.

All is in block axes. Moving objects go on, within the moment, at constant velocity and yaw rate,
so that rays may leave a little earlier or later than the moment (`reach` seconds at most).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sensorfusion.simulation.ground import (
    CELL,
    HALF_LENGTH,
    HALF_WIDTH,
    KERB,
    Ground,
    ground_tables,
)
from sensorfusion.simulation.shapes import BOX, CYLINDER, Shapes

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
COLUMNS, ROWS = int(2 * HALF_LENGTH / CELL), int(2 * HALF_WIDTH / CELL)
CLEARANCE = 1e-3  # metres by which bounds are widened, against rounding


class World(NamedTuple):
    """What kernels read; P shapes, I x J cells, E entries of shapes in cells.

    Args:
        shapes_P16: map to the unit shape (3 x 3, then offset), tapers, kind, holes.
        balls_P4: centre and squared radius of a ball around each shape.
        moves_P6: velocity (3), yaw rate, and the place (x, y) that the object turns about.
        moving_P: bool. look_P12: see `Shapes`. object_P: int64.
        label_O: uint8 class of every object.
        starts_C: int64 [I J + 1], where a cell's entries start. entries_E: int32 shapes.
        tops_IJ, ground_IJ: highest point of the shapes and of the ground in a cell.
        middle, widths, heights, zones, lanes, crossings, plots: see `ground_tables`.
        ceiling: no shape is above. sun_3: direction to the sun. light: see `Light`.
        tints: colours of what the ground is made of, [5, 3].
    """

    shapes_P16: Floats
    balls_P4: Floats
    moves_P6: Floats
    moving_P: Array
    look_P12: Floats
    object_P: Array
    label_O: Array
    starts_C: Array
    entries_E: Array
    tops_IJ: Floats
    ground_IJ: Floats
    middle: Floats
    widths: Floats
    heights: Floats
    zones: Array
    lanes: Floats
    crossings: Floats
    plots: Array
    ceiling: float
    sun_3: Floats
    light: Floats
    tints: Floats


def unit_maps(centre_P3: Floats, rotation_P33: Floats, shapes: Shapes, rows: Array) -> Floats:
    """Rows [P, 16] of `World.shapes_P16` for posed shapes."""
    table = np.zeros((len(rows), 16))
    linear = np.swapaxes(rotation_P33, 1, 2) / shapes.half_P3[rows][:, :, None]
    table[:, :9] = linear.reshape(-1, 9)
    table[:, 9:12] = -np.einsum("pij,pj->pi", linear, centre_P3)
    table[:, 12:14] = shapes.taper_P2[rows]
    table[:, 14] = shapes.kind_P[rows]
    table[:, 15] = shapes.holes_P[rows]
    return table


def bounds(
    centre_P3: Floats, rotation_P33: Floats, shapes: Shapes, rows: Array
) -> tuple[Floats, Floats]:
    """Lower and upper corners [P, 3] of axis-parallel boxes around shapes."""
    half, kind = shapes.half_P3[rows], shapes.kind_P[rows]
    extent = extents(rotation_P33 * half[:, None, :], kind) + CLEARANCE
    return centre_P3 - extent, centre_P3 + extent


def extents(axes_P33: Floats, kind_P: Array) -> Floats:
    """Half extents [P, 3] along three directions; columns of `axes` are shapes' half axes."""
    box = np.abs(axes_P33).sum(axis=2)
    ball = np.sqrt((axes_P33**2).sum(axis=2))
    rod = np.sqrt((axes_P33[:, :, :2] ** 2).sum(axis=2)) + np.abs(axes_P33[:, :, 2])
    kind = kind_P[:, None]
    return np.where(kind == BOX, box, np.where(kind == CYLINDER, rod, ball))


def balls_around(centre_P3: Floats, shapes: Shapes, rows: Array) -> Floats:
    """Centres and squared radii [P, 4] of balls that contain shapes."""
    half, kind = shapes.half_P3[rows], shapes.kind_P[rows]
    square = (half**2).sum(axis=1)
    rod = half[:, :2].max(axis=1) ** 2 + half[:, 2] ** 2
    square = np.where(kind == BOX, square, np.where(kind == CYLINDER, rod, half.max(axis=1) ** 2))
    return np.column_stack([centre_P3, (np.sqrt(square) + CLEARANCE) ** 2])


def listed(world: World) -> npt.NDArray[np.int64]:
    """Rows of the shapes that are anywhere in the block."""
    there = np.zeros(len(world.shapes_P16), dtype=np.bool_)
    there[world.entries_E] = True
    return np.nonzero(there)[0]


def swept(world: World, axes_33: Floats, longest: float) -> tuple[Floats, Floats, Floats]:
    """Where shapes are within `longest` seconds of the moment, along three unit vectors.

    Returns:
        Centres [P, 3] at the moment, half extents [P, 3], and how far [P] shapes may move.
    """
    linear = world.shapes_P16[:, :9].reshape(-1, 3, 3)
    half_axes = linear / np.maximum((linear**2).sum(axis=2, keepdims=True), 1e-30)
    kind = world.shapes_P16[:, 14].astype(np.int64)
    extent = extents(np.swapaxes(half_axes @ axes_33.T, 1, 2), kind)
    centre, moves = world.balls_P4[:, :3], world.moves_P6
    arm = np.linalg.norm(centre[:, :2] - moves[:, 4:], axis=1)
    speed = np.linalg.norm(moves[:, :3], axis=1) + np.abs(moves[:, 3]) * arm
    # A shape that turns also turns about its own centre.
    turned = np.abs(moves[:, 3]) * np.sqrt(world.balls_P4[:, 3])
    shift = longest * np.where(world.moving_P, speed + turned, 0.0)
    return centre @ axes_33.T, extent + shift[:, None], shift


def cell_entries(
    low_P3: Floats, high_P3: Floats, rows: Array
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
    """Cells, shapes and tops [E] of every cell that a shape's bounds touch."""
    first, last = _cells(low_P3), _cells(high_P3)
    spans = last - first + 1
    counts = spans[:, 0] * spans[:, 1]
    owner = np.repeat(np.arange(len(rows)), counts)
    inside = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    i = first[owner, 0] + inside // spans[owner, 1]
    j = first[owner, 1] + inside % spans[owner, 1]
    return i * ROWS + j, rows[owner], high_P3[owner, 2]


def sort_entries(cells_E: Array, rows_E: Array, tops_E: Floats) -> tuple[Array, Array, Floats]:
    """Starts [C + 1], entries [E] by cell, and tops [I, J]."""
    order = np.argsort(cells_E, kind="stable")
    starts = np.zeros(COLUMNS * ROWS + 1, dtype=np.int64)
    np.cumsum(np.bincount(cells_E, minlength=COLUMNS * ROWS), out=starts[1:])
    tops = np.full(COLUMNS * ROWS, -np.inf)
    filled = starts[1:] > starts[:-1]
    if len(order):
        tops[filled] = np.maximum.reduceat(tops_E[order], starts[:-1][filled])
    return starts, rows_E[order].astype(np.int32), tops.reshape(COLUMNS, ROWS)


def ground_fields(ground: Ground) -> dict[str, Any]:
    """The fields of a world that its ground decides."""
    middle, widths, heights, zones = ground_tables(ground)
    return {
        "ground_IJ": ground_tops(heights, zones),
        "middle": middle,
        "widths": widths,
        "heights": heights,
        "zones": zones,
        "lanes": ground.lanes,
        "crossings": ground.crossings_K2,
        "plots": ground.plots_2M,
    }


def ground_tops(heights: Floats, zones: Array) -> Floats:
    """Highest point of the ground in every cell [I, J]."""
    corners = np.stack([heights[:-1, :-1], heights[1:, :-1], heights[:-1, 1:], heights[1:, 1:]])
    return np.asarray(corners.max(axis=0) + np.where(zones == 0, 0.0, KERB) + CLEARANCE)


def _cells(points_P3: Floats) -> npt.NDArray[np.int64]:
    cell = np.floor((points_P3[:, :2] + (HALF_LENGTH, HALF_WIDTH)) / CELL).astype(np.int64)
    return np.asarray(np.clip(cell, 0, (COLUMNS - 1, ROWS - 1)))
