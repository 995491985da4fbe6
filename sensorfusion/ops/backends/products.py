"""Sums of products over pairs of rows on the CPU: kernels (in `tiles`) and references.

Work is cut into tiles of output (or input) rows, so that what one tile needs stays in the cache
while all offsets of the kernel go over it. `tiles_TK`, int64 [T + 1, K], gives the position in
the lists of pairs of the first pair of tile t at offset k.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorfusion.ops.backends.tiles import ROWS, add_outer_products, add_products, lanes

Array = NDArray[Any]


def products(
    features_NI: Array,
    weight_KIO: Array,
    in_rows_P: Array,
    out_rows_P: Array,
    tiles_TK: Array,
    outputs: int,
) -> Array:
    """out[out_rows[p]] += features[in_rows[p]] @ weight[k] for every pair p of every offset k.

    Each output row is summed in the order of the offsets, whatever the number of threads.

    Args:
        in_rows_P, out_rows_P: int32 [P]. tiles_TK: no output row occurs in two tiles.
        outputs: number of output rows M.

    Returns:
        [M, C_out], contiguous.
    """
    columns, width = weight_KIO.shape[2], lanes(features_NI.dtype)
    panels = _panels(weight_KIO, width).reshape(-1)
    out_MX = np.zeros((outputs, -(-columns // width) * width), features_NI.dtype)
    rows = _as_kernels_read(in_rows_P, out_rows_P, tiles_TK)
    add_products(np.ascontiguousarray(features_NI), panels, *rows, width, out_MX)
    return np.ascontiguousarray(out_MX[:, :columns])


def products_reference(
    features_NI: Array,
    weight_KIO: Array,
    in_rows_P: Array,
    out_rows_P: Array,
    tiles_TK: Array,
    outputs: int,
) -> Array:
    """`products`, one tile and offset at a time."""
    out_MO = np.zeros((outputs, weight_KIO.shape[2]), features_NI.dtype)
    for first_K, last_K in pairwise(tiles_TK):
        for weight_IO, first, last in zip(weight_KIO, first_K, last_K, strict=True):
            rows_PI = features_NI[in_rows_P[first:last]]
            out_MO[out_rows_P[first:last]] += rows_PI @ weight_IO
    return out_MO


def outer_products(
    features_NI: Array,
    gradient_MO: Array,
    in_rows_P: Array,
    out_rows_P: Array,
    tiles_TK: Array,
    parts: int,
) -> Array:
    """Sums over the pairs p of each offset of outer(features[in_rows[p]], gradient[out_rows[p]]).

    Each number is summed in the order of the pairs, whatever the number of parts.

    Args:
        in_rows_P, out_rows_P: int32 [P]. parts: pieces to cut the work into, for threads.

    Returns:
        [K, C_in, C_out], contiguous.
    """
    offsets, channels = tiles_TK.shape[1], features_NI.shape[1]
    columns, width = gradient_MO.shape[1], lanes(features_NI.dtype)
    surplus = -columns % width
    gradient_MX = np.pad(gradient_MO, ((0, 0), (0, surplus))) if surplus else gradient_MO
    if channels < ROWS:
        features_NI = np.pad(features_NI, ((0, 0), (0, ROWS - channels)))
    out_QX = np.zeros((offsets * features_NI.shape[1], columns + surplus), features_NI.dtype)
    rows = _as_kernels_read(in_rows_P, out_rows_P, tiles_TK)
    matrices = (np.ascontiguousarray(features_NI), np.ascontiguousarray(gradient_MX))
    add_outer_products(*matrices, *rows, width, parts, out_QX)
    out_KIX = out_QX.reshape(offsets, -1, columns + surplus)
    return np.ascontiguousarray(out_KIX[:, :channels, :columns])


def outer_products_reference(
    features_NI: Array,
    gradient_MO: Array,
    in_rows_P: Array,
    out_rows_P: Array,
    tiles_TK: Array,
    parts: int,
) -> Array:
    """`outer_products`, one offset at a time."""
    found = []
    for first, last in zip(tiles_TK[0], tiles_TK[-1], strict=True):
        rows_PI = features_NI[in_rows_P[first:last]]
        found.append(rows_PI.T @ gradient_MO[out_rows_P[first:last]])
    return np.stack(found)


def _as_kernels_read(
    in_rows_P: Array, out_rows_P: Array, tiles_TK: Array
) -> tuple[Array, Array, Array]:
    """In the dtypes and the layout that the kernels rely on; no copy where they are so."""
    return (
        np.ascontiguousarray(in_rows_P, np.int32),
        np.ascontiguousarray(out_rows_P, np.int32),
        np.ascontiguousarray(tiles_TK, np.int64),
    )


def _panels(weight_KIO: Array, width: int) -> Array:
    """Weights as [K, panels, C_in, width], zeros beyond C_out: each panel in one piece."""
    offsets, channels, columns = weight_KIO.shape
    panels = -(-columns // width)
    panels_KRIW = np.zeros((offsets, panels, channels, width), weight_KIO.dtype)
    for panel in range(panels):
        part_KIW = weight_KIO[:, :, panel * width : (panel + 1) * width]
        panels_KRIW[:, panel, :, : part_KIW.shape[2]] = part_KIW
    return panels_KRIW
