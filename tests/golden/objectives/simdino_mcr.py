"""SimDINO's coding rate, both released versions and both kinds of expansion."""

from __future__ import annotations

import numpy as np

from sensorfusion.objectives.coding_rate import CodingRate
from tests.golden.objectives.common import assert_close, assert_gradients, leaf
from tests.objectives.tables import table, total

VERSIONS = {"v1": "cosine", "v2": "dot"}
EXPANDED = {"t0": "student", "t1": "mean"}


def check(arrays: dict[str, np.ndarray], hyper: dict, tolerance: dict) -> None:
    student, teacher = leaf(arrays["student"]), leaf(arrays["teacher"])
    views = {f"view{v}": z for v, z in enumerate(student)}
    views |= {f"teacher.view{v}": z for v, z in enumerate(teacher)}
    for version, similarity in VERSIONS.items():
        for kind, expand in EXPANDED.items():
            term = CodingRate(
                eps=hyper["eps"],
                compression=hyper["coeff"],
                similarity=similarity,
                expand=expand,
                unit_length=False,
            )
            losses = term(*table(views), {})
            loss = total(losses)
            name = f"{version}_{kind}"
            assert_close(loss, arrays[f"loss_{name}"], tolerance["loss"], name)
            assert_close(
                -losses["compression"] / hyper["coeff"],
                arrays["compression"],
                tolerance["loss"],
                "compression",
            )
            expansion = arrays[f"expansion_{kind}"]
            assert_close(-losses["expansion"], expansion, tolerance["loss"], f"expansion_{kind}")
            leaves = {f"grad_{name}": student}
            if version == "v1":  # recorded for the first version only
                leaves[f"grad_teacher_{name}"] = teacher
            assert_gradients(loss, leaves, arrays, tolerance["grad"])
