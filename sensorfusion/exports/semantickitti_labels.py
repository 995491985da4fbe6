"""What SemanticKITTI calls the things of the simulated world.

Its label set is finer than the sixteen classes here: what stands apart there is told by the shapes
that it is built of.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from sensorfusion.exports.objects import boxes_around
from sensorfusion.simulation import classes
from sensorfusion.simulation.scan import Scan
from sensorfusion.simulation.scene import Scene
from sensorfusion.simulation.shapes import CYLINDER, Texture

Ids = npt.NDArray[np.uint32]

BUILDING, FENCE, OTHER_STRUCTURE, TRUNK, POLE, SIGN, OTHER_OBJECT = 50, 51, 52, 71, 80, 81, 99
STANDING = np.array(
    [51, 11, 13, 10, 20, 15, 30, 99, 20, 18, 40, 49, 48, 72, 50, 70], dtype=np.uint32
)  # by class
MOVING = {
    classes.CAR: 252,
    classes.BICYCLE: 253,
    classes.PEDESTRIAN: 254,
    classes.MOTORCYCLE: 255,
    classes.BUS: 257,
    classes.TRUCK: 258,
    classes.CONSTRUCTION: 259,
    classes.TRAILER: 259,
}


def point_labels(scene: Scene, measured: Scan) -> Ids:
    """The semantic id and, above bit 16, the instance of every point: uint32 [N].

    Vehicles, riders and persons have instances, the same through the whole scene; all else has 0.
    """
    ids: Ids = STANDING[measured.label_N]
    solid = measured.instance_N > 0
    ids[solid] = _shape_ids(scene)[measured.shape_N[solid]]
    things = np.isin(measured.label_N, list(MOVING))
    instance = np.where(things, measured.instance_N, 0).astype(np.uint32)
    return np.asarray((instance << 16) | ids)


@lru_cache(maxsize=2)
def _shape_ids(scene: Scene) -> Ids:
    """The semantic id of every shape: uint32 [P]."""
    owner, texture = scene.shapes.object_P, scene.shapes.look_P12[:, 6]
    ids: Ids = STANDING[scene.label_O[owner]]
    moves = np.array([track.moves for track in scene.tracks])[owner]
    for label, moving in MOVING.items():
        ids[moves & (scene.label_O[owner] == label)] = moving
    ids[(ids == STANDING[classes.VEGETATION]) & (texture == Texture.BARK)] = TRUNK
    manmade = scene.label_O[owner] == classes.MANMADE
    ids[manmade] = _manmade_ids(scene)[owner[manmade]]
    thin = (scene.shapes.kind_P == CYLINDER) & (scene.shapes.half_P3[:, :2].max(axis=1) < 0.2)
    ids[manmade & thin & (ids == OTHER_OBJECT)] = POLE
    ids[manmade & (texture == Texture.SIGN) & (ids == OTHER_OBJECT)] = SIGN
    return ids


def _manmade_ids(scene: Scene) -> Ids:
    """What manmade objects are, by their measures: uint32 [O]."""
    half_O3 = boxes_around(scene)[1]
    narrow, wide, high = half_O3[:, :2].min(axis=1), half_O3[:, :2].max(axis=1), half_O3[:, 2]
    ids = np.full(len(half_O3), OTHER_OBJECT, dtype=np.uint32)
    ids[(narrow > 0.6) & (high > 1.0)] = OTHER_STRUCTURE
    ids[(narrow > 2.5) & (high > 1.5)] = BUILDING
    ids[(narrow < 0.4) & (wide > 1.5) & (high < 1.6)] = FENCE
    return ids
