"""MinkUNet: point clouds through voxels and a sparse U-Net to features of every point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from sensorfusion.encoders.encoder import Encoder
from sensorfusion.encoders.sparse_unet import SparseUNet
from sensorfusion.errors import ConfigError, DataError
from sensorfusion.geometry.voxels import VoxelGrid, Voxels, voxelise
from sensorfusion.ops import SparseTensor
from sensorfusion.sample import Features, SensorBatch, segment_mean
from sensorfusion.sensors.lidar import PointCloud

Pooling = Literal["mean", "first"]
Level = Literal["points", "voxels"]
COLUMNS = ("x", "y", "z", "intensity", "time")

_DOWN = (32, 64, 128, 256)
_ONES, _TWOS = {"blocks": (1,) * 8}, {"blocks": (2,) * 8}
_34 = {"blocks": (2, 3, 4, 6, 2, 2, 2, 2)}
_A, _B = {"planes": (*_DOWN, 128, 128, 96, 96)}, {"planes": (*_DOWN, 128, 128, 128, 128)}
_D = {"planes": (*_DOWN, 384, 384, 384, 384)}
_34C: Mapping[str, Any] = {**_34, "planes": (*_DOWN, 256, 128, 96, 96)}

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "14A": {**_ONES, **_A},
    "14B": {**_ONES, **_B},
    "14C": {**_ONES, "planes": (*_DOWN, 192, 192, 128, 128)},
    "14D": {**_ONES, **_D},
    "18A": {**_TWOS, **_A},
    "18B": {**_TWOS, **_B},
    "18D": {**_TWOS, **_D},
    "34A": {**_34, "planes": (*_DOWN, 256, 128, 64, 64)},
    "34B": {**_34, "planes": (*_DOWN, 256, 128, 64, 32)},
    "34C": _34C,
    "50": {**_34C, "bottleneck": True},
    "101": {**_34C, "blocks": (2, 3, 4, 23, 2, 2, 2, 2), "bottleneck": True},
}
"""Networks as MinkowskiEngine's examples name them, e.g. `MinkUNet(**VARIANTS["18A"], ...)`."""

_NUSCENES: Mapping[str, Any] = {
    "voxel": (0.1, 1.0, 0.1),
    "cylindrical": True,
    "pooling": "first",
    "units": ("m, intensity 0-255",),
}
SLIDR: Mapping[str, Any] = {
    **_34C,
    **_NUSCENES,
    "head": 64,
    "normalise": True,
    "momentum": 0.05,
    "block_momentum": 0.1,
}
"""The point network of SLidR (Sautier et al. 2022) as released: its momentum reaches the norms
outside the blocks and on their shortcuts, those inside keep the default."""

SUPERFLOW: Mapping[str, Any] = {
    **_34C,
    **_NUSCENES,
    "columns": ("x", "y", "z", "intensity"),
    "round_and_shift": True,
    "stem_convs": 2,
    "momentum": 0.05,
    "block_momentum": 0.05,
}
"""The point network of SuperFlow (Xu et al. 2024) as released, without its linear head."""


