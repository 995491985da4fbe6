"""The two steps of SLIC: pixels to the nearest centre, and a coarse result made sharp.

A centre is (row, column, L, a, b); its distance to a pixel is that of Achanta et al., "SLIC
Superpixels Compared to State-of-the-Art Superpixel Methods", TPAMI 2012, equation 3:
D^2 = |colour difference|^2 + weight |offset in pixels|^2 with weight = (compactness / step)^2.

Shape letters: H rows, W columns of the image, h and w of its reduced copy, K centres.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sensorfusion.compiled import inlined
from sensorfusion.errors import DataError

if TYPE_CHECKING:
    from sensorfusion.sample import Array

LARGEST = 1e9  # weight and reach
_FAR = np.float32(np.inf)


def assign(
    lab_3HW: Array, centres_K5: Array, labels_HW: Array, *, weight: float, reach: float
) -> tuple[Array, Array]:
    """Give each pixel to the nearest of the centres whose window it is in, and move the centres.

    Args:
        lab_3HW: colours, float32. centres_K5: float32. labels_HW: int32 in [0, K), kept where no
            window reaches.
        weight: of squared offsets in pixels. reach: half the side of the windows, in pixels.

    Returns:
        Labels int32 [H, W] (the lower one of two at the same distance), and the means of their
        pixels, float32 [K, 5]; a centre without pixels stays where it was.

    Raises:
        DataError: when shapes, dtypes or labels do not fit, or numbers are not finite.
    """
    lab_3HW, centres_K5 = _checked(lab_3HW, (3, *np.shape(labels_HW)), centres_K5, labels_HW)
    _require_finite(weight=weight, reach=reach)
    labels_HW = np.array(labels_HW, np.int32, order="C")
    sums_K6 = np.zeros((len(centres_K5), 6))
    _assign(lab_3HW, centres_K5, labels_HW, np.float32(weight), np.float32(reach), sums_K6)
    means_K5 = _means(sums_K6[:, :5], sums_K6[:, 5], centres_K5)
    if not np.isfinite(means_K5).all():  # every pixel is part of a mean
        raise DataError("a colour that is not finite, or too far from 0", where="assign")
    return labels_HW, means_K5


def assign_reference(
    lab_3HW: Array, centres_K5: Array, labels_HW: Array, *, weight: float, reach: float
) -> tuple[Array, Array]:
    """`assign` in NumPy, with all K distances of every pixel."""
    rows_H1, columns_1W = (np.float32(i) for i in np.ogrid[: lab_3HW.shape[1], : lab_3HW.shape[2]])
    distance_KHW = np.full((len(centres_K5), *labels_HW.shape), _FAR)
    for distance_HW, (row, column, *colour) in zip(distance_KHW, centres_K5, strict=True):
        inside_HW = (abs(rows_H1 - row) <= reach) & (abs(columns_1W - column) <= reach)
        a, b, c = (plane - value for plane, value in zip(lab_3HW, colour, strict=True))
        across = np.float32(weight) * (columns_1W - column) ** 2
        down = np.float32(weight) * (rows_H1 - row) ** 2
        distance_HW[inside_HW] = (a * a + b * b + c * c + across + down)[inside_HW]
    reached_HW = (distance_KHW < _FAR).any(axis=0)
    found_HW = np.where(reached_HW, distance_KHW.argmin(axis=0), labels_HW).astype(np.int32)
    count_K = np.bincount(found_HW.ravel(), minlength=len(centres_K5)).astype(np.float64)
    planes = np.broadcast_arrays(rows_H1, columns_1W, *lab_3HW)
    sums = [np.bincount(found_HW.ravel(), p.ravel(), len(centres_K5)) for p in planes]
    return found_HW, _means(np.stack(sums, axis=1), count_K, centres_K5)


def sharpen(labels_hw: Array, lab_HW3: Array, centres_K5: Array, *, weight: float) -> Array:
    """Labels of a reduced image at full size, decided by colour wherever segments meet.

    A pixel takes the nearest of the centres whose labels occur in the 3 x 3 reduced pixels around
    it; far from borders that is a single one.

    Args:
        labels_hw: int32 in [0, K). lab_HW3: colours at full size, float32.
        centres_K5: float32, positions in reduced pixels. weight: of squared reduced pixels.

    Returns:
        Labels int32 [H, W]; the lower one of two at the same distance.

    Raises:
        DataError: when shapes, dtypes or labels do not fit, or numbers are not finite.
    """
    height, width, *_ = *np.shape(lab_HW3), 0, 0
    if np.ndim(labels_hw) != 2 or 0 in (*np.shape(labels_hw), height, width):
        found = f"labels {np.shape(labels_hw)} and colours {np.shape(lab_HW3)}"
        raise DataError(f"{found}, expected pixels [h, w] and [H, W, 3]", where="sharpen")
    lab_HW3, centres_K5 = _checked(lab_HW3, (height, width, 3), centres_K5, labels_hw)
    _require_finite(weight=weight, colours=float(lab_HW3.sum()))
    labels_hw = np.ascontiguousarray(labels_hw, np.int32)
    found_HW = np.empty((height, width), np.int32)
    rows, columns = (_borders(n, m) for n, m in zip(found_HW.shape, labels_hw.shape, strict=True))
    _sharpen(labels_hw, lab_HW3, centres_K5, np.float32(weight), *rows, *columns, found_HW)
    return found_HW


def sharpen_reference(
    labels_hw: Array, lab_HW3: Array, centres_K5: Array, *, weight: float
) -> Array:
    """`sharpen` in NumPy, with the distances to all nine candidates of every pixel."""
    (height, width, _), (low, narrow) = lab_HW3.shape, labels_hw.shape
    rows_H, down_H = _nearest(height, low)
    columns_W, across_W = _nearest(width, narrow)
    padded = np.pad(labels_hw, 1, mode="edge")
    best_HW = np.full((height, width), _FAR)
    found_HW = np.full((height, width), len(centres_K5), np.int32)
    for y, x in np.ndindex(3, 3):
        label_HW = padded[y + rows_H[:, None], x + columns_W]
        row, column, *colour = np.moveaxis(centres_K5[label_HW], 2, 0)
        a, b, c = (lab_HW3[..., i] - colour[i] for i in range(3))
        dy, dx = down_H[:, None] - row, across_W - column
        distance_HW = a * a + b * b + c * c + np.float32(weight) * (dy * dy + dx * dx)
        closer = distance_HW < best_HW
        closer |= (distance_HW == best_HW) & (label_HW < found_HW)
        best_HW = np.where(closer, distance_HW, best_HW)
        found_HW = np.where(closer, label_HW, found_HW)
    return found_HW


def _checked(
    lab: Array, shape: tuple[int, ...], centres_K5: Array, labels: Array
) -> tuple[Array, Array]:
    fits = lab.shape == shape and centres_K5.ndim == 2 and centres_K5.shape[1] == 5
    types = "".join(array.dtype.kind for array in (lab, centres_K5, labels))
    if not fits or types not in ("ffi", "ffu"):
        arrays = {"colours": lab, "centres": centres_K5, "labels": labels}
        found = ", ".join(f"{name} {a.shape} {a.dtype}" for name, a in arrays.items())
        raise DataError(found, where="clusters", remedy="give floating, floating and integer ones")
    if not np.isfinite(centres_K5).all():
        raise DataError("centres that are not finite", where="clusters")
    if labels.size and not 0 <= labels.min() <= labels.max() < len(centres_K5):
        raise DataError(
            f"labels from {labels.min()} to {labels.max()} for {len(centres_K5)} centres"
        )
    return np.ascontiguousarray(lab, np.float32), np.ascontiguousarray(centres_K5, np.float32)


def _require_finite(**numbers: float) -> None:
    for name, number in numbers.items():
        if not math.isfinite(number) or (name != "colours" and not 0 <= number < LARGEST):
            raise DataError(
                f"{name} = {number} is not finite, below 0 or too large", where="clusters"
            )


def _means(sums_K5: Array, count_K: Array, otherwise_K5: Array) -> Array:
    means_K5 = sums_K5 / np.maximum(count_K, 1)[:, None]
    return np.asarray(np.where(count_K[:, None] > 0, means_K5, otherwise_K5), np.float32)


def _nearest(length: int, reduced: int) -> tuple[Array, Array]:
    """Per pixel the reduced pixel that it lies in, and its place in reduced pixels."""
    place = (np.arange(length) + 0.5) * (reduced / length) - 0.5
    nearest = np.floor(place + 0.5).astype(np.int64).clip(0, reduced - 1)
    return nearest, place.astype(np.float32)


def _borders(length: int, reduced: int) -> tuple[Array, Array]:
    """Where the pixels of each reduced pixel begin (the end last), and the place of every pixel."""
    nearest, place = _nearest(length, reduced)
    return np.searchsorted(nearest, np.arange(reduced + 1)), place


@inlined
def _assign(
    lab: Array, centres: Array, labels: Array, weight: np.float32, reach: np.float32, sums: Array
) -> None:
    height, width = labels.shape
    # Rows of one array: with few separate arrays, and slices that start at 0, the compiler can
    # see that nothing overlaps and work on several pixels at once.
    scratch = np.empty((3, width), np.float32)
    best, nearest, columns = scratch[0], scratch[1], scratch[2]
    for x in range(width):
        columns[x] = x
    for y in range(height):
        best[:] = _FAR
        for x in range(width):
            nearest[x] = labels[y, x]
        for k in range(len(centres)):
            down = np.float32(y) - centres[k, 0]
            if abs(down) <= reach:
                _claim(lab[:, y], centres[k], np.float32(k), weight, down, reach, scratch)
        _add_row(lab, nearest, y, labels, sums)


@inlined
def _claim(
    lab: Array,
    centre: Array,
    label: np.float32,
    weight: np.float32,
    down: np.float32,
    reach: np.float32,
    scratch: Array,
) -> None:
    """One row's pixels in the window of a centre take its label where it is nearer."""
    begin = max(int(np.ceil(centre[1] - reach)), 0)
    end = min(int(np.floor(centre[1] + reach)) + 1, lab.shape[1])
    best, nearest, columns = scratch[0, begin:end], scratch[1, begin:end], scratch[2, begin:end]
    plane_l, plane_a, plane_b = lab[0, begin:end], lab[1, begin:end], lab[2, begin:end]
    column, colour_l, colour_a, colour_b = centre[1], centre[2], centre[3], centre[4]
    vertical = weight * (down * down)
    for i in range(end - begin):
        across = columns[i] - column
        a = plane_l[i] - colour_l
        b = plane_a[i] - colour_a
        c = plane_b[i] - colour_b
        distance = a * a + b * b + c * c + weight * (across * across) + vertical
        closer = distance < best[i]
        nearest[i] = label if closer else nearest[i]
        best[i] = distance if closer else best[i]


