"""Arrays and pictures as text within a page."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np

from sensorfusion.sample import Array

Payload = dict[str, Any]


def packed(array: Array) -> Payload:
    """An array for JavaScript: `type`, `shape`, and `data`, little-endian bytes in base64."""
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    data = base64.b64encode(little.tobytes()).decode()
    return {"type": array.dtype.name, "shape": list(array.shape), "data": data}


def unpacked(payload: Payload) -> Array:
    """The array of `packed`."""
    data = base64.b64decode(payload["data"])
    return np.frombuffer(data, np.dtype(payload["type"])).reshape(payload["shape"])


def jpeg(pixels_HW3: Array) -> str:
    """Colours uint8 [H, W, 3] as a data URI."""
    return _uri(pixels_HW3, "jpeg", quality=92, subsampling=0)


def png(pixels_HWC: Array) -> str:
    """Colours, or colours and opacity, uint8 [H, W, 3 or 4], as a data URI, without loss."""
    return _uri(pixels_HWC, "png", optimize=True)


def script_json(document: Any) -> str:
    """JSON that may stand within a script element: no text can end the element or open another."""
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _uri(pixels: Array, kind: str, **settings: Any) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **settings)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
