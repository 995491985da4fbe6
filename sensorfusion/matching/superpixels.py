"""Superpixels and superpoints: the segments of images, and the points that fall into them.

Sautier et al. 2022, "Image-to-lidar self-supervised distillation for autonomous driving data"
(SLidR), section 3.2: a superpoint is the set of points whose pixels lie in one superpixel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sensorfusion.errors import ConfigError, DataError
from sensorfusion.geometry.cameras import cameras
from sensorfusion.geometry.occlusion import DepthBuffer, hidden
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
        parts: list[_Segments] = []
        for camera in self.cameras:
            first = sum(len(part.item) for part in parts)
            parts.append(self._camera(features, batch, camera, first))
        item = torch.cat([part.item for part in parts])
        return Correspondence(
            columns=(self.points, *self.cameras),
            ids=(torch.cat([p.point_ids for p in parts]), *(p.pixel_ids for p in parts)),
            tokens=(torch.cat([p.points for p in parts]), *(p.pixels for p in parts)),
            size=len(item),
            item=item,
            trust=torch.ones(len(item), device=item.device),
        )

    def _camera(
        self, features: Mapping[str, Features], batch: Batch, camera: str, first: int
    ) -> _Segments:
        """The segments of one camera's images that have points; ids count from `first`."""
        images = batch[camera]
        span = _span(images, camera)
        point_keys, points = self._points(features[self.points], batch, camera, span)
        pixel_keys, pixels = _pixels(features[camera], images, span)
        in_both = torch.isin(point_keys, pixel_keys)
        known = torch.unique(point_keys[in_both])
        seen = torch.isin(pixel_keys, known)
        return _Segments(
            point_ids=torch.searchsorted(known, point_keys[in_both]) + first,
            points=points[in_both],
            pixel_ids=torch.searchsorted(known, pixel_keys[seen]) + first,
            pixels=pixels[seen],
            item=images.item[known // max(span, 1)],
        )

    def _points(self, features: Features, batch: Batch, camera: str, span: int) -> Edges:
        images, clouds = batch[camera], batch[self.points]
        moments = zip(images.item.tolist(), images.frame.tolist(), strict=True)
        cloud_at = _readings(clouds)
        keys, found = [features.item.new_zeros(0)], [features.item.new_zeros(0)]
        for image, (item, frame) in enumerate(moments):
            here = (features.item == item) & (features.frame == frame) & features.valid
            tokens = here.nonzero()[:, 0]
            if not len(tokens):
                continue
            cloud = (clouds, int(cloud_at[item, frame]))
            pairs = self._pairs(features, tokens, cloud, (images, image), camera)
            segments_HW = images.values["segments"][image, 0]
            u, v = torch.from_numpy(pairs.pixels()).to(segments_HW.device).unbind(1)
            segment_E = segments_HW[v, u].long()
            kept = segment_E >= 0
            point_E = torch.from_numpy(pairs.point_E).to(segments_HW.device)
            keys.append(image * span + segment_E[kept])
            found.append(tokens[point_E[kept]])
        return torch.cat(keys), torch.cat(found)

    def _pairs(
        self,
        features: Features,
        tokens: Tensor,
        cloud: tuple[SensorBatch, int],
        image: tuple[SensorBatch, int],
        camera: str,
    ) -> Pairs:
        """The visible points of one cloud, as rows of `tokens`, in one image."""
        images, row = image
        if features.positions is None or features.positions.shape[1] != 3:
            raise _missing("positions [N, 3]", self.points)
        if "intrinsics" not in images.calibration:
            raise _missing("intrinsics", camera)
        T_camera_points = np.linalg.inv(_pose(*image, camera)) @ _pose(*cloud, self.points)
        # The map may mirror or stretch (augmentations do), which no rigid transform does.
        points_E3 = features.positions[tokens].detach().cpu().numpy().astype(np.float64)
        local_E3 = points_E3 @ T_camera_points[:3, :3].T + T_camera_points[:3, 3]
        height, width = images.values["segments"].shape[2:]
        rig = cameras(images.calibration["intrinsics"][row : row + 1].cpu(), (width, height))
        pairs = project_pairs(local_E3.astype(np.float32), rig, np.eye(4)[None], self.view)
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
    """int64 [B, F]: the row of each present reading."""
    present = readings.present
    return (present.flatten().long().cumsum(0) - 1).view(present.shape)


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
