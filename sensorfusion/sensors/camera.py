"""Camera: colour or depth, one image or a clip.

Shape letters: T frames, H rows (down), W columns (right), C channels. Integer pixel coordinates
are pixel centres.
"""

from __future__ import annotations

import abc
import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from sensorfusion.errors import DataError, UnitError
from sensorfusion.sample import Array, Frame, Reading, require_array
from sensorfusion.sensors.imu import require_rows
from sensorfusion.sensors.transform import Preparation, replace_reading

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SRGB = "sRGB"  # uint8, C = 3
MILLIMETRES = "mm"  # uint16, C = 1, 0 = no return
METRES = "m"  # float32, C = 1, 0 = no return
_RAW: dict[str, tuple[npt.DTypeLike, int | None]] = {
    SRGB: (np.uint8, 3),
    MILLIMETRES: (np.uint16, 1),
}


class _Plane(NamedTuple):
    dtype: npt.DTypeLike
    nothing: int


_PLANES = {
    "label": _Plane(np.uint8, 255),
    "instance": _Plane(np.int32, 0),
    "depth": _Plane(np.float32, 0),
    "segments": _Plane(np.int32, -1),
}


@dataclass(frozen=True, kw_only=True)
class CameraImage(Reading):
    """Images of one camera: a single frame (T = 1) or a clip.

    Colour stays uint8, and raw depth stays uint16 millimetres, as cameras deliver it: that is
    exact, and half of the memory of metres in float32, which normalisers give.

    Args:
        pixels: [T, H, W, C]; uint8 with C = 3 for the unit "sRGB", uint16 with C = 1 for the unit
            "mm" (depth along the optical axis, 0 = no return), float32 for any other unit.
        label: uint8 [T, H, W], class of each pixel, 255 where it has none.
        instance: int32 [T, H, W], the object that each pixel shows, 0 where it is none.
        depth: float32 [T, H, W], metres along the optical axis, 0 where nothing was hit.
        segments: int32 [T, H, W], the region (superpixel, mask) of each pixel, -1 where none.

    Raises:
        DataError: on a shape or dtype that does not fit the unit, or a non-finite value.
        ClockError: when the clock has another number of times than there are frames.
    """

    ARRAYS: ClassVar[tuple[str, ...]] = ("pixels",)
    OPTIONAL: ClassVar[tuple[str, ...]] = ("label", "instance", "depth", "segments")

    pixels: Array
    label: Array | None = None
    instance: Array | None = None
    depth: Array | None = None
    segments: Array | None = None

    def validate(self) -> None:
        dtype, channels = _RAW.get(self.unit, (np.float32, None))
        require_array(self, "pixels", (None, None, None, channels), dtype)
        if 0 in self.pixels.shape:
            raise DataError(
                f"an empty image of shape {self.pixels.shape}",
                where=self.source,
                remedy="check the file, or remove it from the folder",
            )
        require_rows(self, len(self.pixels))
        for name in self.held[1:]:
            require_array(self, name, self.pixels.shape[:3], _PLANES[name].dtype)

    @property
    def is_depth(self) -> bool:
        """Whether pixels measure depth, in millimetres or metres."""
        return self.unit in (MILLIMETRES, METRES)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.pixels.shape[1], self.pixels.shape[2]

    def cropped(self, box: Box, height: int, width: int) -> CameraImage:
        """The pixels of a box, resized to [T, height, width, C]; beside the image is nothing."""
        planes: dict[str, Array] = {"pixels": crop_resize(self.pixels, box, height, width)}
        for name in self.held[1:]:
            plane_THWC = getattr(self, name)[..., None]
            nothing = _PLANES[name].nothing
            planes[name] = crop_resize(plane_THWC, box, height, width, nothing)[..., 0]
        return self.replace(**planes)

    def mirrored(self) -> CameraImage:
        """Left and right exchanged."""
        return self.replace(
            **{name: np.ascontiguousarray(getattr(self, name)[:, :, ::-1]) for name in self.held}
        )

    def draw(self, axes: Axes, moments: int = 12) -> None:
        """Some frames side by side, cut to the columns and rows in which there is anything."""
        rows = np.unique(np.linspace(0, len(self.pixels) - 1, moments).round().astype(int))
        box = occupied_box(self.pixels)
        shown_KHWC = self.pixels[rows, box.top : box.bottom, box.left : box.right]
        strip = np.concatenate(list(shown_KHWC), axis=1)
        image = axes.imshow(_visible(strip), interpolation="nearest")
        if strip.shape[2] == 1:
            axes.figure.colorbar(
                image, ax=axes, label=self.unit, fraction=0.02, shrink=0.5, pad=0.01
            )
        axes.set_anchor("W")
        centres = (np.arange(len(rows)) + 0.5) * shown_KHWC.shape[2] - 0.5
        axes.set_xticks(centres, [f"{t:.2f}" for t in self.clock.times_T[rows]], fontsize="small")
        axes.set_yticks([])
        axes.set_xlabel(f"time ({self.clock.kind.value})")


