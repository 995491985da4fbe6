"""How good segments are: against other segments, against edges, and against colours.

The measures of Stutz, Hermans and Leibe, "Superpixels: An Evaluation of the State-of-the-Art",
CVIU 2018, section 4. Labels are integers >= 0, [H, W].
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sensorfusion.sample import Array


def borders(labels_HW: Array) -> Array:
    """Pixels, bool [H, W], whose right or lower neighbour has another label."""
    found_HW = np.zeros(labels_HW.shape, bool)
    found_HW[:, :-1] |= labels_HW[:, 1:] != labels_HW[:, :-1]
    found_HW[:-1] |= labels_HW[1:] != labels_HW[:-1]
    return found_HW


def boundary_recall(labels_HW: Array, edges_HW: Array, tolerance: float) -> float:
    """The share of edge pixels with a border of the segments within `tolerance` pixels."""
    from scipy.ndimage import distance_transform_edt

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
    values_PC = values_HWC.reshape(labels_HW.size, -1).astype(np.float64)
    label_P = labels_HW.ravel()
    count_S = np.bincount(label_P)
    total_SC = np.stack([np.bincount(label_P, column) for column in values_PC.T], axis=1)
    mean_C = values_PC.mean(axis=0)
    offset_SC = total_SC / np.maximum(count_S, 1)[:, None] - mean_C
    around = float(((values_PC - mean_C) ** 2).sum())
    return float((count_S[:, None] * offset_SC**2).sum() / around) if around > 0 else 1.0


def _overlaps(labels_HW: Array, truth_HW: Array) -> Array:
    """int64 [S, T]: pixels that a segment and a true segment share."""
    labels, truths = int(labels_HW.max()) + 1, int(truth_HW.max()) + 1
    pair_P = labels_HW.astype(np.int64).ravel() * truths + truth_HW.ravel()
    return np.bincount(pair_P, minlength=labels * truths).reshape(labels, truths)
