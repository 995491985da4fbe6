"""34,000 points into six cameras, against nuscenes-devkit's own steps.

The devkit moves float32 points from sensor to vehicle to world to vehicle to camera by
`LidarPointCloud.rotate` and `translate`, and calls `view_points`, camera by camera. Ours composes
the same poses in float64 first; composing is part of the time.

    python benchmarks/projection.py [--threads 2] [--repeats 101]
"""

from __future__ import annotations

import numpy as np
from alternate import compare, parsed
from rotating_lidar import lidar_cloud

WIDTH, HEIGHT = 1600, 900
INTRINSICS = np.array([[1266.4, 0.0, 816.3], [0.0, 1266.4, 491.5], [0.0, 0.0, 1.0]])


def main() -> None:
    """Run the comparison and print it."""
    options = parsed(__doc__, repeats=101)
    from nuscenes.utils.data_classes import LidarPointCloud
    from nuscenes.utils.geometry_utils import view_points

    from sensorfusion.geometry.cameras import cameras
    from sensorfusion.geometry.poses import compose, invert, pose
    from sensorfusion.geometry.projection import project, project_pairs
    from sensorfusion.geometry.rotation import rotation_xyz
    from sensorfusion.geometry.view import NUSCENES_DEVKIT

    points = lidar_cloud(32, 1063, -30.0, 10.0)[:34_000]
    T_ego_lidar = pose(rotation_xyz([0, 0, -90]), [0.94, 0, 1.84])
    T_world_ego = pose(rotation_xyz([0, 0, 40]), [1030.2, 612.7, 0])
    forward = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    T_ego_camera = np.stack(
        [pose(rotation_xyz([0, 0, 60 * k]) @ forward, [1, 0, 1.5]) for k in range(6)]
    )
    T_world_ego_camera = np.stack(
        [pose(rotation_xyz([0, 0, 40.1]), [1030.2 + 0.1 * k, 612.7, 0]) for k in range(6)]
    )
    rig = cameras(np.tile(INTRINSICS, (6, 1, 1)), (WIDTH, HEIGHT))
    homogeneous = np.ascontiguousarray(points[:, :4].T)

    def devkit() -> list[tuple[np.ndarray, np.ndarray]]:
        found = []
        for k in range(6):
            cloud = LidarPointCloud(homogeneous.copy())
            for transform in (T_ego_lidar, T_world_ego):
                cloud.rotate(transform[:3, :3])
                cloud.translate(transform[:3, 3])
            for transform in (T_world_ego_camera[k], T_ego_camera[k]):
                cloud.translate(-transform[:3, 3])
                cloud.rotate(transform[:3, :3].T)
            depth = cloud.points[2, :]
            uv = view_points(cloud.points[:3, :], INTRINSICS, normalize=True)
            mask = np.ones(len(depth), dtype=bool)
            for condition in (
                depth > 1.0,
                uv[0, :] > 1,
                uv[0, :] < WIDTH - 1,
                uv[1, :] > 1,
                uv[1, :] < HEIGHT - 1,
            ):
                mask = np.logical_and(mask, condition)
            found.append((uv[:2, mask], np.nonzero(mask)[0]))
        return found

    def poses() -> np.ndarray:
        vehicle = compose(invert(T_world_ego_camera), T_world_ego, T_ego_lidar)
        return compose(invert(T_ego_camera), vehicle)

    expected, pairs = devkit(), project_pairs(points, rig, poses(), NUSCENES_DEVKIT)
    official = np.concatenate([uv.T for uv, _ in expected])
    same = np.array_equal(np.concatenate([rows for _, rows in expected]), pairs.point_E)
    print(f"{len(pairs)} pairs, the same ones: {same}")
    if same:
        print(f"largest difference {np.abs(official - pairs.uv_E2).max():.4f} px")
    compare(
        f"{len(points)} points into 6 cameras, {options.threads} threads",
        {
            "dense": lambda: project(points, rig, poses(), NUSCENES_DEVKIT),
            "pair list": lambda: project_pairs(points, rig, poses(), NUSCENES_DEVKIT),
            "nuscenes-devkit": devkit,
        },
        options.repeats,
    )


if __name__ == "__main__":
    main()
