"""Voxels in lexicographic order with the voxel of each point, against numpy.unique.

python benchmarks/voxels.py [--threads 2] [--repeats 21]
"""

from __future__ import annotations

import numpy as np
from alternate import compare, parsed
from rotating_lidar import lidar_cloud

CASES = ((32, 1063, -30.0, 10.0, 34_000, 0.1), (64, 1875, -24.8, 2.0, 120_000, 0.05))


def main() -> None:
    """Run the comparison and print it."""
    options = parsed(__doc__, repeats=21)
    from sensorfusion.geometry.voxels import VoxelGrid, voxelise

    for *lidar, count, step in CASES:
        points = lidar_cloud(*lidar)[:count]
        grid = VoxelGrid((step, step, step))
        rolled = VoxelGrid((step, 1.0, step), cylindrical=True)

        def unique(points: np.ndarray = points, step: float = step) -> tuple[np.ndarray, ...]:
            cells = np.floor(points[:, :3] / np.float32(step)).astype(np.int32)
            return np.unique(cells, axis=0, return_inverse=True)

        def unique_packed(
            points: np.ndarray = points, step: float = step
        ) -> tuple[np.ndarray, ...]:
            cells = np.floor(points[:, :3] / np.float32(step)).astype(np.int64)
            cells -= cells.min(axis=0)
            keys = (cells[:, 0] << 40) | (cells[:, 1] << 20) | cells[:, 2]
            return np.unique(keys, return_inverse=True)

        voxels, (coordinates, inverse) = voxelise(points, grid), unique()
        same = np.array_equal(voxels.coordinates_V4[:, 1:], coordinates)
        same &= np.array_equal(voxels.inverse_N, inverse.reshape(-1))
        print(f"{count} points, {len(voxels)} voxels of {step} m, the same ones: {same}")
        compare(
            f"voxelise, {options.threads} threads",
            {
                "ours": lambda p=points, g=grid: voxelise(p, g),
                "ours, cylindrical": lambda p=points, g=rolled: voxelise(p, g),
                "numpy.unique(axis=0)": unique,
                "numpy.unique of packed keys": unique_packed,
            },
            options.repeats,
        )


if __name__ == "__main__":
    main()
