"""SLIC: clusters of pixels that are near in colour and place (Achanta et al., TPAMI 2012).

Segments of SLidR (Sautier et al., CVPR 2022): 150 wanted, compactness 6, sigma 3, of whole images.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from sensorfusion.errors import ConfigError, DataError, MissingDependencyError
from sensorfusion.superpixels.clusters import assign, sharpen
from sensorfusion.superpixels.pictures import decode
from sensorfusion.superpixels.regions import connected

if TYPE_CHECKING:
    from sensorfusion.sample import Array

_LEAST_STEP = 8.0  # pixels between centres in the reduced image; fewer make ragged segments
_LEAST_BLUR = 1.5  # sigma in pixels down to which a reduced image still holds a blurred one


@dataclass(frozen=True, kw_only=True)
class _Settings(abc.ABC):
    """What all forms of SLIC are set by; the defaults are SLidR's.

    Args:
        segments: how many are wanted; what comes out may be fewer.
        compactness: colour difference (in CIELAB units) that weighs as much as one step of the
            grid of centres. Larger: squarer segments.
        sigma: of the Gaussian blur before, in pixels.
        iterations: at most.

    Raises:
        ConfigError: when a setting is out of range.
    """

    segments: int = 150
    compactness: float = 6.0
    sigma: float = 3.0
    iterations: int = 10

    def __post_init__(self) -> None:
        _require_settings(
            self,
            segments=(1, 2**31),
            compactness=(1e-6, 1e6),
            sigma=(0, 1e3),
            iterations=(1, 2**31),
        )

    @abc.abstractmethod
    def segment(self, pixels_HW3: Array) -> Array:
        """Labels int32 [H, W], 0 to S - 1, of colours uint8 [H, W, 3]."""

    def labels(self, files: tuple[bytes, ...], where: str) -> Array:
        """Labels of an encoded image."""
        return self.segment(decode(files[0], where))


@dataclass(frozen=True, kw_only=True)
class SlicReference(_Settings):
    """scikit-image's SLIC at full size; for its arguments see `_Settings`."""

    name: ClassVar[str] = "slic-reference"
    version: ClassVar[int] = 1

    def segment(self, pixels_HW3: Array) -> Array:
        """Labels int32 [H, W], 0 to S - 1, of colours uint8 [H, W, 3].

        Raises:
            DataError: when the pixels are no such image.
            MissingDependencyError: without scikit-image.
        """
        _require_pixels(pixels_HW3)
        try:
            from skimage.segmentation import slic
        except ImportError as error:
            raise MissingDependencyError(
                f"scikit-image cannot be imported: {error}",
                remedy="pip install -e '.[superpixels]' in your clone, or use the method slic",
            ) from error
        labels_HW = slic(
            pixels_HW3,
            n_segments=self.segments,
            compactness=self.compactness,
            sigma=self.sigma,
            max_num_iter=self.iterations,
            start_label=0,
        )
        return connected(labels_HW)[0]


@dataclass(frozen=True, kw_only=True)
class Slic(_Settings):
    """SLIC from coarse to fine: clusters of a reduced image, their borders drawn at full size.

    The centres converge on the reduced image; at full size only pixels near borders are compared,
    with the few centres that meet there (`clusters.sharpen`).

    Args:
        segments, compactness, sigma, iterations: of all forms; sigma in full pixels.
        smallest: connected parts below this share of the mean segment join a neighbour.
        reduction: by which height and width are divided; less where steps would be under 8 pixels.

    Raises:
        ConfigError: when a setting is out of range.
    """

    name: ClassVar[str] = "slic"
    version: ClassVar[int] = 1

    smallest: float = 0.5
    reduction: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_settings(self, smallest=(0, 1e6), reduction=(1, 2**31))

    def segment(self, pixels_HW3: Array) -> Array:
        """Labels int32 [H, W], 0 to S - 1, of colours uint8 [H, W, 3]; each segment connected.

        Raises:
            DataError: when the pixels are no such image.
        """
        _require_pixels(pixels_HW3)
        height, width = pixels_HW3.shape[:2]
        mean = height * width / self.segments
        reduction = max(1, min(self.reduction, int(mean**0.5 / _LEAST_STEP)))
        blurred = max(1, min(reduction, int(self.sigma / _LEAST_BLUR)))
        lab_HW3 = _blurred_lab(pixels_HW3, self.sigma, blurred)
        small_hw3 = _resized(lab_HW3, *_reduced((height, width), reduction))
        labels_hw, centres_K5, weight = self._clusters(small_hw3)
        if reduction > 1:
            lab_HW3 = _resized(lab_HW3, height, width)
            labels_hw = sharpen(labels_hw, lab_HW3, centres_K5, weight=weight)
        return connected(labels_hw, int(self.smallest * mean))[0]

    def _clusters(self, lab_HW3: Array) -> tuple[Array, Array, float]:
        """Labels int32 [H, W], their centres [K, 5], and the weight of squared pixels."""
        height, width = lab_HW3.shape[:2]
        step = (height * width / self.segments) ** 0.5
        weight = (self.compactness / step) ** 2
        lab_3HW = np.ascontiguousarray(np.moveaxis(lab_HW3, 2, 0))
        labels_HW, cells = _cells(height, width, step)
        # Without a weight on colours, the first assignment is to these cells.
        centres_K5 = _cell_means(lab_3HW, labels_HW, cells)
        for _ in range(self.iterations - 1):
            before_HW = labels_HW
            labels_HW, centres_K5 = assign(
                lab_3HW, centres_K5, labels_HW, weight=weight, reach=2 * step
            )
            if np.array_equal(labels_HW, before_HW):
                break
        return labels_HW, centres_K5, weight


