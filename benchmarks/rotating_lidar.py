"""Points in the order in which a rotating lidar measures them."""

from __future__ import annotations

import numpy as np


def lidar_cloud(
    beams: int, columns: int, lowest: float, highest: float, seed: int = 0
) -> np.ndarray:
    """float32 [N, 5] of a rotating lidar in a street of boxes: x, y, z (m), intensity, ring.

    In the order in which such a sensor fires: all beams of one azimuth, then the next.
    """
    rng = np.random.default_rng(seed)
    azimuth, ring = np.meshgrid(
        np.linspace(-np.pi, np.pi, columns), np.arange(beams), indexing="ij"
    )
    elevation = np.deg2rad(lowest + (highest - lowest) * ring / (beams - 1))
    ground = np.where(elevation < -0.005, 1.8 / np.maximum(np.tan(-elevation), 1e-3), 90.0)
    houses = rng.uniform(6, 60, 72)[np.floor((azimuth + np.pi) / (2 * np.pi) * 71.99).astype(int)]
    distance = np.minimum(np.minimum(ground, houses), 90) + rng.normal(0, 0.02, ring.shape)
    rows = (
        distance * np.cos(azimuth),
        distance * np.sin(azimuth),
        distance * np.tan(elevation),
        rng.uniform(0, 255, ring.shape),
        ring,
    )
    return np.stack(rows, axis=-1).reshape(-1, 5).astype(np.float32)
