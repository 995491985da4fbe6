"""From a run's folder to results, as `tools/evaluate.py` does it."""

import json

import numpy as np
import pytest
import torch

from sensorfusion.encoders.heads import Projection
from sensorfusion.encoders.imu_conv_transformer import ImuConvTransformer
from sensorfusion.encoders.skeleton_cooccurrence import SkeletonCooccurrence
from sensorfusion.errors import CheckpointError, ConfigError, UnitError
from sensorfusion.evaluation import records
from sensorfusion.evaluation.command import main
from sensorfusion.evaluation.probe import FUSION
from sensorfusion.evaluation.protocols import Settings
from sensorfusion.evaluation.records import built, named, settings_of, subjects_of, with_subjects
from sensorfusion.evaluation.report import Report, rows
from sensorfusion.evaluation.run_folder import RunFolder
from sensorfusion.export import save_encoder
from sensorfusion.geometry.clock import Clock
from sensorfusion.sample import Frame, Sample
from sensorfusion.sensors.imu import ImuWindow
from sensorfusion.sensors.skeleton import KINECT_V1, SkeletonWindow


class Motions:
    """Three actions, told apart by both sensors."""

    def __init__(self, subjects=(1, 3), imu_unit="m/s^2, rad/s"):
        self.rows = [(s, a, t) for s in subjects for a in range(3) for t in range(3)]
        self.imu_unit = imu_unit

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        subject, action, trial = self.rows[index]
        draw = np.random.default_rng([subject, action, trial])
        wave = np.sin((1 + action) * np.linspace(0, 6, 50))[:, None]
        values = (wave + 0.1 * draw.normal(size=(50, 6))).astype(np.float32)
        joints = (wave[:, :, None] + 0.1 * draw.normal(size=(50, 20, 3))).astype(np.float32)
        imu = ImuWindow(
            clock=Clock.fraction(50),
            axes="sensor",
            unit=self.imu_unit,
            acceleration=values[:, :3],
            angular_rate=values[:, 3:],
        )
        skeleton = SkeletonWindow(
            clock=Clock.fraction(50), axes="camera", unit="m", joints=joints, tree=KINECT_V1
        )
        return Sample(
            f"a{action}_s{subject}_t{trial}",
            (Frame({"imu": imu, "skeleton": skeleton}),),
            {"action": action},
            {"subject": subject},
        )


class Noise:
    """A random transform."""

    def __init__(self, scale=1.0):
        self.scale = scale

    def __call__(self, sample, generator):
        def change(name, reading):
            if name != "skeleton":
                return reading
            noise = self.scale * generator.normal(size=reading.joints.shape)
            return reading.replace(joints=(reading.joints + noise).astype(np.float32))

        return sample.map_readings(change)


class Wrapper:
    def __init__(self, dataset):
        self.dataset = dataset

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        return self.dataset[index]


HERE = __name__
QUICK = ["fusion.epochs=15", "fusion.hidden=8", "fusion.learning_rate=0.01"]


@pytest.fixture(autouse=True)
def _records_name_this_module(monkeypatch):
    monkeypatch.setattr(records, "_MODULES", (HERE,))