class Box(NamedTuple):
    """Pixel rows [top, bottom) and columns [left, right)."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.right - self.left


def _visible(strip_HWC: Array) -> Array:
    if strip_HWC.shape[2] == 1:
        depth = strip_HWC[..., 0].astype(np.float32)
        return np.where(depth == 0, np.nan, depth)  # matplotlib leaves NaN blank
    if strip_HWC.dtype == np.uint8:
        return np.asarray(strip_HWC[..., :3])
    low, high = float(strip_HWC.min()), float(strip_HWC.max())
    return np.asarray((strip_HWC[..., :3] - low) / max(high - low, 1e-12))


def occupied_box(pixels_THWC: Array) -> Box:
    """The smallest box that holds every pixel that is non-zero in any frame; all if none is."""
    occupied_HW = pixels_THWC.any(axis=(0, 3))
    if not occupied_HW.any():
        return Box(0, 0, *occupied_HW.shape)
    rows, columns = occupied_HW.any(axis=1).nonzero()[0], occupied_HW.any(axis=0).nonzero()[0]
    return Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)


def resize(pixels_THWC: Array, height: int, width: int) -> Array:
    """Resize with pixel centres at integers: u' = (u + 0.5) s - 0.5.

    Colour and float images are interpolated linearly (with a low-pass filter when they shrink);
    depth takes the nearest pixel, as a mean over an edge is no depth.
    """
    if pixels_THWC.dtype == np.uint16 or pixels_THWC.shape[3] == 1:
        rows = _nearest(pixels_THWC.shape[1], height)
        columns = _nearest(pixels_THWC.shape[2], width)
        return pixels_THWC[:, rows[:, None], columns]
    import torch
    from torch.nn.functional import interpolate

    planes = torch.from_numpy(np.ascontiguousarray(pixels_THWC)).permute(0, 3, 1, 2).float()
    resized = interpolate(planes, (height, width), mode="bilinear", antialias=True)
    values: Array = resized.permute(0, 2, 3, 1).numpy()
    if pixels_THWC.dtype == np.uint8:
        values = np.rint(values).clip(0, 255).astype(np.uint8)
    return np.ascontiguousarray(values)


def _nearest(length: int, wanted: int) -> Array:
    centres = (np.arange(wanted) + 0.5) * (length / wanted) - 0.5
    # Halves go up, always to the same side; rounding to even would repeat and skip columns.
    return np.asarray(np.clip(np.floor(centres + 0.5), 0, length - 1), dtype=np.int64)


def crop_resize(pixels_THWC: Array, box: Box, height: int, width: int, outside: int = 0) -> Array:
    """The pixels of a box, resized; beside the image they have the value `outside`."""
    _, rows, columns, _ = pixels_THWC.shape
    inside = pixels_THWC[
        :, max(box.top, 0) : max(box.bottom, 0), max(box.left, 0) : max(box.right, 0)
    ]
    border = (
        (0, 0),
        (max(-box.top, 0), max(box.bottom - rows, 0)),
        (max(-box.left, 0), max(box.right - columns, 0)),
        (0, 0),
    )
    padded = np.pad(inside, border, constant_values=outside)
    return np.ascontiguousarray(resize(padded, height, width))


def crop_map(box: Box, height: int, width: int) -> Array:
    """The map [3, 3] of homogeneous pixels (u, v, 1) of an image to those of its resized box."""
    across, down = width / box.width, height / box.height
    return np.array(
        [
            [across, 0.0, (0.5 - box.left) * across - 0.5],
            [0.0, down, (0.5 - box.top) * down - 0.5],
            [0.0, 0.0, 1.0],
        ]
    )


def moved_pixels(frame: Frame, sensor: str, reading: CameraImage, map_33: Array) -> Frame:
    """The frame with a spatially changed image, and its intrinsics, where known, changed alike."""
    frame = replace_reading(frame, sensor, reading)
    table = frame.calibration.get(sensor, {})
    if "intrinsics" not in table:
        return frame
    changed = {**table, "intrinsics": map_33 @ table["intrinsics"]}
    return dataclasses.replace(frame, calibration={**frame.calibration, sensor: changed})


@dataclass(frozen=True, kw_only=True)
class CropTo(Preparation[CameraImage], abc.ABC):
    """Cut a box out of every image and resize it; intrinsics follow.

    Args:
        size: (H, W) of the result.
    """

    kind = CameraImage
    sensors: tuple[str, ...] = ("camera",)
    size: tuple[int, int]

    @abc.abstractmethod
    def box(self, reading: CameraImage) -> Box:
        """The box, which may reach beyond the image."""

    def prepare(self, reading: CameraImage) -> CameraImage:
        return reading.cropped(self.box(reading), *self.size)

    def change(self, frame: Frame, sensor: str, generator: np.random.Generator) -> Frame:
        reading = self.reading(frame, sensor)
        map_33 = crop_map(self.box(reading), *self.size)
        return moved_pixels(frame, sensor, self.prepare(reading), map_33)


@dataclass(frozen=True, kw_only=True)
class Resize(CropTo):
    """Resize the whole image."""

    def box(self, reading: CameraImage) -> Box:
        return Box(0, 0, *reading.size)


@dataclass(frozen=True, kw_only=True)
class CropPerson(CropTo):
    """Cut out whatever is in front of the removed background, without changing its proportions.

    The box is the same in every frame of a clip, so that motion across the image is kept.

    Args:
        margin: free border on each side, as a share of the box.
        rows: height of the box in pixels, around the centre of all that is there: bodies keep
            their relative size, whether or not an arm is raised; None: as tall as it takes.
    """

    margin: float = 0.05
    rows: int | None = None

    def box(self, reading: CameraImage) -> Box:
        found = occupied_box(reading.pixels)
        if self.rows is None:
            grown = 1.0 + 2.0 * self.margin
            height = grown * max(found.height, found.width * self.size[0] / self.size[1])
            down, right = (found.top + found.bottom) / 2, (found.left + found.right) / 2
        else:
            height = float(self.rows)
            down, right = _centre(reading.pixels, found)
        width = height * self.size[1] / self.size[0]
        top, left = round(down - height / 2), round(right - width / 2)
        return Box(top, left, top + round(height), left + round(width))


def _centre(pixels_THWC: Array, box: Box) -> tuple[float, float]:
    """Mean row and column of non-zero pixels, as edges count (the first pixel is 0 to 1)."""
    count_HW = np.count_nonzero(
        pixels_THWC[:, box.top : box.bottom, box.left : box.right], axis=(0, 3)
    )
    rows, columns = (np.arange(n) + 0.5 for n in count_HW.shape)
    total = max(int(count_HW.sum()), 1)
    down = float(count_HW.sum(axis=1) @ rows) / total
    right = float(count_HW.sum(axis=0) @ columns) / total
    return box.top + down, box.left + right


@dataclass(frozen=True, kw_only=True)
class RemoveBackground(Preparation[CameraImage]):
    """Depth outside a range becomes 0 (no return).

    Args:
        near, far: the range, in metres.
    """

    kind = CameraImage
    sensors: tuple[str, ...] = ("camera",)
    near: float
    far: float

    def prepare(self, reading: CameraImage) -> CameraImage:
        metre = per_metre(self, reading)
        kept = (reading.pixels >= self.near * metre) & (reading.pixels <= self.far * metre)
        return reading.replace(
            pixels=np.where(kept, reading.pixels, 0).astype(reading.pixels.dtype)
        )


@dataclass(frozen=True, kw_only=True)
class BodyDepth(Preparation[CameraImage]):
    """Depth to 1 + (median - depth) / reach, within [0, 2]; no return is 0.

    The median is over all returns of the clip: where the person stands is gone, motion towards
    the camera is kept.

    Args:
        reach: in metres.
    """

    kind = CameraImage
    sensors: tuple[str, ...] = ("camera",)
    reach: float = 1.0

    def prepare(self, reading: CameraImage) -> CameraImage:
        depth = reading.pixels.astype(np.float32) / np.float32(per_metre(self, reading))
        returns = depth > 0
        median = np.median(depth[returns]) if returns.any() else 0.0
        nearness = np.clip(1.0 + (median - depth) / self.reach, 0.0, 2.0)
        pixels = np.where(returns, nearness, 0.0).astype(np.float32)
        return reading.replace(pixels=pixels, unit="body depth")


def per_metre(transform: object, reading: CameraImage) -> float:
    """How many of the reading's units a metre has.

    Raises:
        UnitError: when its pixels are no depth.
    """
    if not reading.is_depth:
        raise UnitError(
            f"{type(transform).__name__} takes depth, found {reading.unit!r}",
            where=reading.source,
            remedy="apply it before normalisers, and only to depth cameras",
        )
    return 1000.0 if reading.unit == MILLIMETRES else 1.0