class MinkUNet(Encoder):
    """Voxelise points, run a sparse U-Net, and give every point the features of its voxel.

    The settings `VARIANTS`, `SLIDR` and `SUPERFLOW` are networks of the field; the defaults are
    MinkUNet34C on Cartesian voxels.

    Args:
        units: units that readings may have. columns: what a point brings into its voxel, of
            `COLUMNS`; intensity in the readings' unit, coordinates in metres, time in seconds.
        voxel, cylindrical, round_and_shift: see `VoxelGrid`.
        pooling: a voxel has the mean of its points' columns, or those of the first of them.
        level: tokens are the points, or the voxels (at the mean of their points).
        blocks, planes, bottleneck, stem, stem_convs, stem_kernel, head, normalise, momentum,
            block_momentum: see `SparseUNet`.

    Raises:
        ConfigError: for settings that are not known.
    """

    reading = PointCloud

    def __init__(
        self,
        *,
        units: Sequence[str],
        columns: Sequence[str] = ("intensity",),
        voxel: tuple[float, float, float] = (0.1, 0.1, 0.1),
        cylindrical: bool = False,
        round_and_shift: bool = False,
        pooling: Pooling = "mean",
        level: Level = "points",
        blocks: Sequence[int] = _34C["blocks"],
        planes: Sequence[int] = _34C["planes"],
        bottleneck: bool = False,
        stem: int = 32,
        stem_convs: int = 1,
        stem_kernel: int = 3,
        head: int | None = None,
        normalise: bool = False,
        momentum: float = 0.1,
        block_momentum: float = 0.1,
    ) -> None:
        super().__init__()
        _require_known(columns, pooling, level)
        self.units, self.columns = tuple(units), tuple(columns)
        first, second, third = voxel
        self.voxel, self.cylindrical = (first, second, third), cylindrical
        self.round_and_shift, self.pooling, self.level = round_and_shift, pooling, level
        self.blocks, self.planes, self.bottleneck = tuple(blocks), tuple(planes), bottleneck
        self.stem, self.stem_convs, self.stem_kernel = stem, stem_convs, stem_kernel
        self.head, self.normalise = head, normalise
        self.momentum, self.block_momentum = momentum, block_momentum
        self.grid = VoxelGrid(self.voxel, cylindrical=cylindrical, round_and_shift=round_and_shift)
        self.network = SparseUNet(
            len(self.columns),
            blocks=self.blocks,
            planes=self.planes,
            bottleneck=bottleneck,
            stem=stem,
            stem_convs=stem_convs,
            stem_kernel=stem_kernel,
            head=head,
            normalise=normalise,
            momentum=momentum,
            block_momentum=block_momentum,
        )
        self.width = self.network.width

    def forward(self, batch: SensorBatch) -> Features:
        """Tokens of the points, in their order, or of the voxels; positions in metres.

        Raises:
            UnitError: when the readings are of another type or unit.
            DataError: when they lack a column, or a point is not finite.
        """
        batch.require(self.reading, *self.units)
        points_N3, reading_N = batch.values["points"], batch.row_reading
        voxels = voxelise(points_N3.cpu().numpy(), self.grid, reading_N.cpu().numpy())
        inverse_N = torch.from_numpy(voxels.inverse_N).to(points_N3.device)
        tensor = self.network(self._voxels(batch, voxels, inverse_N))
        if self.level == "points":
            tokens_ND, positions_N3 = tensor.features.index_select(0, inverse_N), points_N3
        else:
            tokens_ND, reading_N = tensor.features, tensor.coordinates[:, 0].long()
            positions_N3 = segment_mean(points_N3, inverse_N, len(tensor))
        return Features(
            tokens=tokens_ND,
            item=batch.item[reading_N],
            frame=batch.frame[reading_N],
            size=len(batch.present),
            valid=torch.ones(len(tokens_ND), dtype=torch.bool, device=tokens_ND.device),
            positions=positions_N3,
        )

    def _voxels(self, batch: SensorBatch, voxels: Voxels, inverse_N: Tensor) -> SparseTensor:
        columns_NC = _stacked(batch, self.columns)
        if self.pooling == "first":
            features_VC = columns_NC[torch.from_numpy(voxels.first_V).to(columns_NC.device)]
        else:
            features_VC = segment_mean(columns_NC, inverse_N, len(voxels))
        weight = next(self.parameters())
        coordinates_V4 = torch.from_numpy(voxels.coordinates_V4).to(columns_NC.device)
        return SparseTensor(coordinates_V4, features_VC.to(weight.dtype), batch_size=len(batch))


def _stacked(batch: SensorBatch, columns: Sequence[str]) -> Tensor:
    points_N3 = batch.values["points"]
    known = dict(zip("xyz", points_N3.unbind(1), strict=True)) | dict(batch.values)
    missing = [name for name in columns if name not in known]
    if missing:
        raise DataError(
            f"readings without {', '.join(missing)}",
            where="MinkUNet",
            remedy="read it with the points, or build the encoder without that column",
        )
    return torch.stack([known[name] for name in columns], dim=1)


def _require_known(columns: Sequence[str], pooling: str, level: str) -> None:
    for name, value, known in (
        *(("columns", column, COLUMNS) for column in columns),
        ("pooling", pooling, ("mean", "first")),
        ("level", level, ("points", "voxels")),
    ):
        if value not in known:
            raise ConfigError(
                f"{name} {value!r}", where="MinkUNet", remedy=f"use {' or '.join(known)}"
            )
    if not columns:
        raise ConfigError("a voxel without features", where="MinkUNet", remedy="name columns")
