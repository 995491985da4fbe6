"""Superpixels and superpoints: the segments of images, and the points that fall into them.

Sautier et al. 2022, "Image-to-lidar self-supervised distillation for autonomous driving data"
(SLidR), section 3.2: a superpoint is the set of points whose pixels lie in one superpixel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sensorfusion.errors import ConfigError, DataError
from sensorfusion.geometry.cameras import cameras
from sensorfusion.geometry.occlusion import DepthBuffer, hidden
from sensorfusion.geometry.poses import invert, pose
from sensorfusion.geometry.projection import Pairs, project_pairs
from sensorfusion.geometry.view import WHOLE_IMAGE, View
from sensorfusion.sample import Batch, Correspondence, Features, SensorBatch

Edges = tuple[Tensor, Tensor]  # keys (image * span + segment) of tokens, and the tokens


@dataclass(frozen=True)
class Superpixels:
    """One id for every segment of every image in which at least one point lies.

    The columns are the points' stream, then one per camera: an id has tokens in the points'
    column and in that of its own camera. A token belongs to the segment under its position: of
    points that is their pixel, rounded (halves to the even one, as in SLidR). A point that
    several cameras see belongs to several ids.

    Args:
        cameras: streams of images that carry `segments`, with poses and intrinsics.
        points: the stream of the points, positions [N, 3] in the sensor's axes, with poses.
        view: which projected points count. occlusion: leaves out points that others hide.

    Raises:
        ConfigError: for a stream that the model does not have.
        DataError: when segments, poses, intrinsics or positions are missing.
    """

    cameras: tuple[str, ...]
    points: str = "lidar"
    view: View = WHOLE_IMAGE
    occlusion: DepthBuffer | None = None

    def __call__(self, features: Mapping[str, Features], batch: Batch) -> Correspondence:
        unknown = [name for name in (self.points, *self.cameras) if name not in features]
        if unknown:
            raise ConfigError(
                f"no sensor gives the streams {unknown}",
                where="matching.Superpixels",
                remedy=f"name some of {sorted(features)}",
            )
        spans = {camera: _span(batch[camera], camera) for camera in self.cameras}
        points = self._points(features[self.points], batch, spans)
        parts: list[_Segments] = []
        for camera, span in spans.items():
            pixels = _pixels(features[camera], batch[camera], span)
            first = sum(len(part.item) for part in parts)
            parts.append(_joined(points[camera], pixels, batch[camera], span, first))
        item = torch.cat([part.item for part in parts])
        return Correspondence(
            columns=(self.points, *self.cameras),
            ids=(torch.cat([p.point_ids for p in parts]), *(p.pixel_ids for p in parts)),
            tokens=(torch.cat([p.points for p in parts]), *(p.pixels for p in parts)),
            size=len(item),
            item=item,
            trust=torch.ones(len(item), device=item.device),
        )

    def _points(
        self, features: Features, batch: Batch, spans: Mapping[str, int]
    ) -> dict[str, Edges]:
        """Of every camera, the points that lie in a segment of its images."""
        clouds, none = batch[self.points], features.item.new_zeros(0)
        row_at = {camera: _readings(batch[camera]) for camera in self.cameras}
        found: dict[str, list[Edges]] = {camera: [(none, none)] for camera in self.cameras}
        for cloud, (item, frame) in enumerate(zip(clouds.item, clouds.frame, strict=True)):
            rows = {camera: int(row_BF[item, frame]) for camera, row_BF in row_at.items()}
            images = {camera: row for camera, row in rows.items() if row >= 0}
            here = (features.item == item) & (features.frame == frame) & features.valid
            tokens = here.nonzero()[:, 0]
            if not images or not len(tokens):
                continue
            pairs = self._pairs(features, tokens, (clouds, cloud), batch, images)
            bounds = np.searchsorted(pairs.camera_E, np.arange(len(images) + 1))
            pixel_E2, point_E = torch.from_numpy(pairs.pixels()), torch.from_numpy(pairs.point_E)
            for (camera, row), (start, stop) in zip(images.items(), pairwise(bounds), strict=True):
                segments_HW = batch[camera].values["segments"][row, 0]
                u, v = pixel_E2[start:stop].to(segments_HW.device).unbind(1)
                segment = segments_HW[v, u].long()
                token = tokens[point_E[start:stop].to(tokens.device)]
                kept = segment >= 0
                found[camera].append(((row * spans[camera] + segment)[kept], token[kept]))
        return {camera: _concatenated(edges) for camera, edges in found.items()}

    def _pairs(
        self,
        features: Features,
        tokens: Tensor,
        cloud: tuple[SensorBatch, int],
        batch: Batch,
        images: Mapping[str, int],
    ) -> Pairs:
        """The visible points of one cloud, as rows of `tokens`, in the images of its moment."""
        if features.positions is None or features.positions.shape[1] != 3:
            raise _missing("positions [N, 3]", self.points)
        if any("intrinsics" not in batch[camera].calibration for camera in images):
            raise _missing("intrinsics", " or ".join(images))
        T_world_points = _pose(*cloud, self.points)
        # The map may mirror or stretch (augmentations do), which no rigid transform does; so the
        # points are brought to axes of the world, at the cloud's own place to keep them small.
        points_N3 = features.positions[tokens].detach().cpu().numpy()
        local_N3 = _turned(points_N3, T_world_points[:3, :3]).astype(np.float32)
        T_world_local = pose(np.eye(3), T_world_points[:3, 3])
        poses_K44 = np.stack([_pose(batch[c], row, c) for c, row in images.items()])
        T_camera_local_K44 = np.stack([invert(each) @ T_world_local for each in poses_K44])
        rig = cameras(
            np.stack([batch[c].calibration["intrinsics"][r].cpu() for c, r in images.items()]),
            np.array([batch[c].values["segments"].shape[3:1:-1] for c in images]),
        )
        pairs = project_pairs(local_N3, rig, T_camera_local_K44, self.view)
        if self.occlusion is None:
            return pairs
        return pairs.select(~hidden(pairs, rig, self.occlusion))


@dataclass(frozen=True)
class _Segments:
    """Segments of one camera: edges to points and to tokens of pixels; the sample of each."""

    point_ids: Tensor
    points: Tensor
    pixel_ids: Tensor
    pixels: Tensor
    item: Tensor


def _joined(points: Edges, pixels: Edges, images: SensorBatch, span: int, first: int) -> _Segments:
    """The segments of one camera that have points and tokens of pixels; ids count from `first`."""
    (point_keys, points_E), (pixel_keys, pixels_E) = points, pixels
    with_point, with_pixel = (
        torch.zeros(len(images) * span, dtype=torch.bool, device=keys.device).index_fill(0, keys, 1)
        for keys in (point_keys, pixel_keys)
    )
    known = with_point & with_pixel
    number = known.cumsum(0) + (first - 1)
    point_kept, pixel_kept = known[point_keys], known[pixel_keys]
    return _Segments(
        point_ids=number[point_keys[point_kept]],
        points=points_E[point_kept],
        pixel_ids=number[pixel_keys[pixel_kept]],
        pixels=pixels_E[pixel_kept],
        item=images.item[known.nonzero()[:, 0] // max(span, 1)],
    )


def _concatenated(edges: Sequence[Edges]) -> Edges:
    keys, tokens = zip(*edges, strict=True)
    return torch.cat(keys), torch.cat(tokens)


def _turned(points_N3: npt.NDArray[Any], linear_33: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    """Points times linear.T in float64, without BLAS, whose threads keep those of torch waiting."""
    x, y, z = points_N3.T.astype(np.float64)[:, :, None]
    turned: npt.NDArray[Any] = x * linear_33[:, 0] + y * linear_33[:, 1] + z * linear_33[:, 2]
    return turned


def _pixels(features: Features, images: SensorBatch, span: int) -> Edges:
    tokens = features.valid.nonzero()[:, 0]
    if not len(tokens):
        return tokens, tokens
    if features.positions is None or features.positions.shape[1] != 2:
        raise _missing("positions [N, 2]", "the camera's features")
    image = _readings(images)[features.item[tokens], features.frame[tokens]]
    u, v = features.positions[tokens].round().long().unbind(1)
    segment = images.values["segments"][image, 0, v, u].long()
    kept = segment >= 0
    return (image * span + segment)[kept], tokens[kept]


def _readings(readings: SensorBatch) -> Tensor:
    """int64 [B, F]: the row of each reading; -1 where there is none."""
    present = readings.present
    row = (present.flatten().long().cumsum(0) - 1).view(present.shape)
    return torch.where(present, row, -1)


def _span(images: SensorBatch, camera: str) -> int:
    """One more than the largest segment: how far apart the keys of different images are."""
    if not len(images):
        return 0
    if "segments" not in images.values:
        raise _missing("segments", camera)
    return int(images.values["segments"].max()) + 1


def _pose(batch: SensorBatch, reading: int, name: str) -> npt.NDArray[np.float64]:
    if batch.poses is None:
        raise _missing("poses", name)
    pose: npt.NDArray[np.float64] = batch.poses[reading].cpu().numpy()
    return pose


def _missing(what: str, sensor: str) -> DataError:
    return DataError(
        f"no {what}",
        where=f"matching.Superpixels, {sensor!r}",
        remedy="points and pixels are matched by projection: samples need poses of both sensors, "
        "intrinsics of the camera, and `segments` of its images (sensors/camera_segments.py)",
    )
