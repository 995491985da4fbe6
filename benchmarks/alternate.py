"""Time several ways of doing one thing, alternating in one process, and print their ratios."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping

import numpy as np


def parsed(doc: str, repeats: int) -> argparse.Namespace:
    """Options that all such scripts have; also sets the threads of torch and Numba."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=repeats)
    options = parser.parse_args()
    os.environ["NUMBA_NUM_THREADS"] = str(options.threads)
    import torch

    torch.set_num_threads(options.threads)
    return options


def compare(title: str, ways: Mapping[str, Callable[[], object]], repeats: int) -> None:
    """Print median and best milliseconds of each way, and how much slower than the first it is."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(3):  # compiled, loaded, memory mapped
        for way in ways.values():
            way()
    for _ in range(repeats):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            taken[name].append(1e3 * (time.perf_counter() - start))
    print(f"{title} (numpy {np.__version__}, {platform.machine()}, median (best) of {repeats})")
    first = next(iter(taken.values()))
    for name, times in taken.items():
        ratio = statistics.median(times) / statistics.median(first)
        best = min(times) / min(first)
        print(
            f"  {name:34s} {statistics.median(times):9.3f} ({min(times):.3f}) ms"
            f"   x {ratio:.1f} ({best:.1f})"
        )


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
