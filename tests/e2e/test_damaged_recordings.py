"""Damaged UTD-MHAD files in whole runs of `tools/pretrain.py`: what is said, and what goes on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from sensorfusion.engine.command import main
from tests.datasets.recordings import inertial, skeleton, write_clip, write_set

RECIPE = Path(__file__).resolve().parents[2] / "configs" / "utd_mhad" / "cmc.py"
CLIP = "a2_s1_t1"
SMALL = ("data.train.dataset.subjects=(1, 2)", "loader.batch_size=4", "train.epochs=2")


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("SENSORFUSION_DATA", "")  # put back after --data-root has set it
    write_set(tmp_path / "utd-mhad")
    for trial in range(4):
        write_clip(tmp_path / "utd-mhad", f"a3_s1_t{trial}", seed=10 + trial)
    return tmp_path / "utd-mhad"


def run(root, *options):
    """The exit code of the command on these recordings."""
    places = ["--data-root", str(root.parent), "--work-dir", str(root.parent / "run")]
    return main([str(RECIPE), *places, "--cfg-options", *SMALL, *options])


def truncated(root):
    path = inertial(root, CLIP)
    path.write_bytes(path.read_bytes()[:-100])


def not_finite(root):
    joints = np.ones((20, 3, 11))
    joints[4, 1, 6] = np.nan
    savemat(skeleton(root, CLIP), {"d_skel": joints})


def five_channels(root):
    savemat(inertial(root, CLIP), {"d_iner": np.ones((30, 5))})


def no_partner(root):
    skeleton(root, CLIP).unlink()


def empty(root):
    shutil.rmtree(root)
    root.mkdir()


def nothing(root):
    shutil.rmtree(root)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (truncated, (f"{CLIP}_inertial.mat", "sensor 'imu'", "restore the file")),
        (not_finite, (f"{CLIP}_skeleton.mat", "sensor 'skeleton'", "row 6 of 11")),
        (five_channels, (f"{CLIP}_inertial.mat", "sensor 'imu'", "(30, 5)", "restore the file")),
        (no_partner, (f"{CLIP}_skeleton.mat", "sensor 'skeleton'", "missing='drop'")),
        (empty, ("utd-mhad", "'Inertial' for sensor 'imu'", "check the root")),
        (nothing, ("utd-mhad", "does not exist", "set SENSORFUSION_DATA")),
    ],
)
def test_the_error_names_the_file_the_sensor_and_the_remedy(root, capsys, damage, words):
    damage(root)
    assert run(root) == 1
    said = capsys.readouterr().err.splitlines()
    start = next(i for i, line in enumerate(said) if line.startswith("DataError: "))
    text = "\n".join(said[start:])
    for word in (*words, "where: ", "what to do: "):
        assert word in text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("data.train.dataset.sensors=('imu', 'radar')", ("'radar'", "'skeleton'")),
        ("model.sensors={'radar': 'imu'}", ("['radar']", "model.sensors", "['imu', 'skeleton']")),
        ("model.sensors={'imu': 'sonar'}", ("'sonar'", "['imu', 'skeleton']")),
    ],
)
def test_a_sensor_that_is_not_known_is_named_with_those_that_are(root, capsys, option, words):
    assert run(root, option) == 1
    text = capsys.readouterr().err
    for word in ("ConfigError: ", *words):
        assert word in text


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_clip_may_be_skipped_up_to_the_cap(root, capsys, workers):
    truncated(root)
    # With this seed no replacement is the damaged clip itself, which would count again.
    settings = (f"loader.workers={workers}", "data.corrupt.policy=skip", "seed=1")
    assert run(root, *settings, "data.corrupt.cap=0") == 1
    assert "1 corrupt samples of 8, the cap is 0" in capsys.readouterr().err
    shutil.rmtree(root.parent / "run")
    assert run(root, *settings, "data.corrupt.cap=1") == 0
    lines = (root.parent / "run" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["skipped"] == 2  # once in each epoch
    log = (root.parent / "run" / "log.txt").read_text()
    assert log.count("is replaced: ") == 1
    assert f"{CLIP}_inertial.mat" in log
