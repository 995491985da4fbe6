"""A table as a user meets it: made, interrupted, continued, and honest about what failed."""

import json
import os
import runpy
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from types import SimpleNamespace

import pytest

from sensorfusion.engine import launch
from sensorfusion.engine.table import main, read_table
from sensorfusion.errors import ConfigError
from sensorfusion.evaluation.report import Report
from sensorfusion.evaluation.table import Row, Stage, Table
from tests.datasets.recordings import write_clip

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = REPOSITORY / "tools" / "pretrain.py"

RECIPE = """
from torch.optim import Adam
from sensorfusion.datasets.dataset import Cached
from sensorfusion.datasets.utd_mhad import UtdMhad
from sensorfusion.encoders.imu_conv_transformer import ImuConvTransformer
from sensorfusion.encoders.skeleton_cooccurrence import SkeletonCooccurrence
from sensorfusion.matching.moments import Moments
from sensorfusion.model import Pretrainer, Weighted
from sensorfusion.objectives.contrast import Contrast
from sensorfusion.sensors.resampling import Resample
from table_teacher import taught

data = dict(train=dict(
    type=Cached,
    dataset=dict(type=UtdMhad, subjects=(1, 3, 5), sensors=("imu", "skeleton")),
    transforms=[dict(type=Resample, sensors=("imu", "skeleton"), steps=50)],
))
loader = dict(batch_size=4)
optimizer = dict(type=Adam, lr=1e-3)
train = dict(epochs=1)
model = dict(
    type=taught,
    encoders=dict(
        imu=dict(type=ImuConvTransformer, channels=(2, 2, 2), feedforward=2, layers=1, heads=1,
                 units=("m/s^2, rad/s",), readout="mean"),
        skeleton=dict(type=SkeletonCooccurrence, units=("m",), channels=(4, 32, 4, 4, 4, 4)),
    ),
    sensors=dict(imu="imu", skeleton="skeleton"),
    terms=dict(contrast=dict(
        type=Weighted,
        term=dict(type=Contrast, temperature=0.1),
        matching=dict(type=Moments, streams=("imu", "skeleton")),
    )),
    teachers=dict(imu=dict(path=None)),
)
"""
# The encoders' widths differ, so both are projected to 4; a teacher must be there to be read.
TEACHER = """
from torch import nn
from sensorfusion.encoders.heads import Projection
from sensorfusion.export import load_encoder
from sensorfusion.model import Pretrainer

def taught(encoders, sensors, terms, teachers):
    path = teachers["imu"]["path"]
    if path is not None:
        load_encoder(path)
    heads = {name: Projection(encoder.width, 4, 4) for name, encoder in encoders.items()}
    return Pretrainer(encoders, sensors, terms, heads=heads)
"""
TABLE = """
choose = dict(split="loso:1,3", seeds=(0,))
test = dict(split="1,3/2", seeds=(0, 1))
floors = ("raw",)
settings = {"fusion.epochs": 2, "fusion.hidden": 4}
"""


