"""A spinning LiDAR in a scene: patterns, returns with noise, and the truth about each point."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sensorfusion.simulation.casting import cast
from sensorfusion.simulation.scene import Scene, distinct
from sensorfusion.simulation.truth import surfaces
from sensorfusion.simulation.world import World

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
FLOW_SECONDS = 0.1


@dataclass(frozen=True)
class LidarPattern:
    """Where a LiDAR looks while it turns once, clockwise.

    Args:
        elevations: of the beams, degrees, from low to high: ring 0 is the lowest.
        steps: azimuths per turn. rate: turns per second.
        first: azimuth of the first step, degrees to the left of straight ahead.
        axes: names of the point cloud's axes, as `PointCloud` has them.
        mount: where it sits on the ego vehicle (m, axes FLU).
        reach: metres.
        range_noise: deviation (m). dropout: share of returns lost for no reason.
    """

    elevations: tuple[float, ...]
    steps: int
    rate: float
    first: float
    axes: str
    mount: tuple[float, float, float]
    reach: float = 100.0
    range_noise: float = 0.02
    dropout: float = 0.02

    @property
    def sweep(self) -> float:
        """Seconds of one turn."""
        return 1.0 / self.rate

    @property
    def pose(self) -> Floats:
        """T_ego_lidar, float64 [4, 4]."""
        transform = np.eye(4)
        if self.axes == "RFU":
            transform[:2, :2] = [[0.0, 1.0], [-1.0, 0.0]]
        transform[:3, 3] = self.mount
        return transform

    def directions(self) -> Floats:
        """Unit vectors in ego axes, by step and then by beam: [steps, beams, 3]."""
        azimuth = math.radians(self.first) - 2 * np.pi * np.arange(self.steps) / self.steps
        elevation = np.radians(self.elevations)
        flat = np.cos(elevation)
        return np.stack(
            [
                np.cos(azimuth)[:, None] * flat,
                np.sin(azimuth)[:, None] * flat,
                np.broadcast_to(np.sin(elevation), (self.steps, len(elevation))),
            ],
            axis=2,
        )


LIDAR_32 = LidarPattern(
    elevations=tuple(np.linspace(-30.67, 10.67, 32).tolist()),
    steps=1085,
    rate=20.0,
    first=110.0,
    axes="RFU",
    mount=(0.94, 0.0, 1.84),
)
LIDAR_64 = LidarPattern(
    elevations=tuple(np.linspace(-24.8, 2.0, 64).tolist()),
    steps=2083,
    rate=10.0,
    first=180.0,
    axes="FLU",
    mount=(0.8, 0.0, 1.73),
)


@dataclass(frozen=True, eq=False)
class Scan:
    """N returns of one turn, in the sensor's axes, in the order in which they were measured.

    Args:
        points_N3: float32 (m). With distortion each is in the frame of its own time.
        intensity_N: float32, 0-1. ring_N: int16. time_N: float32, seconds relative to the
            scan's time (the end of the turn), zero without distortion.
        label_N: uint8 class. instance_N: int32, see `Scene.instances`.
        flow_N3: float32, velocity (m/s) of the surface under each point in the world, over the
            `FLOW_SECONDS` after its time, in the sensor's axes at the scan's time.
        shape_N: int32 row of the scene's shapes; their number is the ground.
    """

    points_N3: Singles
    intensity_N: Singles
    ring_N: npt.NDArray[np.int16]
    time_N: Singles
    label_N: npt.NDArray[np.uint8]
    instance_N: npt.NDArray[np.int32]
    flow_N3: Singles
    shape_N: npt.NDArray[np.int32]


def scan(
    scene: Scene,
    world: World,
    seconds: float,
    pattern: LidarPattern = LIDAR_32,
    *,
    distorted: bool = False,
) -> Scan:
    """One turn that ends at a time.

    Args:
        world: `scene.at(seconds)`.
        distorted: every step leaves at its own time from the moving vehicle, and its points stay
            in the sensor's axes of that time; else all leave at `seconds`.
    """
    steps, beams = pattern.steps, len(pattern.elevations)
    lateness = np.zeros(steps)
    if distorted:
        lateness = (np.arange(steps) + 1 - steps) / steps * pattern.sweep
    poses = _sensor_poses(scene, seconds, lateness, pattern)
    rays = pattern.directions() @ pattern.pose[:3, :3]
    turned = (rays @ np.swapaxes(poses[:, :3, :3], 1, 2)).reshape(-1, 3)
    origins = np.repeat(poses[:, :3, 3], beams, axis=0)
    times = np.repeat(lateness, beams)
    hits = cast(world, origins, turned, times, pattern.reach)
    met = np.isfinite(hits.distance_N)
    points = origins + np.where(met, hits.distance_N, 0.0)[:, None] * turned
    label, objects, reflectance = surfaces(world, hits.shape_N, points)
    slant = np.abs(np.einsum("ni,ni->n", hits.normal_N3, turned))
    key = [scene.seed, scene.number, 2, round(seconds * 1e6), beams]
    kept, distance, intensity = _returns(
        np.random.default_rng(key), pattern, hits.distance_N, slant, reflectance
    )
    flow = _flow(scene, objects[kept], points[kept], seconds + times[kept])
    return Scan(
        points_N3=(rays.reshape(-1, 3)[kept] * distance[kept, None]).astype(np.float32),
        intensity_N=intensity[kept].astype(np.float32),
        ring_N=np.tile(np.arange(beams, dtype=np.int16), steps)[kept],
        time_N=times[kept].astype(np.float32),
        label_N=label[kept],
        instance_N=scene.instances(objects[kept]),
        flow_N3=(flow @ poses[-1, :3, :3] / FLOW_SECONDS).astype(np.float32),
        shape_N=hits.shape_N[kept],
    )


def _sensor_poses(
    scene: Scene, seconds: float, lateness_S: Floats, pattern: LidarPattern
) -> Floats:
    """T_block_lidar of every step, [S, 4, 4]."""
    times, step = np.unique(lateness_S, return_inverse=True)
    poses = np.stack([scene.ego_pose(seconds + late) @ pattern.pose for late in times])
    return np.asarray(poses[step])


def _returns(
    generator: np.random.Generator,
    pattern: LidarPattern,
    distance_N: Floats,
    slant_N: Floats,
    reflectance_N: Floats,
) -> tuple[npt.NDArray[np.bool_], Floats, Floats]:
    """Which rays return, at which measured distance, with which intensity.

    What comes back falls with the cosine of the angle of incidence and, as sensors correct for
    distance, only a little with range; weak echoes are lost more often.
    """
    count = len(distance_N)
    chance, range_noise, speckle = (
        generator.random(count),
        generator.standard_normal(count),
        generator.standard_normal(count),
    )
    distance = np.where(np.isfinite(distance_N), distance_N, 0.0)
    echo = reflectance_N * (0.25 + 0.75 * slant_N) * np.exp(-distance / 150.0)
    intensity = np.clip(0.45 * echo * np.exp(0.25 * speckle), 0.0, 1.0)
    budget = echo * (pattern.reach / np.maximum(distance, 1.0)) ** 2
    lost = pattern.dropout + np.exp(-1.2 * budget)
    kept = np.isfinite(distance_N) & (chance >= lost)
    return kept, distance + pattern.range_noise * range_noise, intensity


def _flow(
    scene: Scene, objects_N: npt.NDArray[np.int64], points_N3: Floats, times_N: Floats
) -> Floats:
    """Displacement of surface points within `FLOW_SECONDS`, block axes: [N, 3]."""
    flow = np.zeros(points_N3.shape)
    moves = np.zeros(len(scene.label_O) + 1, dtype=np.bool_)  # the last: ground and sky, -1
    moves[scene.moving_O] = True
    moving = np.nonzero(moves[objects_N])[0]
    if len(moving):
        number, start, group = distinct(objects_N[moving], times_N[moving])
        change = scene.changes(number, start, start + FLOW_SECONDS)[group]
        points = points_N3[moving]
        turned = (change[:, :3, :3] @ points[:, :, None])[:, :, 0]
        flow[moving] = turned + change[:, :3, 3] - points
    return flow
