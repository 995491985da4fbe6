"""Where the pixels of a raster lie: affine transforms between pixels and map coordinates.

A transform, float64 [2, 3] = [[a, b, c], [d, e, f]], has the meaning that GDAL and rasterio give
it: it maps the *corners* of pixels, (0, 0) being the outer corner of the first one, to map
coordinates, x = a column + b row + c, y = d column + e row + f. Everywhere else in the package
integer pixel coordinates (u right, v down) are pixel *centres*: the centre of pixel (u, v) is the
corner (u + 0.5, v + 0.5). The functions below take and give centres.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sensorfusion.errors import DataError
from sensorfusion.geometry.arrays import finite

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
_LARGEST = 1e12  # of any coordinate: no map is larger, and products stay finite


def north_up(left: float, top: float, pixel: float) -> Floats:
    """The transform of square pixels whose rows run south: float64 [2, 3].

    Raises:
        DataError: for numbers that are not finite, or a pixel without size.
    """
    return _transform(np.array([[pixel, 0.0, left], [0.0, -pixel, top]]))


def map_points(transform_23: Floats, pixels_N2: Array) -> Floats:
    """Map coordinates (x, y) of pixel coordinates (u, v), centres at integers: float64 [N, 2].

    Raises:
        DataError: for other shapes, or numbers that are not finite.
    """
    transform, corners = _transform(transform_23), _places(pixels_N2) + 0.5
    return np.asarray(corners @ transform[:, :2].T + transform[:, 2])


def pixel_points(transform_23: Floats, points_N2: Array) -> Floats:
    """Pixel coordinates (u, v), centres at integers, of map coordinates: float64 [N, 2].

    Raises:
        DataError: for other shapes, or numbers that are not finite.
    """
    transform = _transform(transform_23)
    inverse = np.linalg.inv(transform[:, :2])
    return np.asarray((_places(points_N2) - transform[:, 2]) @ inverse.T - 0.5)


def pixel_size(transform_23: Floats) -> tuple[float, float]:
    """Lengths of a pixel's sides along a row and along a column, in map units."""
    along, down = np.linalg.norm(_transform(transform_23)[:, :2], axis=0)
    return float(along), float(down)


def composed(transform_23: Floats, new_33: Floats) -> Floats:
    """The transform of a raster whose pixel corners went through a map of pixels.

    Args:
        new_33: corners (column, row, 1) of the new raster to those of the old one.

    Raises:
        DataError: for other shapes, numbers that are not finite, or pixels without area.
    """
    square = np.vstack([_transform(transform_23), (0.0, 0.0, 1.0)])
    return _transform((square @ finite(new_33, "a map of pixels", (3, 3)))[:2])


def window_map(top: int, left: int) -> Floats:
    """The map of a window that starts at a pixel, for `composed`."""
    return np.array([[1.0, 0.0, left], [0.0, 1.0, top], [0.0, 0.0, 1.0]])


def mirror_map(width: int) -> Floats:
    """The map of a raster whose columns were reversed, for `composed`."""
    return np.array([[-1.0, 0.0, width], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


def quarter_turn_map(width: int) -> Floats:
    """The map of a raster turned as by `np.rot90` (counter-clockwise), for `composed`.

    Args:
        width: columns before the turn.
    """
    return np.array([[0.0, -1.0, width], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])


def _transform(given_23: Array) -> Floats:
    transform = finite(given_23, "the transform of a raster", (2, 3))
    area = abs(float(np.linalg.det(transform[:, :2])))
    if not area > 0.0 or np.abs(transform).max() > _LARGEST:
        raise DataError(
            f"singular, or out of range: {transform.tolist()}",
            where="the transform of a raster",
            remedy="give [[a, b, c], [d, e, f]] as GDAL's, with pixels that have an area",
        )
    return transform


def _places(given_N2: Array) -> Floats:
    places = finite(given_N2, "places in a raster", (2,), stacked=True)
    if places.ndim != 2 or np.abs(places).max(initial=0.0) > _LARGEST:
        raise DataError(
            f"out of range, or of shape {places.shape}",
            where="places in a raster",
            remedy="give [N, 2]",
        )
    return places
