"""Numbers from outside, checked before anything is computed from them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sensorfusion.errors import DataError


def finite(
    values: npt.ArrayLike, where: str, shape: tuple[int, ...], *, stacked: bool = False
) -> npt.NDArray[np.float64]:
    """Float64 numbers of a shape.

    Args:
        where: what they are, for the message.
        stacked: any number of axes may stand before those of the shape.

    Raises:
        DataError: for another shape, a dtype that holds no real numbers, NaN or infinity.
    """
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise DataError(f"no array: {error}", where=where) from error
    axes = array.shape[max(array.ndim - len(shape), 0) :] if stacked else array.shape
    if axes != shape or array.dtype.kind not in "fiu":
        wanted = ", ".join(["...", *map(str, shape)] if stacked else map(str, shape))
        raise DataError(
            f"an array of shape {array.shape} and dtype {array.dtype}",
            where=where,
            remedy=f"give real numbers [{wanted}]",
        )
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise DataError(f"NaN or infinity in {array.tolist()}", where=where)
    return array
