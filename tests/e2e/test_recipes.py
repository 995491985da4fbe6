"""Every recipe of human motion, from simulated clips to encoders that accept readings."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from sensorfusion.datasets.simulated_people import SimulatedPeople
from sensorfusion.datasets.utd_mhad import UtdMhad
from sensorfusion.engine.command import main as pretrain_command
from sensorfusion.engine.recipe import read_recipe
from sensorfusion.engine.runner import pretrain
from sensorfusion.evaluation.command import main as evaluate_command
from sensorfusion.evaluation.run_folder import RunFolder

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
RECIPES = sorted(
    str(file.relative_to(CONFIGS))
    for file in CONFIGS.rglob("*.py")
    if not file.stem.startswith(("base", "quickstart", "table"))
)
KNOWN_RECIPES = 13
CLIPS, BATCH = 12, 3  # one subject does every action


@pytest.fixture(scope="module", autouse=True)
def _each_clip_is_made_once():
    """A clip takes a while, and follows from its settings."""
    make, made = SimulatedPeople.__getitem__, {}

    def once(dataset, index):
        key = (dataset._names, dataset.seed, dataset._clips[index])
        if key not in made:
            made[key] = make(dataset, index)
        return made[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SimulatedPeople, "__getitem__", once)
        yield


def simulated(node):
    """The config's tree with a few simulated clips in place of recordings."""
    if isinstance(node, dict) and node.get("type") in (UtdMhad, SimulatedPeople):
        kept = {key: node[key] for key in ("subjects", "sensors") if key in node}
        return {"type": SimulatedPeople, "length": CLIPS, **kept}
    if isinstance(node, dict):
        return {key: simulated(value) for key, value in node.items()}
    return [simulated(value) for value in node] if isinstance(node, list) else node


def run(recipe, work_dir, teachers=None):
    config = simulated(read_recipe(CONFIGS / recipe))
    for name, teacher in (config["model"].get("teachers") or {}).items():
        teacher["path"] = str(teachers / name)
    config["loader"]["batch_size"] = BATCH
    config["train"]["epochs"] = 1
    assert pretrain(config, work_dir) == 0
    return config


@pytest.fixture(scope="module")
def teachers(tmp_path_factory):
    """A folder of encoders `imu` and `skeleton`, pretrained on their own."""
    folder = tmp_path_factory.mktemp("teachers")
    for sensor in ("imu", "skeleton"):
        run(f"utd_mhad/simclr_{sensor}.py", folder / "runs" / sensor)
        (folder / "runs" / sensor / "encoders" / sensor).rename(folder / sensor)
    return folder


def test_all_recipes_are_found():
    assert len(RECIPES) >= KNOWN_RECIPES, RECIPES


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_runs_and_its_encoders_know_its_readings(recipe, tmp_path, teachers):
    config = run(recipe, tmp_path, teachers)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert len(lines) >= 1
    assert all(math.isfinite(line["loss"]) for line in lines)
    # A last batch of one clip may have nothing to contrast; uniformity may be below 0.
    assert lines[0]["loss"] != 0.0
    assert lines[0]["gradient_norm"] > 0
    opened = RunFolder.open(tmp_path)
    written = {path.name for path in (tmp_path / "encoders").iterdir()}
    assert written == {*config["model"]["encoders"], *(config["model"].get("teachers") or ())}
    encoders, source = opened.load(), opened.source()
    sample = source.data((1, 3, 5))[0]  # as the probes see it, plain and augmented
    for shown in (sample, source.augment(sample, np.random.default_rng(0))):
        readings = shown.frames[0].readings
        assert readings.keys() == encoders.keys()
        for name, reading in readings.items():
            tokens = encoders[name](reading).tokens
            assert tokens.shape == (1, encoders[name].encoder.width)
            assert torch.isfinite(tokens).all()


def test_simulated_people_need_no_recordings(tmp_path, monkeypatch, capsys):
    """Pretraining and evaluation of a stranger, without any file of data."""
    monkeypatch.setenv("SENSORFUSION_DATA", str(tmp_path / "nowhere"))
    recipe, run_dir = str(CONFIGS / "simulated_people" / "cmc.py"), str(tmp_path / "run")
    clips = (f"{part}.dataset.length={7 * CLIPS}" for part in ("data.train", "evaluation.data"))
    few = ["train.epochs=1", "evaluation.settings.copies=1", *clips]
    assert pretrain_command([recipe, "--work-dir", run_dir, "--cfg-options", *few]) == 0
    protocols = ["--protocol", "knn", "retrieval", "--floors", "random", "raw"]
    place = ["--split", "1,3,5/7", "--out", str(tmp_path / "out"), "--allow-seen"]
    assert evaluate_command([f"cmc={run_dir}", *protocols, *place]) == 0
    assert "| cmc |" in capsys.readouterr().out
