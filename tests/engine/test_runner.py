"""A run as a user meets it: the same command continues, finishes, or says what is wrong."""

import io
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from mmengine.hooks import Hook
from safetensors.torch import save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sensorfusion.checkpoint import read_folder
from sensorfusion.ending import EXIT_ERROR
from sensorfusion.engine import command
from sensorfusion.engine.checkpoints import existing
from sensorfusion.engine.progress import Progress, describe
from sensorfusion.engine.recipe import fingerprint
from sensorfusion.engine.runner import pretrain
from sensorfusion.engine.schedule import Cosine
from sensorfusion.errors import CheckpointError, ConfigError
from sensorfusion.export import load_encoder
from sensorfusion.signals import EXIT_STOPPED
from tests.engine import engine_processes as processes
from tests.engine import engine_toy as toy

REPOSITORY = Path(__file__).resolve().parents[2]


def metrics(work_dir):
    return [json.loads(line) for line in (work_dir / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    work_dir = tmp_path_factory.mktemp("run") / "toy"
    assert pretrain(toy.config(schedule={"type": Cosine}), work_dir) == 0
    return work_dir


def test_what_a_run_writes(finished):
    assert [path.name for path in existing(finished)] == ["step_00000010", "step_00000012"]
    lines = metrics(finished)
    assert [line["step"] for line in lines] == list(range(1, 13))
    assert {"loss", "loss/pair.contrast", "loss/wide.spread", "rate", "gradient_norm"} < set(
        lines[0]
    )
    assert {"samples_per_second", "waiting", "memory_mib", "skipped"} < set(lines[0])
    assert list((finished / "tensorboard").glob("events.*"))
    config = json.loads((finished / "config.json").read_text())
    assert config["model"]["encoders"]["wave"] == {"type": "tests.engine.engine_toy:WaveEncoder"}
    assert config["train"]["keep"] == 2
    provenance = json.loads((finished / "provenance.json").read_text())
    assert provenance["versions"]["torch"] == torch.__version__
    assert set(provenance["git"]) == {"commit", "changed"}
    assert "step 12/12" in (finished / "log.txt").read_text()


TAGS = {
    "loss/total": "loss",
    "loss/pair.contrast": "loss/pair.contrast",
    "loss/wide.spread": "loss/wide.spread",
    "optimizer/learning_rate": "rate",
    "optimizer/gradient_norm": "gradient_norm",
    "optimizer/updated": "updated",
    "speed/samples_per_second": "samples_per_second",
    "speed/seconds_per_step": "seconds",
    "speed/waiting_for_data": "waiting",
    "system/memory_mib": "memory_mib",
    "system/skipped_samples": "skipped",
}


def board(work_dir):
    """Tag -> [(step, value), ...], as TensorBoard's page shows them."""
    read = EventAccumulator(str(work_dir / "tensorboard"), size_guidance={"scalars": 0})
    read.Reload()
    tags = read.Tags()["scalars"]
    return {tag: [(e.step, e.value) for e in read.Scalars(tag)] for tag in tags}


def test_tensorboard_shows_every_metric_in_sections(finished):
    shown, lines = board(finished), metrics(finished)
    assert set(shown) == set(TAGS)
    assert set(TAGS.values()) | {"step", "epoch"} == set(lines[0])
    for tag, name in TAGS.items():
        assert shown[tag] == [(line["step"], pytest.approx(line[name])) for line in lines]


def test_tensorboard_after_a_kill_shows_each_step_once(tmp_path):
    config = toy.config(hooks=[{"type": toy.Trace, "signals": [(7, "SIGKILL")]}])
    assert processes.run(tmp_path, config) == [-signal.SIGKILL]
    assert processes.run(tmp_path, config) == [0]
    steps = [step for step, _ in board(tmp_path)["loss/total"]]
    assert steps == list(range(1, 13))


def test_a_checkpoint_holds_everything(finished):
    tensors, document = read_folder(existing(finished)[-1])
    kinds = {name.split("/")[0] for name in tensors}
    assert kinds == {"model", "optimizer", "ema", "random"}
    assert "optimizer/heads.wave.0.weight/exp_avg" in tensors
    assert {name for name in tensors if name.startswith("random/")} == {
        f"random/0/{name}" for name in ("torch", "numpy", "python", "gauss")
    }
    assert (document["step"], document["epoch"], document["steps"]) == (12, 3, 12)
    assert document["config"]["seed"] == 3


def test_the_encoders_of_a_finished_run(finished):
    types = (toy.WaveEncoder, toy.WaveHead)
    loaded = load_encoder(finished / "encoders" / "wave", types=types)
    assert loaded.units == ("m",)
    config = json.loads((finished / "config.json").read_text())
    assert loaded.note["config_sha256"] == fingerprint(config)
    average = read_folder(existing(finished)[-1])[0]
    for part, module in (("encoders", loaded.encoder), ("heads", loaded.head)):
        tensors = module.state_dict()
        assert tensors
        for name, value in tensors.items():  # those of the average, for the config asks for one
            assert torch.equal(value, average[f"ema/{part}.wave.{name}"])


def test_a_finished_run_says_so_and_changes_nothing(finished):
    before = {path: path.stat().st_mtime_ns for path in finished.glob("*/*/*")}
    assert pretrain(toy.config(schedule={"type": Cosine}), finished) == 0
    assert (finished / "log.txt").read_text().count("finished: 12 steps") >= 2
    assert {path: path.stat().st_mtime_ns for path in finished.glob("*/*/*")} == before


def test_a_changed_config_is_refused_with_the_difference(finished):
    config = toy.config(schedule={"type": Cosine}, optimizer__lr=0.5, train__epochs=4)
    with pytest.raises(ConfigError) as caught:
        pretrain(config, finished)
    text = str(caught.value)
    assert "optimizer.lr: 0.01 -> 0.5" in text
    assert "train.epochs: 3 -> 4" in text
    assert "--allow-change optimizer.lr --allow-change train.epochs" in text
    with pytest.raises(ConfigError, match=r"differs(?s:.*)optimizer\.lr") as caught:
        pretrain(config, finished, allow_change=["train.epochs"])
    assert "train.epochs:" not in str(caught.value)


def test_a_raised_limit_continues_on_the_schedule_of_the_new_limit(tmp_path):
    def config(epochs):
        return toy.config(schedule={"type": Cosine}, train__epochs=epochs)

    assert pretrain(config(3), tmp_path) == 0
    assert pretrain(config(5), tmp_path, allow_change=["train.epochs"]) == 0
    rates = [line["rate"] for line in metrics(tmp_path)]
    expected = [1e-2 * Cosine()(step, 12 if step < 12 else 20) for step in range(20)]
    assert rates == pytest.approx(expected)
    assert rates[12] > rates[11]  # not frozen at the end of the old schedule
    assert metrics(tmp_path)[-1]["epoch"] == 4


def test_weights_to_begin_with(tmp_path):
    torch.manual_seed(1)
    weights = toy.pretrainer({"wave": toy.WaveEncoder()}).state_dict()
    save_file(weights, tmp_path / "weights.safetensors")
    config = toy.config(
        weights=str(tmp_path / "weights.safetensors"),
        optimizer={"type": torch.optim.SGD, "lr": 0.0},
        train__epochs=1,
    )
    pretrain(config, tmp_path / "run")
    tensors = read_folder(existing(tmp_path / "run")[-1])[0]
    name = "encoders.wave.layers.0.weight"
    assert torch.equal(tensors[f"model/{name}"], weights[name])
    other = toy.config(
        weights=str(tmp_path / "weights.safetensors"), model__encoders__wave__width=4
    )
    with pytest.raises(CheckpointError, match=r"another architecture.*layers\.4\.weight has shape"):
        pretrain(other, tmp_path / "other")


def test_accumulated_and_mixed_precision_runs(tmp_path):
    pretrain(toy.config(train__accumulate=3, train__epochs=1), tmp_path / "a")
    pretrain(toy.config(train__precision="float16", train__epochs=1), tmp_path / "b")
    assert len(metrics(tmp_path / "a")) == 4
    assert read_folder(existing(tmp_path / "b")[-1])[1]["scaler"]["scale"] > 0


def test_one_run_a_folder(tmp_path):
    pid = os.fork()
    if pid == 0:
        pretrain(toy.config(train__epochs=10_000, train__checkpoint_every=10**6), tmp_path)
        os._exit(0)
    try:
        while not (tmp_path / "metrics.jsonl").exists():
            time.sleep(0.01)
        with pytest.raises(ConfigError, match="another run is using"):
            pretrain(toy.config(), tmp_path)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_changed_number_of_ranks_is_refused_or_allowed(tmp_path):
    config = toy.config(hooks=[{"type": toy.Trace, "signals": [(5, "SIGTERM")]}])
    assert processes.run(tmp_path, config) == [EXIT_STOPPED]
    assert processes.run(tmp_path, config, ranks=2) == [processes.ERROR, processes.ERROR]
    assert "world_size: 1 -> 2" in processes.error_text(tmp_path)
    assert processes.run(tmp_path, config, ranks=2, allow_change=["world_size"]) == [0, 0]
    seen = [json.loads(s) for r in (0, 1) for s in (tmp_path / f"ids_{r}.jsonl").open()]
    epoch = [name for step, names in seen if 4 <= step < 8 for name in names]
    assert len(epoch) == len(set(epoch)) == 32  # each sample once, over both numbers of ranks


def test_two_ranks_train_as_one(tmp_path):
    config = toy.config(
        model__type=toy.smooth_pretrainer,
        model__encoders__wave__dropout=0.0,
        model__encoders__wave__norm=False,
        data__train__size=31,  # the last part of an epoch is uneven
        loader__drop_last=False,
        optimizer={"type": torch.optim.SGD, "lr": 1e-2},
    )
    assert processes.run(tmp_path / "one", config) == [0]
    assert processes.run(tmp_path / "two", config, ranks=2) == [0, 0]
    one, two = (read_folder(existing(tmp_path / name)[-1])[0] for name in ("one", "two"))
    for name in one:
        if not name.startswith("random/"):
            torch.testing.assert_close(two[name], one[name], rtol=1e-5, atol=1e-6)
    losses = [[line["loss"] for line in metrics(tmp_path / name)] for name in ("one", "two")]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


CONFIG = """
from tests.engine.engine_toy import Jitter, WaveEncoder, Waves, pretrainer
from torch.optim import AdamW

model = dict(type=pretrainer, encoders=dict(wave=dict(type=WaveEncoder)))
data = dict(train=dict(type=Waves, size=16), transforms=[dict(type=Jitter)])
loader = dict(batch_size=8)
optimizer = dict(type=AdamW, lr=1e-2)
train = dict(epochs=100000, checkpoint_every=1000000)
"""


def start_command(folder, *arguments):
    """`tools/pretrain.py` in a forked process, in `folder`; its process id."""
    pid = os.fork()
    if pid:
        return pid
    import runpy

    os.chdir(folder)
    sys.argv = ["tools/pretrain.py", *arguments]
    sys.stderr = open("errors.txt", "w")  # noqa: SIM115 (until it exits)
    try:
        runpy.run_path(str(REPOSITORY / "tools" / "pretrain.py"), run_name="__main__")
    except SystemExit as end:
        sys.stderr.flush()
        os._exit(end.code)
    os._exit(99)


def end_of(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize(
    ("config", "work_dir"),
    [
        ("configs/utd_mhad/cmc.py", "work_dirs/utd_mhad/cmc"),
        ("/configs/a/configs/b/c.d.py", "work_dirs/b/c.d"),
        ("./configs/x.py", "work_dirs/x"),
        ("elsewhere/utd_mhad/cmc.py", "work_dirs/cmc"),
        ("a/configs.py", "work_dirs/configs"),
    ],
)
def test_the_work_folder_follows_the_config(config, work_dir):
    assert command.default_work_dir(config) == Path(work_dir)


def test_the_command(tmp_path):
    (tmp_path / "small.py").write_text(CONFIG)
    work_dir = tmp_path / "work_dirs" / "small"
    pid = start_command(tmp_path, "small.py", "--data-root", "elsewhere")
    while not (work_dir / "metrics.jsonl").exists() or not metrics(work_dir):
        time.sleep(0.01)
    os.kill(pid, signal.SIGTERM)
    assert end_of(pid) == EXIT_STOPPED == 143
    done = read_folder(existing(work_dir)[-1])[1]["step"]
    assert metrics(work_dir)[-1]["step"] == done
    limit = ["--cfg-options", "train.epochs=1", "train.keep=1"]
    assert end_of(start_command(tmp_path, "small.py", *limit)) == EXIT_ERROR
    assert "train.epochs: 100000 -> 1" in (tmp_path / "errors.txt").read_text()
    allow = ["--allow-change", "train.epochs"]
    assert end_of(start_command(tmp_path, "small.py", *limit, *allow)) == 0
    assert end_of(start_command(tmp_path, "smal.py")) == EXIT_ERROR
    assert "no such config file" in (tmp_path / "errors.txt").read_text()


def test_the_flags_are_these():
    flags = {flag for action in command.parser()._actions for flag in action.option_strings}
    assert flags == {
        "-h", "--help", "--work-dir", "--data-root", "--launcher", "--cfg-options",
        "--allow-change", "--preview",
    }  # fmt: skip


def test_the_data_root_reaches_the_data_sets(tmp_path, monkeypatch):
    monkeypatch.setenv("SENSORFUSION_DATA", "before")
    command.main([str(tmp_path / "none.py"), "--data-root", "given"])
    assert os.environ["SENSORFUSION_DATA"] == "given"


def test_a_terminal_has_one_live_line(tmp_path, monkeypatch):
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "300")
    pretrain(toy.config(), tmp_path)
    shown = [part for part in terminal.getvalue().split("\r") if part.startswith("step")]
    assert shown[-1].startswith("step 12/12 | loss ")
    assert " MiB | waiting " in shown[-1]
    assert "step 10/12" not in (tmp_path / "log.txt").read_text()
    assert isinstance(Progress(1).terminal, io.StringIO)


def test_the_line():
    values = {"loss": 1.5, "loss/pair.nce": 1.25, "samples_per_second": 320.4, "waiting": 0.123,
              "memory_mib": 512.0, "skipped": 2.0}  # fmt: skip
    said = "step 3/10 | loss 1.5 | left 1:02:03 | 2 skipped | 320 samples/s | 512 MiB | waiting 12%"
    assert describe(3, 10, values, 3723) == said  # one term: its loss is the total
    values["loss/gap"] = 0.25
    assert describe(3, 10, values, 3723) == said + " | pair.nce 1.25 | gap 0.25"
    assert describe(3, 10, values, 3723, 79).endswith("| 2 skipped | 320 samples/s | 512 MiB")
    assert describe(3, 10, values, 3723, 5) == "step 3/10"


class Epochs(Hook):
    """The hook points of epochs, and what mmengine's own hooks would read there."""

    seen: ClassVar[list] = []

    def before_train_epoch(self, runner):
        self.seen.append(("before", runner.epoch, runner.iter))

    def after_train_epoch(self, runner):
        self.seen.append(("after", runner.epoch, runner.iter))
        if runner.epoch == 0:
            os.kill(os.getpid(), signal.SIGTERM)  # stops after the next step: within an epoch


def test_hooks_see_epochs_as_in_mmengine(tmp_path):
    config = toy.config(hooks=[{"type": Epochs}])
    assert pretrain(config, tmp_path) == EXIT_STOPPED
    assert pretrain(config, tmp_path) == 0
    assert Epochs.seen == [
        ("before", 0, 0), ("after", 0, 3), ("before", 1, 4),
        ("before", 1, 5), ("after", 1, 7), ("before", 2, 8), ("after", 2, 11),
    ]  # fmt: skip