def write_run(folder, *, subjects=(1, 3), seed=0, head=True, data=None):
    torch.manual_seed(seed)
    imu = ImuConvTransformer(
        units=["m/s^2, rad/s"], channels=(4, 4, 8), feedforward=8, layers=1, readout="mean"
    )
    skeleton = SkeletonCooccurrence(units=["m"], channels=(4, 32, 4, 4, 8, 8))
    for name, encoder in (("wrist", imu), ("body", skeleton)):
        projection = Projection(encoder.width, 8, 4) if head else None
        save_encoder(folder / "encoders" / name, encoder, head=projection)
    motions = {"type": f"{HERE}:Motions", "subjects": list(subjects)}
    config = {
        "model": {"sensors": {"imu.1": "wrist", "imu.2": "wrist", "skeleton": "body"}},
        "data": {
            "train": data or {"type": f"{HERE}:Wrapper", "dataset": motions},
            "transforms": [{"type": f"{HERE}:Noise", "scale": 0.5}],
        },
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_run_folder_gives_encoders_heads_data_and_hashes(tmp_path):
    run = RunFolder.open(write_run(tmp_path / "cmc"))
    assert run.sensors() == {"imu": "wrist", "skeleton": "body"}
    loaded, fresh = run.load(), run.fresh()
    assert loaded["imu"].encoder.channels == fresh["imu"].channels
    weights = [m.state_dict() for m in (loaded["imu"].encoder, fresh["imu"])]
    assert not all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert set(run.load_heads()) == {"imu", "skeleton"}
    assert run.contender().seen == (1, 3)
    data = run.source().data((5, 7))
    assert {data[i].keys["subject"] for i in range(len(data))} == {5, 7}
    other = RunFolder.open(write_run(tmp_path / "other", seed=1, subjects=(5,)))
    assert other.checkpoint_hash != run.checkpoint_hash
    assert other.config_hash != run.config_hash
    assert other.recipe_hash == run.recipe_hash  # they differ in seed and subjects only
    # Floors depend on architecture and data, not on who was pretrained on.
    assert other.floor_hash == run.floor_hash


def test_command_writes_results_with_floors_and_resumes(tmp_path, capsys):
    for seed in (0, 1):
        write_run(tmp_path / f"cmc-{seed}", seed=seed, subjects=(1, 3))
    arguments = [f"cmc={tmp_path}/cmc-{{seed}}", "--split", "1,3/5", "--seeds", "0", "1"]
    arguments += ["--protocol", "fusion", "knn", "retrieval", "--out", f"{tmp_path}/out"]
    arguments += ["--floors", "random", "raw", "--set", *QUICK]
    assert main(arguments) == 0
    found = {(r.method, r.protocol): r for r in rows(Report(tmp_path / "out").entries())}
    assert found["cmc", "fusion"].seeds == 2
    assert found["cmc", "fusion"].checkpoints == 2
    assert found["raw features", "fusion"].metrics["accuracy"] == [1.0, 1.0]
    assert ("cmc", "retrieval imu -> skeleton (heads)") in found
    assert ("random encoder", "retrieval imu -> skeleton (aligned)") in found
    table = (tmp_path / "out" / "results.md").read_text()
    assert "2 (weights and probe)" in table
    capsys.readouterr()
    assert main(arguments) == 0
    assert "added" not in capsys.readouterr().out
    assert (tmp_path / "out" / "results.md").read_text() == table


def test_leave_one_out_takes_the_run_of_each_fold(tmp_path):
    for out, others in ((1, (3, 5)), (3, (1, 5)), (5, (1, 3))):
        write_run(tmp_path / f"without-{out}", subjects=others, seed=out)
    base = [f"cmc={tmp_path}/without-{{held_out}}", "--out", f"{tmp_path}/out", "--floors"]
    assert main([*base, "--split", "loso:1,3,5", "--set", *QUICK]) == 0
    entries = Report(tmp_path / "out").entries()
    assert sorted(entry.split["test"] for entry in entries) == [[1], [3], [5]]
    for entry in entries:
        assert not set(entry.seen) & set(entry.split["test"])
        assert entry.command.startswith("tools/evaluate.py")


def test_supervised_floor_and_augmented_copies(tmp_path):
    run = write_run(tmp_path / "cmc")
    arguments = [str(run), "--split", "1,3/5", "--out", f"{tmp_path}/out", "--set", *QUICK]
    more = ["copies=2", "supervised.epochs=2", "supervised.hidden=8"]
    assert main([*arguments, *more, "--floors", "supervised"]) == 0
    (first, floor) = Report(tmp_path / "out").entries()
    assert (first.method, floor.method) == ("cmc", "supervised from scratch")
    assert first.settings["copies"] == 2
    copies = RunFolder.open(run).source()
    sample = copies.data((1,))[0]
    drawn = copies.augment(sample, np.random.default_rng(0))
    assert not np.array_equal(
        drawn.frames[0].readings["skeleton"].joints, sample.frames[0].readings["skeleton"].joints
    )


def test_bad_input_prints_our_errors(tmp_path, capsys):
    run = write_run(tmp_path / "cmc")
    out = ["--out", f"{tmp_path}/out", "--floors"]

    def fails(*arguments):
        assert main([*arguments, *out]) == 1
        return capsys.readouterr().err

    assert "not a run" in fails(str(tmp_path), "--split", "1/5")
    assert "reserved for the final test" in fails(str(run), "--split", "1,3/2")
    assert "was pretrained on the test subjects [3]" in fails(str(run), "--split", "1/3")
    assert "unknown setting 'fuson'" in fails(str(run), "--split", "1/5", "--set", "fuson.epochs=1")
    assert "no run given" in fails()
    (run / "encoders" / "body").rename(run / "encoders" / "lost")
    assert "['body']" in fails(str(run), "--split", "1/5")


def test_data_in_other_units_than_the_encoder_is_refused(tmp_path):
    data = {"type": f"{HERE}:Motions", "imu_unit": "g, deg/s"}
    run = RunFolder.open(write_run(tmp_path / "cmc", data=data))
    with pytest.raises(UnitError, match="'g, deg/s'") as caught:
        run.contender()._embedded((1, 3), 0, run.source())
    assert "sensor 'imu'" in str(caught.value)


def test_a_damaged_encoder_names_its_file(tmp_path):
    run = write_run(tmp_path / "cmc")
    weights = run / "encoders" / "body" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match="body"):
        RunFolder.open(run).load()