def _cells(height: int, width: int, step: float) -> tuple[Array, int]:
    """Labels of a regular grid of about step x step pixels, and how many cells it has."""
    down, across = max(1, round(height / step)), max(1, round(width / step))
    down, across = min(down, height), min(across, width)
    rows_H, columns_W = np.arange(height) * down // height, np.arange(width) * across // width
    return (rows_H[:, None] * across + columns_W).astype(np.int32), down * across


def _cell_means(lab_3HW: Array, labels_HW: Array, cells: int) -> Array:
    places = np.broadcast_arrays(*np.ogrid[: labels_HW.shape[0], : labels_HW.shape[1]])
    label_P = labels_HW.ravel()
    sums = [np.bincount(label_P, plane.ravel(), cells) for plane in (*places, *lab_3HW)]
    means = np.stack(sums, axis=1) / np.bincount(label_P, minlength=cells)[:, None]
    return means.astype(np.float32)


def _blurred_lab(pixels_HW3: Array, sigma: float, reduction: int) -> Array:
    """Blurred CIELAB colours of the image reduced to 1 / `reduction`, float32."""
    import cv2

    height, width = _reduced(pixels_HW3.shape[:2], reduction)
    unit_hw3: Array = _resized(pixels_HW3, height, width).astype(np.float32) / np.float32(255)
    sigma = sigma / reduction
    if sigma > 0:
        side = 2 * int(4 * sigma + 0.5) + 1
        unit_hw3 = cv2.GaussianBlur(unit_hw3, (side, side), sigma, borderType=cv2.BORDER_REFLECT)
    return np.asarray(cv2.cvtColor(unit_hw3, cv2.COLOR_RGB2LAB))


def _reduced(size: tuple[int, ...], reduction: int) -> tuple[int, int]:
    return max(1, round(size[0] / reduction)), max(1, round(size[1] / reduction))


def _resized(image_HWC: Array, height: int, width: int) -> Array:
    """Pixel centres at integers; means over areas when it shrinks."""
    import cv2

    if image_HWC.shape[:2] == (height, width):
        return image_HWC
    shrinks = height <= image_HWC.shape[0] and width <= image_HWC.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image_HWC, (width, height), interpolation=method))


def _require_settings(method: object, **limits: tuple[float, float]) -> None:
    for name, (lowest, highest) in limits.items():
        value = getattr(method, name)
        if not lowest <= value <= highest:  # so that NaN fails too
            raise ConfigError(
                f"{name} = {value!r} is not in [{lowest}, {highest}]",
                where=f"method {getattr(method, 'name', '')}",
            )


def _require_pixels(pixels_HW3: Array) -> None:
    if pixels_HW3.dtype != np.uint8 or pixels_HW3.ndim != 3 or pixels_HW3.shape[2] != 3:
        raise DataError(
            f"pixels are {pixels_HW3.dtype} {pixels_HW3.shape}, expected uint8 [H, W, 3]"
        )
    if pixels_HW3.size == 0:
        raise DataError(f"an empty image of shape {pixels_HW3.shape}")
