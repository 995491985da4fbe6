"""Which projected points count as visible: the borders and depths of several code bases."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sensorfusion.errors import DataError


@dataclass(frozen=True)
class View:
    """Which points count as visible.

    Args:
        low: visible from u, v = `low` on; -0.5 is the outer edge of the first pixel.
        high: visible below u = width - `high` and v = height - `high`.
        closed: whether `low` itself is visible. `high` never is.
        min_depth: the depth (m) must be greater.
        depth_axis: which coordinate `min_depth` is compared with: None for the depth in the
            camera, or the axis (0, 1, 2) of the points themselves. Only what lies in front of
            the camera is visible either way.
    """

    low: float = -0.5
    high: float = 0.5
    closed: bool = True
    min_depth: float = 1.0
    depth_axis: int | None = None

    def __post_init__(self) -> None:
        finite = all(math.isfinite(v) for v in (self.low, self.high, self.min_depth))
        if not finite or self.min_depth < 0 or self.depth_axis not in (None, 0, 1, 2):
            raise DataError(
                f"{self}",
                where="the rule of visibility",
                remedy="give finite margins, min_depth >= 0 and an axis of 0, 1, 2 or None",
            )


WHOLE_IMAGE = View()
"""Points that round to a pixel of the image."""
NUSCENES_DEVKIT = View(low=1.0, high=1.0, closed=False)
"""nuscenes-devkit draws a point where 1 < u < W - 1, 1 < v < H - 1 and depth > 1 m."""
SLIDR = View(low=0.0, high=1.0, closed=False)
"""SLidR pairs a point where 0 < u < W - 1, 0 < v < H - 1 and depth > 1 m."""
KITTI = View(low=0.0, high=0.0, min_depth=2.0, depth_axis=0)
"""The common KITTI readers keep 0 <= u < W, 0 <= v < H and x > 2 m in the lidar's own frame."""