def test_records_build_nothing_but_data_sets_and_sensors(monkeypatch):
    monkeypatch.undo()
    assert named("sensorfusion.sensors.imu:ImuWindow") is ImuWindow
    maker = "sensorfusion.sensors.imu_augment:cmkm_imu_augmentations"
    assert all(callable(transform) for transform in built({"type": maker}))
    for reference in (
        "os:system",
        "sensorfusion.sensors.resampling:resample",  # makes no transforms
        "builtins:eval",
        "sensorfusion.checkpoint:write_folder",  # ours, but it would write
        "sensorfusion.sensors.imu:np",
        "sensorfusion.sensors.imu:Reading",  # merely imported there
        "sensorfusion.sensors.imu:require_rows",
        "sensorfusion.sensors.imu.os:system",
        "sensorfusion.sensors.absent:Thing",
        "sensorfusion.sensors.imu",
    ):
        with pytest.raises(ConfigError, match="is not a class of sensorfusion"):
            named(reference)
    with pytest.raises(ConfigError, match=r"config\.data"):
        built({"data": {"type": "sensorfusion.sensors.imu:ImuWindow", "wrong": 1}})


def test_subjects_of_a_recorded_data_set():
    inner = {"type": f"{HERE}:Motions"}
    tree = {"type": f"{HERE}:Wrapper", "dataset": inner}
    assert subjects_of(tree) == (1, 3)
    changed = with_subjects(tree, (7,))
    assert changed["dataset"]["subjects"] == [7]
    assert "subjects" not in inner
    assert "subjects" not in changed
    assert subjects_of({"type": f"{HERE}:Noise"}) is None


def test_settings_from_config_and_options():
    section = {"fusion": {"dropout": 0.5}, "k": 5, "fractions": [0.1]}
    found = settings_of(section, ["fusion.epochs=7", "temperature=0.5", "ties=pessimistic"])
    assert found == Settings(
        fusion=FUSION.replace(dropout=0.5, epochs=7),
        k=5,
        fractions=(0.1,),
        temperature=0.5,
        ties="pessimistic",
    )
    assert json.loads(json.dumps(found.record())) == found.record()
    assert section == {"fusion": {"dropout": 0.5}, "k": 5, "fractions": [0.1]}
    for wrong in ("fusion", "fusion.depth=3", "depth=3", "fusion.a.b=1"):
        with pytest.raises(ConfigError):
            settings_of({}, [wrong])
