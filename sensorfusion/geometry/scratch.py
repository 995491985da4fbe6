"""Memory that calls of one thread reuse: fresh pages can cost more than a kernel's own work."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

_kept = threading.local()


def scratch(name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """An uninitialised array, valid until this thread asks for the same name again.

    The buffer grows with the largest request and stays. Never return it to a caller.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    buffer = getattr(_kept, name, None)
    if buffer is None or buffer.nbytes < size:
        buffer = np.empty(size, dtype=np.uint8)
        setattr(_kept, name, buffer)
    return np.ndarray(shape, dtype, buffer=buffer)
