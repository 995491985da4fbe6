"""The training of the world's third gate: continued where it stopped."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch

from sensorfusion.checkpoint import read_folder
from sensorfusion.errors import ConfigError
from sensorfusion.evaluation.segmentation import Segmented

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "simulation_ceiling.py"
TINY = ["--towns=1", "--steps=2", "--batch=1", "--voxel=0.8", "--planes", *"88888888"]


@pytest.fixture(scope="module")
def ceiling():
    spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[SCRIPT.stem] = module
    spec.loader.exec_module(module)
    module.VALIDATION, module.TEST = (200,), (100,)
    module.EVERY = 18.0
    return module


def test_a_continued_run_equals_an_uninterrupted_one(ceiling, tmp_path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    ceiling.main([str(whole), *TINY, f"--out={tmp_path}/whole.json"])
    ceiling.main([str(parts), *TINY, "--stop=1"])
    assert not (tmp_path / "parts.json").exists()
    with pytest.raises(ConfigError, match="settings"):
        ceiling.main([str(parts), *TINY, "--seed=1"])
    ceiling.main([str(parts), *TINY, f"--out={tmp_path}/parts.json"])

    (tensors, document), (others, other) = (
        read_folder(folder / "checkpoint") for folder in (whole, parts)
    )
    for values in ("losses", "validation"):
        assert document["progress"][values] == other["progress"][values]
    assert len(document["progress"]["losses"]) == 2
    assert tensors.keys() == others.keys()
    assert all(torch.equal(tensors[name], others[name]) for name in tensors)
    results = [json.loads((tmp_path / f"{name}.json").read_text()) for name in ("whole", "parts")]
    assert results[0]["test_iou"] == results[1]["test_iou"]
    assert Segmented(torch.tensor(results[0]["test_counts"]), ceiling.CLASSES).counts.sum() > 20_000