class Forked:
    """Stands in for `subprocess.Popen`: a fork has imported everything already."""

    def __init__(self, command, *, stdin, stdout, stderr, start_new_session):
        self.pid = os.fork()
        if self.pid:
            return
        os.setsid()
        os.dup2(stdout.fileno(), 1)
        os.dup2(stdout.fileno(), 2)
        sys.stdout, sys.stderr = open(1, "w"), open(2, "w")  # noqa: SIM115 (until it exits)
        sys.argv = command[1:]
        code = 99
        try:
            runpy.run_path(command[1], run_name="__main__")
        except SystemExit as end:
            code = end.code
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def terminate(self):
        os.kill(self.pid, signal.SIGTERM)

    def wait(self):
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def _forked(monkeypatch):
    stand_in = SimpleNamespace(Popen=Forked, DEVNULL=subprocess.DEVNULL, STDOUT=subprocess.STDOUT)
    monkeypatch.setattr(launch, "subprocess", stand_in)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with recipes, and recordings of subjects 1, 2 and 3."""
    for subject in (1, 2, 3):
        for action in (1, 2):
            for trial in (1, 2):
                clip = f"a{action}_s{subject}_t{trial}"
                write_clip(tmp_path / "data" / "utd-mhad", clip, seed=trial + 10 * subject)
    (tmp_path / "small.py").write_text(RECIPE)
    (tmp_path / "table_teacher.py").write_text(TEACHER)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{REPOSITORY}")
    monkeypatch.setenv("SENSORFUSION_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


def write_table(folder, rows, more=""):
    (folder / "table.py").write_text(f"{TABLE}{more}\nrows = {rows!r}\n")


def make(*arguments):
    return main(SCRIPT, ["table.py", "--out", "out", *arguments])


def started(folder):
    """(row, run) of the runs in the order in which they were first started."""
    logs = (folder / "out" / "runs").glob("*/*.log")
    times = {(p.parent.name, p.stem): (p.with_suffix("") / "config.json").stat().st_mtime_ns
             for p in logs if (p.with_suffix("") / "config.json").exists()}  # fmt: skip
    return sorted(times, key=times.__getitem__)


def config(folder, row, run):
    return json.loads((folder / "out" / "runs" / row / run / "config.json").read_text())


@pytest.mark.usefixtures("_forked")
def test_a_table_is_made_and_skips_what_is_done(folder, capsys):
    student = {"name": "student", "config": "small.py", "teachers": {"imu": "teacher"},
               "protocols": ("fusion", "knn"),
               "published": {"value": 12.5, "source": "a paper"}}  # fmt: skip
    write_table(folder, [student, {"name": "teacher", "config": "small.py"}])
    assert make("--dry-run") == 0
    assert "4 runs, 0 finished" in capsys.readouterr().out
    assert not (folder / "out").exists()

    assert make("--only", "student") == 0
    # The teacher of a fold is trained on the same subjects and seed, and before its student.
    runs = ["choose-1-0", "choose-3-0"]
    assert started(folder) == [(row, run) for row in ("teacher", "student") for run in runs]
    for run, trained_on in zip(runs, ([3], [1]), strict=True):
        for row in ("teacher", "student"):
            found = config(folder, row, run)
            assert found["data"]["train"]["dataset"]["subjects"] == trained_on
            assert found["seed"] == 0
        taught_by = found["model"]["teachers"]["imu"]["path"]
        assert taught_by == f"out/runs/teacher/{run}/encoders/imu"
    entries = Report(folder / "out" / "results").entries()
    assert {entry.method for entry in entries} == {"student", "raw features"}

    assert make() == 0
    assert "added teacher: fusion" in capsys.readouterr().out
    document = json.loads((folder / "out" / "choose.json").read_text())
    assert document["failed"] == []
    assert document["runs left"] == 0
    lines = {(line["method"], line["protocol"]): line for line in document["lines"]}
    # Floors of two rows of one architecture and data are one line.
    assert set(lines) == {
        ("student", "fusion"), ("student", "knn"), ("teacher", "fusion"),
        ("raw features", "fusion"), ("raw features", "knn"),
    }  # fmt: skip
    line = lines["student", "fusion"]
    assert (line["seeds"], line["clips"], line["subjects"]) == ([1, 1], 8, 2)
    assert line["complete"]
    assert line["minutes"] > 0
    assert line["published"]["value"] == 12.5
    assert lines["student", "knn"]["published"] is None
    own = [e.scores[0].metrics["accuracy"] for e in entries
           if (e.method, e.protocol) == ("student", "fusion")]  # fmt: skip
    assert line["mean"] == pytest.approx(100 * sum(own) / 2)  # both folds have 4 clips
    assert "| student | imu, skeleton | fusion |" in (folder / "out" / "choose.md").read_text()

    capsys.readouterr()
    before = {path: path.stat().st_mtime_ns for path in (folder / "out" / "runs").rglob("*")}
    assert make() == 0
    assert before == {
        path: path.stat().st_mtime_ns for path in (folder / "out" / "runs").rglob("*")
    }
    output = capsys.readouterr().out
    assert "added" not in output
    assert "pretraining" not in output


@pytest.mark.usefixtures("_forked")
def test_a_failed_row_is_reported_and_the_others_are_made(folder, capsys):
    wrong = {"name": "wrong", "config": "small.py", "options": {"train.epoch": 3}}
    broken = {"name": "broken", "config": "small.py", "options": {"weights": "nowhere"}}
    student = {"name": "student", "config": "small.py", "teachers": {"imu": "broken"}}
    write_table(folder, [wrong, broken, student, {"name": "good", "config": "small.py"}])
    assert make() == 1
    told = capsys.readouterr().err
    assert "failed: wrong/choose-1-0: unknown option 'epoch'" in told
    assert "did you mean 'epochs'?" in told
    assert "failed: broken/choose-3-0: pretraining ended with code 1" in told
    assert "log: out/runs/broken/choose-3-0.log" in told
    assert "nowhere" in (folder / "out" / "runs" / "broken" / "choose-3-0.log").read_text()
    assert "student/choose-1-0: its teacher broken/choose-1-0 failed" in told
    document = json.loads((folder / "out" / "choose.json").read_text())
    assert {line["method"] for line in document["lines"]} == {"good", "raw features"}
    assert len(document["failed"]) == document["runs left"] == 6


@pytest.mark.usefixtures("_forked")
def test_only_the_test_stage_touches_test_subjects(folder, capsys):
    options = {"config": "small.py", "group": "grid"}
    rows = [{"name": f"grid{i}", "options": {"train.epochs": i}, **options} for i in (1, 2)]
    grid = "groups = dict(grid=dict(best=1, coarse=(0,)))"
    write_table(folder, rows, grid)
    assert make("--stage", "test") == 1
    assert "grid: its best rows are not known yet" in capsys.readouterr().err
    assert not (folder / "out" / "runs").exists()
    assert make() == 0
    for entry in Report(folder / "out" / "results").entries():
        assert not {*entry.split["train"], *entry.split["test"], *entry.seen} & {2, 4, 6, 8}
        assert not entry.split["touch_test"]
    ranked = json.loads((folder / "out" / "choose.json").read_text())["lines"]
    scores = {line["method"]: line["mean"] for line in ranked if not line["floor"]}
    best = max(scores, key=scores.__getitem__)
    assert make("--stage", "test") == 0
    tested = [e for e in Report(folder / "out" / "results").entries() if e.split["touch_test"]]
    assert {(e.method, e.seed) for e in tested if not e.floor} == {(best, 0), (best, 1)}
    assert {tuple(e.seen) for e in tested if not e.floor} == {(1, 3)}
    for seed in (0, 1):
        found = config(folder, best, f"test-2-{seed}")
        assert (found["seed"], found["data"]["train"]["dataset"]["subjects"]) == (seed, [1, 3])
    assert "reserved subjects touched" in (folder / "out" / "test.md").read_text()
    assert {
        line["seeds"][0] for line in json.loads((folder / "out" / "test.json").read_text())["lines"]
    } == {2}


@pytest.mark.usefixtures("_forked")
def test_a_config_that_trains_on_other_subjects_is_refused(folder, capsys):
    text = RECIPE.replace("subjects=(1, 3, 5), ", "subjects=(1, 3, 5), actions=(1, 2), ")
    (folder / "small.py").write_text(text)
    # The key takes the option, but the data set goes by another one.
    write_table(folder, [{"name": "a", "config": "small.py"}],
                'subjects = "data.train.dataset.actions"')  # fmt: skip
    assert make() == 1
    assert "pretrains on subjects [1, 3, 5], not [3]" in capsys.readouterr().err
    assert not Report(folder / "out" / "results").entries()


@pytest.mark.usefixtures("_forked")
def test_a_killed_table_continues(folder):
    options = {"train.epochs": 60, "train.checkpoint_every": 20}
    one_fold = 'choose = dict(split="1/3", seeds=(0,))'
    write_table(folder, [{"name": "long", "config": "small.py", "options": options}], one_fold)
    run = folder / "out" / "runs" / "long" / "choose-3-0"

    def steps():
        path = run / "metrics.jsonl"
        return path.read_text().count("\n") if path.exists() else 0

    for name, code in (("SIGTERM", 143), ("SIGKILL", -9)):
        before = steps()
        child = os.fork()
        if not child:
            with open("said.txt", "w") as sys.stdout:
                try:
                    os._exit(make())
                except SystemExit as stop:
                    os._exit(stop.code)
        end = time.monotonic() + 60
        while steps() <= before and time.monotonic() < end:
            time.sleep(0.02)
        os.kill(child, getattr(signal, name))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == code
    # After SIGKILL the run goes on by itself; the table waits for it, and starts nothing twice.
    assert make() == 0
    lines = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert lines == list(range(1, 61))
    text = run.with_name("choose-3-0.log").read_text()
    assert "the same command continues" in text
    assert "another run is using" not in text


def test_the_tables_of_the_repository_can_be_read():
    table = read_table(REPOSITORY / "configs" / "utd_mhad" / "table.py")
    assert table["cmc_cmkm"].teachers == {"imu": "simclr_imu", "skeleton": "simclr_skeleton"}
    assert len(table.members("cmc_hard")) == 6
    assert Path(table["cmc"].config).is_file()


def test_a_stage_may_have_floors_of_its_own():
    table = Table(
        rows=(Row(name="a", config="a.py"),),
        floors=("raw", "supervised"),
        choose=Stage(split="loso:1,3", seeds=(0,), floors=("random",)),
    )
    assert table.floors_of("choose") == ("random",)
    assert table.floors_of("test") == ("raw", "supervised")
    with pytest.raises(ConfigError, match="unknown floors"):
        Table(rows=table.rows, choose=Stage(split="loso:1,3", seeds=(0,), floors=("roof",)))


def test_mistakes_in_a_table_name_their_place(tmp_path):
    (tmp_path / "table.py").write_text('rows = [dict(name="a", confg="a.py")]')
    with pytest.raises(ConfigError, match=r"rows\.0\.confg"):
        read_table(tmp_path / "table.py")
    (tmp_path / "table.py").write_text('rows = [dict(name="a", config="a.py")]\nseeds = (1,)')
    with pytest.raises(ConfigError, match="no argument 'seeds'"):
        read_table(tmp_path / "table.py")
