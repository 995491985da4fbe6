"""Features at sparse sites, and the sites and kernel maps that travel with them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sensorfusion.errors import DataError
from sensorfusion.ops.levels import Levels, Path
from sensorfusion.ops.sites import Sites, checked_sites


class SparseTensor:
    """Features at distinct integer coordinates of a batch.

    Row n of the features belongs to row n of the coordinates. Rows stay in the order in which
    they were given; ascending rows (as voxelisation makes them) are found faster. The output
    sites of strided layers are in ascending order.

    Args:
        coordinates_NX: [N, 4] integers: batch item, then the three axes in the order in which
            the voxeliser made them; [N, 3] for two axes. In units of this tensor's cells;
            negative ones are welcome. Kept as int32.
        features_NC: [N, C] floating point, on the same device.
        stride: cells of the finest grid per cell, one number or one per axis.
        batch_size: number of batch items; the last batch item + 1 when left out.
        spatial_shape: cells per axis, from 0, where the field is bounded.

    Raises:
        DataError: for coordinates that `checked_sites` refuses (two equal rows among them), and
            features of another length, dtype or device.
    """

    def __init__(
        self,
        coordinates_NX: Tensor,
        features_NC: Tensor,
        *,
        stride: int | Sequence[int] = 1,
        batch_size: int | None = None,
        spatial_shape: Sequence[int] | None = None,
    ) -> None:
        sites = checked_sites(
            coordinates_NX, batch_size=batch_size, stride=stride, spatial_shape=spatial_shape
        )
        self.features = _checked_features(features_NC, sites)
        self.levels, self.path = Levels(sites), ()

    features: Tensor
    levels: Levels
    path: Path

    @classmethod
    def at(cls, levels: Levels, path: Path, features_NC: Tensor) -> SparseTensor:
        """Features at one of the levels that a tensor has: how layers make their outputs."""
        tensor = cls.__new__(cls)
        tensor.levels, tensor.path = levels, path
        tensor.features = _checked_features(features_NC, levels.sites[path])
        return tensor

    def replace(self, features_NC: Tensor) -> SparseTensor:
        """Other features at the same sites."""
        return SparseTensor.at(self.levels, self.path, features_NC)

    def __len__(self) -> int:
        return len(self.features)

    def __repr__(self) -> str:
        return (
            f"SparseTensor({len(self)} sites, {self.channels} channels, stride={self.stride}, "
            f"batch_size={self.batch_size}, spatial_shape={self.spatial_shape}, "
            f"dtype={self.features.dtype}, device={self.features.device})"
        )

    @property
    def sites(self) -> Sites:
        """The coordinates with what is known of them."""
        return self.levels.sites[self.path]

    @property
    def coordinates(self) -> Tensor:
        """int32 [N, 1 + axes]: batch item, then axes."""
        return self.sites.coordinates

    @property
    def channels(self) -> int:
        return self.features.shape[1]

    @property
    def stride(self) -> tuple[int, ...]:
        """Cells of the finest grid per cell of this tensor, per axis."""
        return self.sites.stride

    @property
    def batch_size(self) -> int:
        return self.sites.batch_size

    @property
    def spatial_shape(self) -> tuple[int, ...] | None:
        """Cells per axis, where the field is bounded."""
        return self.sites.spatial_shape

    def dense(self) -> Tensor:
        """[batch, C, *cells]: zero where there is no site.

        Covers the spatial shape, or from the smallest to the largest coordinate without one.

        Raises:
            DataError: when memory cannot hold it.
        """
        lower, upper = self.sites.bounds
        if self.spatial_shape is not None:
            lower, upper = (0,) * len(lower), tuple(n - 1 for n in self.spatial_shape)
        cells = tuple(b - a + 1 for a, b in zip(lower, upper, strict=True))
        try:
            field = self.features.new_zeros(self.batch_size, *cells, self.channels)
        except RuntimeError as error:
            box = " x ".join(map(str, cells))
            raise DataError(
                f"coordinates from {lower} to {upper}: no memory for {box} cells",
                where="SparseTensor.dense",
                remedy="remove outliers",
            ) from error
        columns = list(self.coordinates.long().unbind(1))
        shifted = [c - low for c, low in zip(columns[1:], lower, strict=True)]
        return field.index_put((columns[0], *shifted), self.features).movedim(-1, 1)

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> SparseTensor:
        """On a device, with features of a dtype; levels made so far move along."""
        features_NC = self.features.to(device=device, dtype=dtype)
        moves = features_NC.device != self.features.device
        levels = self.levels.to(features_NC.device) if moves else self.levels
        return SparseTensor.at(levels, self.path, features_NC)


def cat(tensors: Sequence[SparseTensor]) -> SparseTensor:
    """Channels of tensors at the same level of the same tensor, side by side.

    Raises:
        DataError: when the tensors are not at the same sites, or there is none.
    """
    if not tensors:
        raise DataError("no tensor to join", where="cat")
    first = tensors[0]
    for other in tensors[1:]:
        if other.levels is not first.levels or other.path != first.path:
            raise DataError(
                f"{other} and {first} are not at the same sites",
                where="cat",
                remedy="join what layers made of one tensor at one level",
            )
    return first.replace(torch.cat([tensor.features for tensor in tensors], dim=1))


def _checked_features(features_NC: Tensor, sites: Sites) -> Tensor:
    where = "features of a sparse tensor"
    if features_NC.ndim != 2 or len(features_NC) != len(sites):
        raise DataError(
            f"shape {tuple(features_NC.shape)} for {len(sites)} coordinates", where=where
        )
    if not features_NC.is_floating_point():
        raise DataError(f"dtype {features_NC.dtype}, expected floating point", where=where)
    if features_NC.device != sites.device:
        raise DataError(f"on {features_NC.device}, coordinates on {sites.device}", where=where)
    return features_NC
