"""How good segments are: against other segments, against edges, and against colours.

The measures of Stutz, Hermans and Leibe, "Superpixels: An Evaluation of the State-of-the-Art",
CVIU 2018, section 4. Labels are integers >= 0, [H, W].

Every function raises `DataError` for labels that are none, or other arrays that do not fit them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sensorfusion.errors import DataError

if TYPE_CHECKING:
    from sensorfusion.sample import Array


LARGEST_VALUE = 1e100  # its square, summed, is a number
MOST = 2**16  # segments
MOST_PAIRS = 2**28  # of segments and true ones


def borders(labels_HW: Array) -> Array:
    """Pixels, bool [H, W], whose right or lower neighbour has another label."""
    _check(labels_HW)
    found_HW = np.zeros(labels_HW.shape, bool)
    found_HW[:, :-1] |= labels_HW[:, 1:] != labels_HW[:, :-1]
    found_HW[:-1] |= labels_HW[1:] != labels_HW[:-1]
    return found_HW


def boundary_recall(labels_HW: Array, edges_HW: Array, tolerance: float) -> float:
    """The share of edge pixels with a border of the segments within `tolerance` pixels."""
    from scipy.ndimage import distance_transform_edt

    _check(labels_HW)
    if edges_HW.shape != labels_HW.shape or edges_HW.dtype != np.bool_ or not tolerance >= 0:
        raise DataError(
            f"edges of shape {edges_HW.shape} and dtype {edges_HW.dtype}, tolerance {tolerance}, "
            f"for labels {labels_HW.shape}",
            where="boundary_recall",
            remedy="give bool [H, W] and pixels >= 0",
        )
    if not edges_HW.any():
        return 1.0
    own_HW = borders(labels_HW)
    if not own_HW.any():
        return 0.0
    return float((distance_transform_edt(~own_HW)[edges_HW] <= tolerance).mean())


def achievable_accuracy(labels_HW: Array, truth_HW: Array) -> float:
    """The share of pixels that are right when each segment takes its commonest true label."""
    return float(_overlaps(labels_HW, truth_HW).max(axis=1).sum() / labels_HW.size)


def undersegmentation(labels_HW: Array, truth_HW: Array) -> float:
    """Neubert and Protzel's error: of each true segment that a segment meets, the smaller side."""
    inside_ST = _overlaps(labels_HW, truth_HW)
    outside_ST = inside_ST.sum(axis=1, keepdims=True) - inside_ST
    return float(
        np.where(inside_ST > 0, np.minimum(inside_ST, outside_ST), 0).sum() / labels_HW.size
    )


def explained_variation(labels_HW: Array, values_HWC: Array) -> float:
    """The share of the variance of the values that the segments' means explain."""
    _check(labels_HW)
    if values_HWC.shape[:2] != labels_HW.shape or values_HWC.dtype.kind not in "fiu":
        raise DataError(
            f"values of shape {values_HWC.shape} and dtype {values_HWC.dtype} for labels "
            f"{labels_HW.shape}",
            where="explained_variation",
        )
    if not np.abs(values_HWC).max(initial=0) < LARGEST_VALUE:  # so that NaN fails too
        raise DataError(
            "values that are not finite, or too far from 0", where="explained_variation"
        )
    values_PC = values_HWC.reshape(labels_HW.size, -1).astype(np.float64)
    label_P = labels_HW.astype(np.int64).ravel()
    count_S = np.bincount(label_P)
    total_SC = np.stack([np.bincount(label_P, column) for column in values_PC.T], axis=1)
    mean_C = values_PC.mean(axis=0)
    offset_SC = total_SC / np.maximum(count_S, 1)[:, None] - mean_C
    around = float(((values_PC - mean_C) ** 2).sum())
    return float((count_S[:, None] * offset_SC**2).sum() / around) if around > 0 else 1.0


def _overlaps(labels_HW: Array, truth_HW: Array) -> Array:
    """int64 [S, T]: pixels that a segment and a true segment share."""
    _check(labels_HW)
    _check(truth_HW)
    if labels_HW.shape != truth_HW.shape:
        raise DataError(f"labels {labels_HW.shape} and truth {truth_HW.shape}", where="quality")
    labels, truths = int(labels_HW.max()) + 1, int(truth_HW.max()) + 1
    if labels * truths > MOST_PAIRS:
        raise DataError(f"{labels} labels and {truths} true ones", where="quality")
    pair_P = labels_HW.astype(np.int64).ravel() * truths + truth_HW.astype(np.int64).ravel()
    return np.bincount(pair_P, minlength=labels * truths).reshape(labels, truths)


def _check(labels_HW: Array) -> None:
    if labels_HW.ndim != 2 or labels_HW.dtype.kind not in "iu" or labels_HW.size == 0:
        raise DataError(
            f"labels of shape {labels_HW.shape} and dtype {labels_HW.dtype}",
            where="quality",
            remedy="give integers [H, W]",
        )
    if labels_HW.min() < 0 or labels_HW.max() >= MOST:
        raise DataError(
            f"labels from {labels_HW.min()} to {labels_HW.max()}",
            where="quality",
            remedy=f"number segments from 0, at most {MOST}",
        )
