"""The driver and the report, on a data set with a known answer."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch

from sensorfusion.errors import ConfigError, DataError
from sensorfusion.evaluation.contenders import FrozenEncoders, Source, floors
from sensorfusion.evaluation.evaluate import evaluate
from sensorfusion.evaluation.leave_one_out import parse_splits
from sensorfusion.evaluation.probe import FUSION, LINEAR
from sensorfusion.evaluation.protocols import PROTOCOLS, Settings
from sensorfusion.evaluation.report import Report, render_markdown, rows

from .synthetic import BatchNormEncoder, Windows

QUICK = {"epochs": 25, "hidden": 16, "learning_rate": 1e-2, "batch_size": 16}
SETTINGS = Settings(
    linear=LINEAR.replace(epochs=25, learning_rate=1e-2),
    fusion=FUSION.replace(**QUICK),
    single=FUSION.replace(**QUICK, sensor_dropout=0.3),
    supervised=FUSION.replace(**QUICK),
    fractions=(0.1, 0.5),
)


def factory():
    return {"imu": BatchNormEncoder(), "skeleton": BatchNormEncoder(8)}


def source():
    return Source(lambda subjects: Windows(subjects=subjects))


class Counting:
    """A method whose weights are loaded lazily; counts how often."""

    def __init__(self, seen=(), checkpoint="abc"):
        self.loads = 0
        self.seen = seen
        self.checkpoint = checkpoint

    def load(self):
        self.loads += 1
        torch.manual_seed(0)
        return factory()

    def __call__(self, split, seed):
        return FrozenEncoders(
            name="ours",
            config_hash="config",
            checkpoint_hash=self.checkpoint,
            seen=self.seen,
            load=self.load,
        )


def run(folder, methods, *, split="loso:1,3,5", protocols=("fusion",), seeds=(0,), **more):
    report = Report(folder)
    lines = []
    added = evaluate(
        methods,
        parse_splits(split),
        source(),
        report,
        protocols=protocols,
        seeds=seeds,
        settings=SETTINGS,
        command="evaluate --out here",
        log=lines.append,
        **more,
    )
    return report, added, lines


def test_every_protocol_and_floor(tmp_path):
    methods = [Counting()] + [
        lambda split, seed, i=i: floors(factory, "arch", SETTINGS.supervised, seed)[i]
        for i in range(3)
    ]
    report, added, _ = run(tmp_path, methods, split="1,3,5/7", protocols=list(PROTOCOLS))
    assert added == 6 * 3 + 3
    found = {(row.method, row.protocol): row for row in rows(report.entries())}
    names = {protocol for _, protocol in found}
    assert names == {
        *("linear", "fusion", "knn", "fraction 10 %", "fraction 50 %"),
        *("only imu", "only skeleton", "alone imu", "alone skeleton"),
        *("retrieval imu -> skeleton (aligned)", "retrieval skeleton -> imu (aligned)"),
    }
    for method in ("ours", "random encoder", "raw features", "supervised from scratch"):
        row = found[method, "fusion"]
        assert row.metrics["accuracy"][0] > 0.8
        assert row.interval.estimate == pytest.approx(row.metrics["accuracy"][0])
        assert row.floor == (method != "ours")
        assert (method, "alone imu") in found
        assert (method, "fraction 10 %") in found
    text = report.render()
    assert "*supervised from scratch*" in text
    assert "train [1, 3, 5] (24 clips), test [7] (8 clips)" in text


def test_entries_carry_their_provenance(tmp_path):
    report, _, _ = run(tmp_path, [Counting(seen=(9,))], split="1,3/5/7")
    report.render()
    document = json.loads((tmp_path / "results.json").read_text())
    (entry,) = document["entries"]
    assert entry["split"]["train"] == [1, 3]
    assert entry["counts"] == {"train": 16, "validation": 8, "test": 8}
    assert entry["seed"] == 0
    assert (entry["config_hash"], entry["checkpoint_hash"]) == ("config", "abc")
    assert entry["seen"] == [9]
    assert entry["versions"]["torch"] == torch.__version__
    assert entry["command"] == "evaluate --out here"
    assert entry["settings"]["fusion"]["epochs"] == 25
    (score,) = entry["scores"]
    assert len(score["clips"]["id"]) == 8
    right = np.equal(score["clips"]["label"], score["clips"]["prediction"])
    assert right.mean() == score["metrics"]["accuracy"]
    assert right.tolist() == [bool(value) for value in score["clips"]["value"]]


def test_what_exists_is_skipped_and_a_lost_entry_comes_back_equal(tmp_path):
    method = Counting()
    report, added, _ = run(tmp_path, [method], seeds=(0, 1))
    # One set of weights is embedded once for all folds and seeds.
    assert (added, method.loads) == (6, 1)
    text = report.render()
    again = Counting()
    _, added, lines = run(tmp_path, [again], seeds=(0, 1))
    assert (added, again.loads) == (0, 0)
    assert all(line.startswith("have") for line in lines)
    next((tmp_path / "entries").glob("*.json")).unlink()
    report, added, _ = run(tmp_path, [Counting()], seeds=(0, 1))
    assert added == 1
    assert report.render() == text
    # Other weights or other settings are other entries.
    assert run(tmp_path, [Counting(checkpoint="other")])[1] == 3


def test_folds_pool_to_every_clip_once(tmp_path):
    report, _, _ = run(tmp_path, [Counting()], seeds=(0, 1, 2))
    (row,) = rows(report.entries())
    assert (row.folds, row.seeds, row.clips, row.checkpoints) == (3, 3, 24, 1)
    assert (row.interval.clips, row.interval.clusters) == (24, 3)
    assert row.interval.estimate == pytest.approx(np.mean(row.metrics["accuracy"]))
    assert row.complete
    next((tmp_path / "entries").glob("*.json")).unlink()
    (row,) = rows(report.entries())
    assert not row.complete
    assert "incomplete" in report.render()


def test_confusions_gather_seeds_and_folds(tmp_path):
    report, _, _ = run(tmp_path, [Counting()], seeds=(0, 1))
    ((key, confusion),) = report.confusions().items()
    assert key == ("loso:1,3,5", "fusion", "ours")
    assert int(confusion.counts.sum()) == 2 * 24
    (row,) = rows(report.entries())
    assert confusion.accuracy == pytest.approx(np.mean(row.metrics["accuracy"]))
    (image,) = report.draw_confusions()
    assert image.read_bytes()[:4] == b"\x89PNG"
    assert "| class | precision" in image.with_suffix(".md").read_text()


def test_recipes_of_one_name_have_confusions_of_their_own(tmp_path):
    """Floors of a table: each recipe has its own random encoder."""
    report, _, _ = run(tmp_path, [Counting()])
    for entry in report.entries():
        report.add(dataclasses.replace(entry, config_hash="other", recipe_hash="other"))
    found = report.confusions()
    assert len(found) == len(rows(report.entries())) == 2
    assert {key[2].split()[0] for key in found} == {"ours"}
    assert {int(confusion.counts.sum()) for confusion in found.values()} == {24}
    assert len(report.draw_confusions()) == len(set(report.draw_confusions())) == 2


def test_confusions_name_their_classes(tmp_path):
    report, _, _ = run(tmp_path, [Counting()])
    for entry in report.entries():
        report.add(dataclasses.replace(entry, class_names=[f"class {i}" for i in range(50)]))
    (confusion,) = report.confusions().values()
    assert confusion.names == tuple(f"class {label}" for label in confusion.labels)


def test_merge_of_partial_results(tmp_path):
    run(tmp_path / "a", [Counting()], seeds=(0,))
    run(tmp_path / "b", [Counting()], seeds=(0, 1))
    whole = Report(tmp_path / "whole")
    whole.merge([tmp_path / "a", tmp_path / "b"])
    assert whole.entries() == Report(tmp_path / "b").entries()


def test_test_subjects_seen_in_pretraining_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"pretrained on the test subjects \[5\]"):
        run(tmp_path, [Counting(seen=(1, 5))], split="1,3/5")
    report, added, _ = run(tmp_path, [Counting(seen=(1, 5))], split="1,3/5", allow_seen=True)
    assert added == 1
    assert report.entries()[0].seen == [1, 5]


def test_heads_score_retrieval_in_their_space(tmp_path):
    def method(split, seed):
        def heads():
            torch.manual_seed(1)
            return {"imu": torch.nn.Linear(16, 4), "skeleton": torch.nn.Linear(8, 4)}

        contender = Counting()(split, seed)
        return FrozenEncoders(
            name="ours",
            config_hash="c",
            checkpoint_hash="h",
            load=contender.load,
            load_heads=heads,
        )

    report, _, _ = run(tmp_path, [method], split="1,3/7", protocols=["retrieval"])
    names = {score.protocol for score in report.entries()[0].scores}
    assert names == {
        f"retrieval {a} -> {b} ({space})"
        for a, b in (("imu", "skeleton"), ("skeleton", "imu"))
        for space in ("aligned", "heads")
    }


def test_bad_input(tmp_path):
    with pytest.raises(ConfigError, match="unknown protocol 'svm'"):
        run(tmp_path, [Counting()], protocols=["svm"])
    with pytest.raises(ConfigError, match="nothing to evaluate"):
        run(tmp_path, [Counting()], seeds=())
    report, _, _ = run(tmp_path, [Counting()])
    file = next((tmp_path / "entries").glob("*.json"))
    shutil.copy(file, file.with_name("0" * 24 + ".json"))
    with pytest.raises(DataError, match="does not belong to its name"):
        report.entries()
    file.with_name("0" * 24 + ".json").write_text("{")
    with pytest.raises(DataError, match="0000"):
        report.entries()
    assert "No results yet" in render_markdown([])
