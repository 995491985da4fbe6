"""Every case of the entries whose mechanisms are geometry, assignment and token similarity."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

FUNCTIONS = {
    "contrastive_gap": ("contrastive_gap_geometry", "check_geometry"),
    "one_to_k": ("one_to_k_vicreg", "check_vicreg"),
    "simdino_mcr": ("simdino_mcr", "check"),
    "fdt": ("fdt", "check"),
    "mgca": ("mgca_assignment", "check_assignment"),
    "creamfl": ("creamfl_aggregation", "check_aggregation"),
}


@pytest.mark.parametrize("entry", FUNCTIONS)
def test_every_case(entry: str, golden_root: Path) -> None:
    folder = golden_root / "objectives"
    manifest = json.loads((folder / "manifest.json").read_text())["objectives"][entry]
    module, function = FUNCTIONS[entry]
    check = getattr(import_module(f"tests.golden.objectives.{module}"), function)
    with np.load(folder / manifest["file"], allow_pickle=False) as stored:
        cases = sorted({key.split("__")[0] for key in stored})
        assert {case["case"] for case in manifest["cases"]} == set(cases)
        for case in manifest["cases"]:
            prefix = case["case"] + "__"
            arrays = {k.removeprefix(prefix): stored[k] for k in stored if k.startswith(prefix)}
            check(arrays, case["hyperparameters"], manifest["tolerance"])
