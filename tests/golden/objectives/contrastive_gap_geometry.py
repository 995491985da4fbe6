"""Alignment, uniformities and consistency of distances, and their sums with the contrast."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from sensorfusion.objectives.alignment_uniformity import AlignmentUniformity
from sensorfusion.objectives.contrast import Contrast
from sensorfusion.objectives.term import Term
from tests.golden.objectives.common import assert_close, assert_gradients, leaf
from tests.objectives.tables import table, total

ONLY = {"alignment": 0.0, "uniformity": 0.0, "cross_uniformity": 0.0, "cyclic": 0.0}


def only(
    *,
    t: float = 2.0,
    kernel: Literal["gaussian", "cosine"] = "gaussian",
    columns: tuple[str, ...] | None = None,
    **weights: float,
) -> Term:
    return AlignmentUniformity(**(ONLY | weights), t=t, kernel=kernel, columns=columns)


def check(arrays: dict[str, np.ndarray], hyper: dict, tolerance: dict) -> None:
    x, y = leaf(arrays["x"]), leaf(arrays["y"])
    both = table({"x": x, "y": y})
    contrast = total(Contrast(temperature=math.exp(-hyper["log_scale"])).double()(*both, {}))
    cosine = {"t": 1.0, "kernel": "cosine"}
    parts = {
        "alignment": total(only(alignment=1)(*both, {})),
        "uniformity": total(only(uniformity=1)(*both, {})),
        "uniformity_x": total(only(uniformity=1, columns=("x",))(*both, {})),
        "uniformity_y": total(only(uniformity=1, columns=("y",))(*both, {})),
        "cross": total(only(cross_uniformity=1)(*both, {})),
        "uniform_cyclic": total(only(cyclic=1)(*both, {})),
        "cua": contrast + total(only(alignment=1, uniformity=1)(*both, {})),
        "cuaxu": contrast + total(only(alignment=1, uniformity=1, cross_uniformity=1)(*both, {})),
        # The released code loses the text's quarter of this sum.
        "cosine_uniformity": total(only(cross_uniformity=0.5, **cosine)(*both, {}))
        + total(only(uniformity=0.25, columns=("x",), **cosine)(*both, {})),
    }
    for name, loss in parts.items():
        assert_close(loss, arrays[f"loss_{name}"], tolerance["loss"], name)
        leaves = {f"grad_{name}_x": x, f"grad_{name}_y": y}
        assert_gradients(loss, leaves, arrays, tolerance["grad"])
