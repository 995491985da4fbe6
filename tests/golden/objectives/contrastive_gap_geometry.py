"""Alignment, uniformities and consistency of distances, without the contrast."""

from __future__ import annotations

from typing import Any, Literal

from sensorfusion.objectives.alignment_uniformity import AlignmentUniformity
from sensorfusion.objectives.term import Term
from tests.golden.objectives.comparing import Arrays, compare, compare_gradients, leaf
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


def cua() -> Term:
    """What CUA adds to the contrast."""
    return only(alignment=1, uniformity=1)


def cuaxu() -> Term:
    """What CUAXU adds to the contrast."""
    return only(alignment=1, uniformity=1, cross_uniformity=1)


def check_geometry(arrays: Arrays, hyper: dict[str, Any], tolerance: dict[str, float]) -> None:
    x, y = leaf(arrays["x"]), leaf(arrays["y"])
    both = table({"x": x, "y": y})
    cosine = {"t": 1.0, "kernel": "cosine"}
    parts = {
        "alignment": total(only(alignment=1)(*both, {})),
        "uniformity": total(only(uniformity=1)(*both, {})),
        "uniformity_x": total(only(uniformity=1, columns=("x",))(*both, {})),
        "uniformity_y": total(only(uniformity=1, columns=("y",))(*both, {})),
        "cross": total(only(cross_uniformity=1)(*both, {})),
        "uniform_cyclic": total(only(cyclic=1)(*both, {})),
        # The released code loses the text's quarter of this sum.
        "cosine_uniformity": total(only(cross_uniformity=0.5, **cosine)(*both, {}))
        + total(only(uniformity=0.25, columns=("x",), **cosine)(*both, {})),
    }
    for name, loss in parts.items():
        compare(loss, arrays[f"loss_{name}"], tolerance["loss"], name)
        leaves = {f"grad_{name}_x": x, f"grad_{name}_y": y}
        compare_gradients(loss, leaves, arrays, tolerance["grad"])