@inlined
def _add_row(lab: Array, nearest: Array, y: int, labels: Array, sums: Array) -> None:
    """Write a row of labels and add its pixels to the sums of their centres, run by run."""
    width = len(nearest)
    x = 0
    while x < width:
        begin, k = x, int(nearest[x])
        a, b, c = 0.0, 0.0, 0.0
        while x < width and nearest[x] == k:
            a += lab[0, y, x]
            b += lab[1, y, x]
            c += lab[2, y, x]
            labels[y, x] = k
            x += 1
        count = x - begin
        sums[k, 0] += y * count
        sums[k, 1] += 0.5 * (begin + x - 1) * count
        sums[k, 2] += a
        sums[k, 3] += b
        sums[k, 4] += c
        sums[k, 5] += count


@inlined
def _sharpen(
    labels: Array,
    lab: Array,
    centres: Array,
    weight: np.float32,
    row_begin: Array,
    down: Array,
    column_begin: Array,
    across: Array,
    found: Array,
) -> None:
    candidates = np.empty(9, np.int32)
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            count = _candidates(labels, y, x, candidates)
            for row in range(row_begin[y], row_begin[y + 1]):
                for column in range(column_begin[x], column_begin[x + 1]):
                    if count == 1:
                        found[row, column] = candidates[0]
                        continue
                    best, label = _FAR, candidates[0]
                    for k in candidates[:count]:
                        a = lab[row, column, 0] - centres[k, 2]
                        b = lab[row, column, 1] - centres[k, 3]
                        c = lab[row, column, 2] - centres[k, 4]
                        dy = down[row] - centres[k, 0]
                        dx = across[column] - centres[k, 1]
                        distance = a * a + b * b + c * c + weight * (dy * dy + dx * dx)
                        if distance < best or (distance == best and k < label):
                            best, label = distance, k
                    found[row, column] = label


@inlined
def _candidates(labels: Array, y: int, x: int, candidates: Array) -> int:
    """Collect the different labels of the 3 x 3 pixels around one; returns how many."""
    count = 0
    for row in range(max(y - 1, 0), min(y + 2, labels.shape[0])):
        for column in range(max(x - 1, 0), min(x + 2, labels.shape[1])):
            label = labels[row, column]
            known = False
            for i in range(count):
                known |= candidates[i] == label
            if not known:
                candidates[count] = label
                count += 1
    return count
