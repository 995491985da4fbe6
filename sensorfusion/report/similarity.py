"""Features of points and pixels, small enough for a page in which one is compared with all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from sensorfusion.export import PretrainedEncoder
from sensorfusion.report.overlay import projected
from sensorfusion.report.payload import Payload, packed
from sensorfusion.report.scene import Scene
from sensorfusion.sample import Array
from sensorfusion.sensors.lidar import UNLABELLED

POINTS, DIMENSIONS = 6000, 32
FIRST = ("car", "truck", "bus", "pedestrian")  # what the page begins with, if it is seen


@dataclass(frozen=True)
class Tokens:
    """Unit vectors of a scene.

    Args:
        rows: [n] of the drawn points. points_nD: theirs.
        cameras: name -> [h, w, D] of its patches of pixels.
    """

    rows: Array
    points_nD: Array
    cameras: Mapping[str, Array]

    @property
    def pixels(self) -> Array:
        """All patches of all cameras, by camera, row and column: [M, D]."""
        flat = [grid.reshape(-1, grid.shape[2]) for grid in self.cameras.values()]
        return np.concatenate(flat)


def tokens_of(scene: Scene, encoders: Mapping[str, nn.Module]) -> Tokens | None:
    """Features in the space in which the objective compares them; None if there is no such space.

    Args:
        encoders: sensor -> encoder, of a `RunFolder`.
    """
    if scene.lidar not in encoders:
        return None
    token_ND, _ = _projected(encoders[scene.lidar], scene.cloud)
    grids: dict[str, Array] = {}
    for name in scene.cameras:
        encoder = encoders.get(name.partition(".")[0])  # `camera.front` is a view of `camera`
        if encoder is not None:
            flat_MD, size = _projected(encoder, scene.image(name))
            if size is not None and len(flat_MD) == size[0] * size[1]:
                grids[name] = flat_MD.reshape(*size, -1)
    widths = {token_ND.shape[1], *(grid.shape[2] for grid in grids.values())}
    if not grids or len(widths) > 1 or len(token_ND) != len(scene.cloud.points):
        return None
    rows = drawn(scene.cloud.points)
    return Tokens(rows, token_ND[rows], grids)


def similarity_payload(scene: Scene, tokens: Tokens) -> Payload:
    """Reduced features, points to begin with, and how well points find their pixels."""
    basis_DK, kept = reduced_basis(np.concatenate([tokens.points_nD, tokens.pixels]))
    return {
        "rows": packed(tokens.rows.astype(np.int32)),
        "points": _quantised(tokens.points_nD @ basis_DK),
        "cameras": {n: _quantised(grid @ basis_DK) for n, grid in tokens.cameras.items()},
        "width": tokens.points_nD.shape[1],
        "kept": kept,
        "examples": examples(scene, tokens.rows),
        "rank": own_pixel_rank(scene, tokens),
    }


def drawn(points_N3: Array, cell: float = 0.4) -> Array:
    """Rows of at most `POINTS` points, one of each cubic cell of so many metres, ascending."""
    _, first = np.unique(np.floor(points_N3 / cell).astype(np.int64), axis=0, return_index=True)
    if len(first) > POINTS:
        first = np.random.default_rng(0).choice(first, POINTS, replace=False)
    return np.sort(first)


def reduced_basis(vectors_MD: Array) -> tuple[Array, float]:
    """Orthonormal [D, K], K <= `DIMENSIONS`, that keeps inner products best, and its share.

    The leading eigenvectors of the second moments: not centred, as cosines are not.
    """
    moments_DD = vectors_MD.T.astype(np.float64) @ vectors_MD
    energy_D, basis_DD = np.linalg.eigh(moments_DD)
    kept = float(energy_D[-DIMENSIONS:].sum() / energy_D.sum())
    return basis_DD[:, ::-1][:, :DIMENSIONS], kept


def own_pixel_rank(scene: Scene, tokens: Tokens) -> Payload | None:
    """For the drawn points that a camera sees: which share of all patches is nearer than its own.

    Half the points' share is above 0.5 when features know nothing of each other.
    """
    place_n = np.full(len(scene.cloud.points), -1)
    place_n[tokens.rows] = np.arange(len(tokens.rows))
    pixels_MD, first, shares = tokens.pixels, 0, []
    for name, grid in tokens.cameras.items():
        point_E, uv_E2, _ = projected(scene.frame, scene.lidar, name)
        known = place_n[point_E] >= 0
        own = first + patch_of(uv_E2[known], scene.image(name).size, grid.shape[:2])
        similar_EM = tokens.points_nD[place_n[point_E[known]]] @ pixels_MD.T
        shares.append((similar_EM > similar_EM[np.arange(len(own)), own][:, None]).mean(1))
        first += grid.shape[0] * grid.shape[1]
    share_E = np.concatenate(shares)
    if not len(share_E):
        return None
    return {"median": float(np.median(share_E)), "points": len(share_E), "patches": first}


def patch_of(uv_E2: Array, size: tuple[int, int], grid: tuple[int, ...]) -> Array:
    """Which patch (row * w + column) of a grid (h, w) over an image (H, W) pixels lie in."""
    (height, width), (rows, columns) = size, grid
    column = np.clip(((uv_E2[:, 0] + 0.5) * columns / width).astype(np.int64), 0, columns - 1)
    row = np.clip(((uv_E2[:, 1] + 0.5) * rows / height).astype(np.int64), 0, rows - 1)
    return np.asarray(row * columns + column)


def examples(scene: Scene, rows: Array) -> list[Payload]:
    """One drawn point of each class that cameras see, on the largest object; or one ahead.

    `point` counts among the drawn points; the first is what the page begins with.
    """
    seen_N = np.zeros(len(scene.cloud.points), dtype=bool)
    for name in scene.cameras:
        seen_N[projected(scene.frame, scene.lidar, name)[0]] = True
    visible = np.flatnonzero(seen_N[rows])
    if not len(visible):
        return []
    label_N = scene.cloud.label
    if label_N is None or not scene.names:
        ahead = np.abs(scene.place[rows[visible]] - (12.0, 0.0, 0.0)).sum(1)
        return [{"name": "ahead", "point": int(visible[ahead.argmin()])}]
    label_v = label_N[rows[visible]]
    found = {
        scene.names[k]: _typical(scene, rows, visible[label_v == k])
        for k in np.unique(label_v[label_v != UNLABELLED])
    }
    order = sorted(found, key=lambda name: (FIRST.index(name) if name in FIRST else 9, name))
    return [{"name": name, "point": found[name]} for name in order]


def _typical(scene: Scene, rows: Array, chosen: Array) -> int:
    """Of the chosen among the drawn points: near the middle of the object with most of them."""
    if scene.cloud.instance is not None:
        instance = scene.cloud.instance[rows[chosen]]
        values, counts = np.unique(instance, return_counts=True)
        chosen = chosen[instance == values[counts.argmax()]]
    points_c3 = scene.cloud.points[rows[chosen]].astype(np.float64)
    middle = np.median(points_c3, axis=0)
    return int(chosen[np.square(points_c3 - middle).sum(1).argmin()])


def _projected(encoder: nn.Module, reading: Any) -> tuple[Array, tuple[int, int] | None]:
    """Unit tokens [N, D] after the projection head, and (h, w) of their grid where it has one."""
    trained = cast(PretrainedEncoder, encoder)
    with torch.no_grad():
        features = (trained if trained.head is None else trained.project)(reading)
        token_ND = torch.nn.functional.normalize(features.tokens.float(), dim=1)
    grid = features.grid
    size = None if grid is None else (grid.shape[2], grid.shape[3])
    return token_ND.numpy(), size


def _quantised(vectors: Array) -> Payload:
    """Vectors [..., K] as int8 with one scale for each of the K numbers."""
    flat_MK = vectors.reshape(-1, vectors.shape[-1])
    scale_K = np.maximum(np.abs(flat_MK).max(0), 1e-9) / 127
    return {
        "vectors": packed(np.rint(vectors / scale_K).astype(np.int8)),
        "scale": [float(value) for value in scale_K],
    }
