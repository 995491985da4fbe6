"""Boxes around the objects of a scene, and how much of them cameras see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sensorfusion.geometry.poses import Pose, invert
from sensorfusion.simulation.rig import Views
from sensorfusion.simulation.scene import Scene, posed
from sensorfusion.simulation.world import bounds

Floats = npt.NDArray[np.float64]
MARGIN = 0.05  # metres by which a box is wider than its object, so that noisy points are inside
_GRID = 0.7 * (np.stack(np.meshgrid(*[[-1, 0, 1]] * 3), axis=-1).reshape(-1, 3))


def boxes_around(scene: Scene) -> tuple[Floats, Floats]:
    """Centres and half sizes [O, 3] of boxes around objects, in each one's own frame (m).

    They are wider than the object by `MARGIN`, but for the bottom, which is on the ground.
    """
    shapes = scene.shapes
    low, high = bounds(shapes.centre_P3, shapes.rotation_P33, shapes, np.arange(len(shapes)))
    starts = np.searchsorted(shapes.object_P, np.arange(len(scene.label_O)))
    low = np.minimum.reduceat(low, starts) - MARGIN
    high = np.maximum.reduceat(high, starts) + MARGIN
    low[:, 2] = 0.0
    return (low + high) / 2, (high - low) / 2


@dataclass(frozen=True, eq=False)
class Thing:
    """Everything that shares an instance at one time: an object, or all limbs of a pedestrian.

    Args:
        T_block_thing: its frame, on the ground, float64 [4, 4].
        rows_P: its shapes. centre_P3, rotation_P33: where they are in its frame.
    """

    T_block_thing: Pose
    rows_P: npt.NDArray[np.int64]
    centre_P3: Floats
    rotation_P33: Floats

    def box(self, scene: Scene) -> tuple[Floats, Floats]:
        """Centre and half sizes [3] of a box around it in its frame, as `boxes_around` has them."""
        low, high = bounds(self.centre_P3, self.rotation_P33, scene.shapes, self.rows_P)
        low, high = low.min(axis=0) - MARGIN, high.max(axis=0) + MARGIN
        low[2] = 0.0
        return (low + high) / 2, (high - low) / 2


def thing_at(scene: Scene, number: int, seconds: float) -> Thing:
    """The thing whose instance is `number` + 1, at a time."""
    members = np.nonzero(scene.owner_O == number)[0]
    T_block_thing = scene.tracks[number].pose(scene.ground, scene.drive, seconds)
    poses = invert(T_block_thing) @ scene.object_poses(members, np.full(len(members), seconds))
    rows = np.nonzero(np.isin(scene.shapes.object_P, members))[0]
    mine = poses[np.searchsorted(members, scene.shapes.object_P[rows])]
    return Thing(T_block_thing, rows, *posed(scene.shapes, rows, mine))


def count_inside(points_N3: Floats, T_box_points: Pose, half_3: Floats) -> int:
    """How many points lie in a box around the origin of its frame."""
    inside = points_N3 @ T_box_points[:3, :3].T + T_box_points[:3, 3]
    return int((np.abs(inside) <= half_3).all(axis=1).sum())


def visible_share(scene: Scene, views: Views, number: int) -> float:
    """Share of a thing that is seen, of what would be if nothing stood before it; 0 to 1.

    Points all through its shapes are looked up in every image that they fall into: the
    pixel shows this thing, or something else.
    """
    fallen = seen = 0
    height, width = views.instance_KHW.shape[1:]
    for k, seconds in enumerate(views.seconds_K):
        thing = thing_at(scene, number, float(seconds))
        offsets = _GRID * scene.shapes.half_P3[thing.rows_P][:, None]
        turned = np.einsum("pij,pgj->pgi", thing.rotation_P33, offsets)
        points = (thing.centre_P3[:, None] + turned).reshape(-1, 3)
        change = invert(views.T_block_camera_K44[k]) @ thing.T_block_thing
        x, y, z = (points @ change[:3, :3].T + change[:3, 3]).T
        ahead = z > 0.1
        if ahead.any():
            flat = np.stack([x, y, z])[:, ahead]
            u, v, _ = np.rint(views.intrinsics_K33[k] @ flat / flat[2]).astype(np.int64)
            inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
            shown = views.instance_KHW[k, v[inside], u[inside]]
            fallen += len(shown)
            seen += int((shown == number + 1).sum())
    return seen / fallen if fallen else 0.0
