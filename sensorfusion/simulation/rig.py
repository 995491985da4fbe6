"""Six cameras around a vehicle, as those of nuScenes are: where, which way, how wide, when."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sensorfusion.geometry.cameras import resizing
from sensorfusion.geometry.poses import pose
from sensorfusion.geometry.rotation import rotation_about
from sensorfusion.simulation.rendering import Picture, render
from sensorfusion.simulation.scene import Scene
from sensorfusion.simulation.truth import surfaces
from sensorfusion.simulation.world import World

Floats = npt.NDArray[np.float64]
BEHIND = 1e-3  # metres past a hit, so that the face of a kerb is on the kerb's side
FULL_SIZE = (1600, 900)  # width and height that focal lengths refer to
LOOKING_AHEAD = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


@dataclass(frozen=True)
class Mount:
    """One camera.

    Args:
        yaw: which way it looks, degrees to the left. place: on the vehicle (m, axes FLU).
        focal: length in pixels of the full size. delay: seconds after the LiDAR's time.
    """

    yaw: float
    place: tuple[float, float, float]
    focal: float
    delay: float

    @property
    def pose(self) -> Floats:
        """T_ego_camera, float64 [4, 4]."""
        return pose(rotation_about((0, 0, 1), math.radians(self.yaw)) @ LOOKING_AHEAD, self.place)

    def intrinsics(self, size: tuple[int, int]) -> Floats:
        """Matrix [3, 3] for images of (H, W)."""
        centre = (
            FULL_SIZE[0] / 2 - 0.5,
            FULL_SIZE[1] / 2 + 37.5,
        )  # the horizon is above the middle
        full = np.array([[self.focal, 0, centre[0]], [0, self.focal, centre[1]], [0, 0, 1.0]])
        return np.asarray(resizing(FULL_SIZE, (size[1], size[0])) @ full)


# A camera opens as the LiDAR, which turns clockwise and ends at 110 degrees, looks its way.
RIG = {
    "camera.front": Mount(0.0, (1.70, 0.0, 1.51), 1266.0, -0.0347),
    "camera.front_right": Mount(-55.0, (1.55, -0.49, 1.50), 1260.0, -0.0271),
    "camera.back_right": Mount(-110.0, (1.01, -0.48, 1.56), 1260.0, -0.0194),
    "camera.back": Mount(180.0, (0.03, 0.0, 1.58), 809.0, -0.0097),
    "camera.back_left": Mount(110.0, (1.03, 0.48, 1.59), 1257.0, -0.0004),
    "camera.front_left": Mount(55.0, (1.52, 0.49, 1.51), 1272.0, -0.0424),
}


@dataclass(frozen=True, eq=False)
class Views:
    """What K cameras saw, and the truth about every pixel.

    Args:
        picture: colour, depth and shapes. label_KHW: uint8 class, `IGNORED` for the sky.
        instance_KHW: int32, see `Scene.instances`; 0 for ground and sky.
        T_block_camera_K44: poses at each exposure. intrinsics_K33: in pixels.
        seconds_K: when each camera opened.
    """

    picture: Picture
    label_KHW: npt.NDArray[np.uint8]
    instance_KHW: npt.NDArray[np.int32]
    T_block_camera_K44: Floats
    intrinsics_K33: Floats
    seconds_K: Floats


def photograph(
    scene: Scene,
    world: World,
    seconds: float,
    names: tuple[str, ...] = tuple(RIG),
    size: tuple[int, int] = (224, 416),
    *,
    shadows: bool = True,
    truth: bool = True,
) -> Views:
    """What the named cameras of the rig see around a time of the LiDAR.

    Args:
        world: `scene.at(seconds)`. size: (H, W).
        truth: whether classes and instances are worked out.
    """
    mounts = [RIG[name] for name in names]
    poses = np.stack([scene.ego_pose(seconds + mount.delay) @ mount.pose for mount in mounts])
    intrinsics = np.stack([mount.intrinsics(size) for mount in mounts])
    delays = np.array([mount.delay for mount in mounts])
    moment = (scene.seed * 1009 + scene.number) * 100_003 + round(seconds * 1000)
    seeds = [8 * moment + list(RIG).index(name) for name in names]
    picture = render(world, poses, intrinsics, delays, size, seeds_K=seeds, shadows=shadows)
    label = np.zeros((0, *size), np.uint8)
    instance = np.zeros((0, *size), np.int32)
    if truth:
        points = _ground_points(world, picture, poses, intrinsics)
        flat, objects, _ = surfaces(world, picture.shape_KHW.reshape(-1), points)
        label = flat.reshape(picture.shape_KHW.shape)
        instance = scene.instances(objects).reshape(picture.shape_KHW.shape)
    return Views(picture, label, instance, poses, intrinsics, seconds + delays)


def _ground_points(
    world: World, picture: Picture, poses_K44: Floats, intrinsics_K33: Floats
) -> Floats:
    """Where pixels of the ground lie, block axes: [K H W, 3]; zero elsewhere."""
    points = np.zeros((*picture.shape_KHW.shape, 3))
    k, v, u = np.nonzero(picture.shape_KHW == len(world.shapes_P16))
    rays = poses_K44[:, :3, :3] @ np.linalg.inv(intrinsics_K33)
    depth = picture.depth_KHW[k, v, u] + BEHIND
    pixels = np.stack([u, v, np.ones(len(u))], axis=1)
    points[k, v, u] = poses_K44[k, :3, 3] + depth[:, None] * np.einsum(
        "nij,nj->ni", rays[k], pixels
    )
    return points.reshape(-1, 3)
