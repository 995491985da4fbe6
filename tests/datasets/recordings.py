"""A folder in the layout of UTD-MHAD with generated contents, for tests without the recordings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.io import savemat


def write_clip(root: Path, clip: str, *, rows: int = 30, frames: int = 11, seed: int = 0) -> None:
    draws = np.random.default_rng(seed)
    for folder in ("Inertial", "Skeleton", "Depth_half"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    savemat(inertial(root, clip), {"d_iner": draws.normal(size=(rows, 6))})
    savemat(skeleton(root, clip), {"d_skel": draws.normal(size=(20, 3, frames))})
    depth = draws.integers(0, 3000, (-(-frames // 2), 12, 16)).astype(np.uint16)
    np.savez_compressed(camera(root, clip), depth=depth, frames=frames)


def write_set(root: Path) -> Path:
    """Actions 1 and 2 of subjects 1 and 2, one trial each."""
    for seed, clip in enumerate(("a1_s1_t1", "a1_s2_t1", "a2_s1_t1", "a2_s2_t1")):
        write_clip(root, clip, seed=seed, rows=30 + seed, frames=11 + seed)
    return root


def inertial(root: Path, clip: str) -> Path:
    return root / "Inertial" / f"{clip}_inertial.mat"


def skeleton(root: Path, clip: str) -> Path:
    return root / "Skeleton" / f"{clip}_skeleton.mat"


def camera(root: Path, clip: str) -> Path:
    return root / "Depth_half" / f"{clip}_depth.npz"
