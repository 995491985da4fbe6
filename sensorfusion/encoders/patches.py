"""Images as patches: what encoders share whose tokens lie on a grid over one image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sensorfusion.encoders.encoder import Encoder
from sensorfusion.encoders.readout import floating
from sensorfusion.errors import ConfigError, DataError
from sensorfusion.sample import Features, SensorBatch


def require_patches(size: Sequence[int], patch: int, encoder: Encoder) -> None:
    """Raise `ConfigError` unless images of (H, W) pixels can be cut into square patches."""
    if patch < 1 or any(edge < patch or edge % patch for edge in size):
        raise ConfigError(
            f"images of {tuple(size)} pixels cannot be cut into patches of {patch} x {patch}",
            where=type(encoder).__name__,
            remedy=f"resize or crop them to multiples of {patch}",
        )


def single_images(batch: SensorBatch, size: Sequence[int], encoder: Encoder) -> Tensor:
    """Pixels [P, 3, H, W] of images `pixels` [P, 1, H, W, 3], 0 to 255, in the encoder's dtype.

    Raises:
        DataError: for images of another size, or clips.
    """
    pixels = batch.values["pixels"]
    if tuple(pixels.shape[1:]) != (1, *size, 3):
        raise DataError(
            f"images of shape {tuple(pixels.shape[1:])}, expected {(1, *size, 3)}",
            where=type(encoder).__name__,
            remedy="resize them, or build the encoder for their size",
        )
    return floating(pixels[:, 0], encoder).permute(0, 3, 1, 2)


def patch_features(grid_PDhw: Tensor, batch: SensorBatch, patch: int) -> Features:
    """Tokens of a grid [P, D, h, w], by reading, row and column, at the centres (u, v) of patches.

    Args:
        grid_PDhw: one cell for each patch. batch: the readings. patch: edge in pixels.
    """
    height, width = grid_PDhw.shape[2:]
    cells = height * width
    return Features(
        tokens=grid_PDhw.permute(0, 2, 3, 1).flatten(0, 2),
        item=batch.item.repeat_interleave(cells),
        frame=batch.frame.repeat_interleave(cells),
        size=len(batch.present),
        valid=torch.ones(len(grid_PDhw) * cells, dtype=torch.bool, device=grid_PDhw.device),
        positions=_centres(height, width, patch, grid_PDhw).repeat(len(grid_PDhw), 1),
        grid=grid_PDhw,
    )


def patch_centres(count: int, patch: int, device: torch.device | None = None) -> Tensor:
    """Centres [count] of patches along one edge, in pixels, whose own centres are integers."""
    return (torch.arange(count, device=device) + 0.5) * patch - 0.5


def _centres(height: int, width: int, patch: int, like: Tensor) -> Tensor:
    v, u = torch.meshgrid(
        patch_centres(height, patch, like.device),
        patch_centres(width, patch, like.device),
        indexing="ij",
    )
    return torch.stack([u, v], dim=2).reshape(-1, 2)
