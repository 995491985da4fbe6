"""Ten lidar sweeps into one cloud, against what nuscenes-devkit does with them.

python benchmarks/sweeps.py [--threads 2] [--repeats 51]
"""

from __future__ import annotations

from functools import reduce

import numpy as np
from alternate import compare, parsed
from rotating_lidar import lidar_cloud

SWEEPS = 10


def main() -> None:
    """Run the comparison and print it."""
    options = parsed(__doc__, repeats=51)
    from nuscenes.utils.data_classes import LidarPointCloud

    from sensorfusion.geometry.poses import compose, invert, pose
    from sensorfusion.geometry.rotation import rotation_xyz
    from sensorfusion.geometry.sweeps import Sweep, aggregate

    clouds = [lidar_cloud(32, 1063, -30.0, 10.0, seed=k)[:34_000, :4].copy() for k in range(SWEEPS)]
    flat = [np.ascontiguousarray(cloud.T) for cloud in clouds]
    T_ego_lidar = pose(rotation_xyz([0, 0, -90]), [0.94, 0, 1.84])
    T_world_ego = [
        pose(rotation_xyz([0, 0, 40 - k]), [1030 - 0.5 * k, 612, 0]) for k in range(SWEEPS)
    ]
    steps = [(invert(T_ego_lidar), invert(T_world_ego[0]), T, T_ego_lidar) for T in T_world_ego]

    def devkit() -> tuple[np.ndarray, np.ndarray]:
        merged = LidarPointCloud(np.zeros((4, 0), dtype=np.float32))
        times = np.zeros((1, 0))
        for k in range(SWEEPS):
            cloud = LidarPointCloud(flat[k].copy())  # as if just read from its file
            cloud.remove_close(1.0)
            cloud.transform(reduce(np.dot, steps[k]))
            times = np.hstack((times, 0.05 * k * np.ones((1, cloud.nbr_points()))))
            merged.points = np.hstack((merged.points, cloud.points))
        return merged.points, times

    def ours() -> np.ndarray:
        sweeps = [Sweep(clouds[k], compose(*steps[k]), -0.05 * k) for k in range(SWEEPS)]
        return aggregate(sweeps, min_range=1.0)

    (points, times), found = devkit(), ours()
    error = np.abs(found[:, :3] - points[:3].T).max()
    print(f"{len(found)} points, positions differ by {error:.1e} m")
    print(
        f"times differ by {np.abs(found[:, 4] + times[0]).max():.1e} s (their sign is ours turned)"
    )
    compare(
        f"{SWEEPS} sweeps of 34,000 points, {options.threads} threads",
        {"one pass": ours, "nuscenes-devkit's steps": devkit},
        options.repeats,
    )


if __name__ == "__main__":
    main()
