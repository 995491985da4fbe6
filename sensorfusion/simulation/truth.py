"""What rays hit, said in classes, objects and materials."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from sensorfusion.compiled import compiled
from sensorfusion.simulation.classes import IGNORED, OTHER_FLAT, ROAD, SIDEWALK, TERRAIN
from sensorfusion.simulation.ground import made_of
from sensorfusion.simulation.world import World

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
GROUND_CLASSES = np.array([ROAD, ROAD, SIDEWALK, TERRAIN, OTHER_FLAT], dtype=np.uint8)
GROUND_REFLECTANCE = np.array([0.16, 0.75, 0.32, 0.38, 0.3])


def ground_made_of(world: World, points_N2: Floats) -> npt.NDArray[np.uint8]:
    """What the ground is made of at places (x, y): uint8 [N]."""
    made = np.empty(len(points_N2), np.uint8)
    _made_of(
        (world.middle, world.widths, world.lanes, world.crossings, world.plots),
        np.ascontiguousarray(points_N2, dtype=np.float64),
        made,
    )
    return made


@compiled()
def _made_of(tables: tuple[Array, Array, Array, Array, Array], points: Floats, made: Array) -> None:
    middle, widths, lanes, crossings, plots = tables
    for n in numba.prange(points.shape[0]):
        x, y = points[n, 0], points[n, 1]
        made[n] = made_of(middle, widths, lanes, crossings, plots, x, y)


def surfaces(
    world: World, shape_N: npt.NDArray[np.int32], points_N3: Floats
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], Floats]:
    """Class, object and reflectance [N] of what was hit.

    Args:
        shape_N: rows of shapes, as `Hits` has them. points_N3: where, block axes; only read
            where the ground was hit.

    Returns:
        Classes (`IGNORED` for the sky), objects (-1 for ground and sky), reflectances at the
        LiDAR's wavelength.
    """
    count = len(world.shapes_P16)
    label = np.full(len(shape_N), IGNORED, dtype=np.uint8)
    objects = np.full(len(shape_N), -1, dtype=np.int64)
    reflectance = np.zeros(len(shape_N))
    solid, ground = (shape_N >= 0) & (shape_N < count), shape_N == count
    objects[solid] = world.object_P[shape_N[solid]]
    label[solid] = world.label_O[objects[solid]]
    reflectance[solid] = world.look_P12[shape_N[solid], 8]
    made = ground_made_of(world, points_N3[ground, :2])
    label[ground] = GROUND_CLASSES[made]
    reflectance[ground] = GROUND_REFLECTANCE[made]
    return label, objects, reflectance
