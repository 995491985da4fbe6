"""Generated images for tests of superpixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def scene(seed: int, height: int = 90, width: int = 160) -> np.ndarray:
    """Smooth colours, a few rectangles, and noise: uint8 [H, W, 3]."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([rows * 120 / height, columns * 120 / width, (rows + columns) % 97], axis=2)
    for _ in range(6):
        top, left = generator.integers(0, height), generator.integers(0, width)
        image[top : top + height // 3, left : left + width // 4] = generator.integers(0, 255, 3)
    return np.uint8((image + generator.normal(0, 4, image.shape)).clip(0, 255))


def write_scenes(folder: Path, count: int = 4) -> Path:
    """PNG and JPEG files, some in a folder below."""
    for index in range(count):
        path = (
            folder / ("front" if index % 2 else ".") / f"{index}{'.jpg' if index % 3 else '.png'}"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(scene(index)).save(path)
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
