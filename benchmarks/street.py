"""A made-up street as a spinning LiDAR sees it: ground, facades, cars and poles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

HEIGHT = 1.8  # of the sensor above the ground, metres
# Length, width and height of what stands around, metres.
KINDS = np.array([(4.4, 1.9, 1.5), (0.3, 0.3, 6.0), (0.6, 0.6, 1.7), (8.0, 2.5, 3.2)])


def street(
    beams: int = 128, columns: int = 2000, objects: int = 80, seed: int = 0
) -> NDArray[np.float32]:
    """Points, float32 [N, 3] in metres, x ahead and z up, the sensor at the origin."""
    generator = np.random.default_rng(seed)
    elevation = np.deg2rad(np.linspace(-24.8, 2.0, beams))[:, None]
    azimuth = np.linspace(-np.pi, np.pi, columns, endpoint=False)[None]
    directions = np.stack(
        np.broadcast_arrays(
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
        ),
        axis=-1,
    ).reshape(-1, 3)
    directions[np.abs(directions) < 1e-9] = 1e-9
    ranges = np.where(directions[:, 2] < 0, -HEIGHT / directions[:, 2], np.inf)
    for low, high in _boxes(generator, objects):
        ends = np.sort(np.stack([low / directions, high / directions]), axis=0)
        enters, leaves = ends[0].max(axis=1), ends[1].min(axis=1)
        hit = (enters < leaves) & (enters > 0)
        ranges[hit] = np.minimum(ranges[hit], enters[hit])
    seen = (ranges > 1.5) & (ranges < 75) & (generator.random(len(ranges)) > 0.05)
    points = directions[seen] * ranges[seen, None]
    return (points + generator.normal(0, 0.02, points.shape)).astype(np.float32)


def _boxes(generator: np.random.Generator, objects: int) -> list[tuple[NDArray, NDArray]]:
    """Lowest and highest corners: two rows of facades with gaps, and objects between them."""
    boxes = []
    for side in (-1, 1):
        for start in range(-80, 80, 20):
            front = side * generator.uniform(11, 16)
            boxes.append(((start, min(front, front + side * 8)), (17, 8, 12)))
    for _ in range(objects):
        corner = generator.uniform((-60, -11), (60, 9))
        if np.linalg.norm(corner) > 5:
            boxes.append((tuple(corner), tuple(generator.permutation(KINDS)[0])))
    lows = [np.array([*corner, -HEIGHT]) for corner, _ in boxes]
    return [(low, low + size) for low, (_, size) in zip(lows, boxes, strict=True)]


def street_voxels(
    count: int, voxel: float = 0.1, *, is_sorted: bool = True, seed: int = 0
) -> NDArray[np.int32]:
    """Coordinates, int32 [count, 4] with batch item 0, of the voxels in a sector of a street.

    Rows ascend, or are shuffled.
    """
    cells = np.unique(np.floor(street(seed=seed) / voxel).astype(np.int32), axis=0)
    if len(cells) < count:
        raise ValueError(f"the street has {len(cells)} voxels, fewer than {count}")
    sector = np.argsort(np.arctan2(cells[:, 1], cells[:, 0]))[:count]
    cells = cells[np.sort(sector)]
    cells -= cells.min(axis=0)
    if not is_sorted:
        cells = np.random.default_rng(seed).permutation(cells)
    return np.concatenate([np.zeros((count, 1), np.int32), cells], axis=1)
