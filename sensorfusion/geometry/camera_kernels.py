"""What one camera makes of a chunk of points, for the kernels that project."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from sensorfusion.compiled import inlined

Array = npt.NDArray[Any]


@inlined
def columns(points: Array, start: int, stop: int, like: Array) -> Array:
    """x, y and z of some points as rows, so that the loops over them can be vectorised."""
    xyz = np.empty((3, stop - start), dtype=like.dtype)
    for i in range(stop - start):
        for axis in range(3):
            xyz[axis, i] = points[start + i, axis]
    return xyz


@inlined
def project_chunk(
    xyz: Array,
    rows: Array,
    shift: float,
    bounds: Array,
    near: float,
    axis: int,
    out: tuple[Array, Array, Array],
) -> None:
    """One camera without its lens. Written without branches, for the vectoriser."""
    uv, depth, visible = out
    one, nothing = rows.dtype.type(1.0), rows.dtype.type(np.nan)
    low, width, height = bounds[0], bounds[1], bounds[2]
    a, b, c, d = rows[0, 0], rows[0, 1], rows[0, 2], rows[0, 3]
    e, f, g, h = rows[1, 0], rows[1, 1], rows[1, 2], rows[1, 3]
    p, q, r, s = rows[2, 0], rows[2, 1], rows[2, 2], rows[2, 3]
    x, y, z = xyz[0], xyz[1], xyz[2]
    for i in range(x.shape[0]):
        far = p * x[i] + q * y[i] + r * z[i] + s
        divisor = far + shift
        inverse = one / divisor if divisor > 0 else nothing
        u = (a * x[i] + b * y[i] + c * z[i] + d) * inverse
        v = (e * x[i] + f * y[i] + g * z[i] + h) * inverse
        uv[2 * i] = u
        uv[2 * i + 1] = v
        depth[i] = far
        visible[i] = (far > near) & (u >= low) & (u < width) & (v >= low) & (v < height)
    if axis >= 0:
        for i in range(x.shape[0]):
            inside = (uv[2 * i] >= low) & (uv[2 * i] < width)
            inside &= (uv[2 * i + 1] >= low) & (uv[2 * i + 1] < height)
            visible[i] = inside & (xyz[axis, i] > near)


@inlined
def through_lens(code: int, lens: Array, out: tuple[Array, Array, Array]) -> None:
    """Turn the ideal coordinates of one camera into pixels."""
    uv, _, visible = out
    one, two = lens.dtype.type(1.0), lens.dtype.type(2.0)
    k1, k2, k3, k4, k5, k6, k7, k8 = lens[:8]
    reach, a, b, c, d, e, f = lens[8:15]
    low, width, height = lens[15:18]
    for i in range(visible.shape[0]):
        x, y = uv[2 * i], uv[2 * i + 1]
        square = x * x + y * y
        radius = math.sqrt(square)
        if code == 2:
            radius, ideal = math.atan(radius), radius
            t = radius * radius
            scale = one + t * (k1 + t * (k2 + t * (k3 + t * k4)))
            if ideal > 0:
                scale *= radius / ideal
            x, y = x * scale, y * scale
        else:  # the coefficients are k1, k2, p1, p2, k3, k4, k5, k6
            radial = one + square * (k1 + square * (k2 + square * k5))
            radial /= one + square * (k6 + square * (k7 + square * k8))
            x, y = (
                x * radial + two * k3 * x * y + k4 * (square + two * x * x),
                y * radial + k3 * (square + two * y * y) + two * k4 * x * y,
            )
        u = a * x + b * y + c
        v = d * x + e * y + f
        uv[2 * i] = u
        uv[2 * i + 1] = v
        inside = (u >= low) & (u < width) & (v >= low) & (v < height)
        visible[i] = visible[i] & (radius <= reach) & inside
