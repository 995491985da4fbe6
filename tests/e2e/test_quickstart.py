"""The main job, small: no files, two scenes, from pretraining to a table with its floor."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from sensorfusion.engine.command import main as pretrain_command
from sensorfusion.evaluation.run_folder import RunFolder
from sensorfusion.evaluation.segmentation import segment
from sensorfusion.evaluation.segmentation_command import Task
from sensorfusion.evaluation.segmentation_command import main as segment_command
from sensorfusion.evaluation.segmentation_heads import FOLDER as HEADS
from sensorfusion.evaluation.segmentation_heads import linear_probe, load_head
from sensorfusion.evaluation.segmentation_results import RESULTS, read
from sensorfusion.export import load_encoder

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "quickstart.py"
SMALL = (
    "train.epochs=1",
    "data.train.dataset.scenes=(0,)",
    "data.train.dataset.every=9.0",
    "evaluation.train.dataset.scenes=(0,)",
    "evaluation.train.dataset.every=9.0",
    "evaluation.test.dataset.scenes=(100,)",
    "evaluation.test.dataset.every=18.0",
    "evaluation.finetune.steps=2",
    "evaluation.scratch.steps=2",
    "evaluation.linear.iterations=5",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run."""
    folder = tmp_path_factory.mktemp("quickstart") / "run"
    assert pretrain_command([str(CONFIG), "--work-dir", str(folder), "--cfg-options", *SMALL]) == 0
    return folder


def test_pretraining_makes_encoders_of_both_sensors(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert lines
    assert all(math.isfinite(line["loss"]) and line["gradient_norm"] > 0 for line in lines)
    assert {path.name for path in (run / "encoders").iterdir()} == {"lidar", "camera"}
    assert load_encoder(run / "encoders" / "lidar").width == 32


def test_segmentation_has_its_floor_and_is_not_measured_twice(run, capsys):
    command = [str(run), "--protocol", "linear", "finetune", "--fraction", "0.5"]
    assert segment_command(command) == 0
    first = capsys.readouterr().out
    assert first.count("added") == 4
    path = run / "segmentation" / RESULTS
    measured = json.loads(path.read_text())["measurements"]
    starts = {(m["protocol"], m["start"], m["fraction"], m["scans"]) for m in measured}
    assert starts == {
        (protocol, start, *labels)
        for protocol, labels in (("linear", (1.0, 3)), ("finetune", (0.5, 2)))
        for start in ("pretrained", "random")
    }
    assert all(0 < m["miou"] < 100 and len(m["iou"]) == 16 for m in measured)
    table = path.with_suffix(".md").read_text()
    assert "linear probe, 100 % of the labels | *random*" in table
    assert segment_command(command) == 0
    again = capsys.readouterr().out
    assert "added" not in again
    assert again.count("have") == 4


def test_other_settings_are_other_measurements(run, capsys):
    command = [str(run), "--protocol", "finetune", "--fraction", "0.3", "--start", "pretrained"]
    assert segment_command(command) == 0
    assert segment_command([*command, "--settings", "finetune.steps=1"]) == 0
    assert capsys.readouterr().out.count("added") == 2
    table = (run / "segmentation" / RESULTS).with_suffix(".md").read_text()
    assert "fine-tuning, 30 % of the labels, 1 step (finetune.steps=1) |" in table
    assert "fine-tuning, 30 % of the labels, 2 steps |" in table


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("steps=1", "NAME.KEY=VALUE"),
        ("head.steps=1", "NAME.KEY=VALUE"),
        ("finetune.stpes=1", "did you mean 'steps'?"),
        ("finetune.steps=many", "steps = 'many' of FinetuneSettings is no int"),
        ("finetune.steps=-3", "at least 1"),
        ("scratch.weighting=best", "unknown weighting"),
        ("linear.decay=0.1", "changes nothing that --protocol finetune uses"),
    ],
)
def test_settings_that_do_not_exist(run, capsys, change, message):
    command = [str(run), "--protocol", "finetune", "--settings", change]
    assert segment_command(command) == 1
    assert message in capsys.readouterr().err


def test_the_measured_head_is_kept(run):
    folder = run / "segmentation"
    assert segment_command([str(run), "--protocol", "linear"]) == 0
    opened = RunFolder.open(run)
    probe = linear_probe(read(folder / RESULTS), opened.checkpoint_hash)
    task = Task.of(opened)
    encoder, head = task.encoder("pretrained", probe.seed), load_head(folder, probe.key)
    again = segment(encoder, head, task.test, task.sensor, task.names)
    assert again.miou == pytest.approx(probe.miou, abs=1e-9)
    assert [path.name for path in (folder / HEADS).iterdir()] == [probe.key]


def test_a_run_without_labelled_data_says_what_is_missing(run, tmp_path, capsys):
    config = json.loads((run / "config.json").read_text())
    del config["evaluation"]["test"]
    other = tmp_path / "run"
    other.mkdir()
    (other / "encoders").symlink_to(run / "encoders")
    (other / "config.json").write_text(json.dumps(config))
    assert segment_command([str(other)]) == 1
    assert "evaluation" in capsys.readouterr().err
