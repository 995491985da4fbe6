"""Runs in which something goes wrong end with our own error, on all ranks, and harm nothing."""

import errno
import json
import os
import signal
import threading
import time

import pytest
import torch

from sensorfusion import checkpoint
from sensorfusion.checkpoint import read_folder
from sensorfusion.engine import loop
from sensorfusion.engine.checkpoints import existing
from sensorfusion.engine.runner import pretrain
from sensorfusion.errors import CheckpointError, ConfigError, DataError
from tests.engine import engine_processes as processes
from tests.engine import engine_toy as toy


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_a_non_finite_value_on_one_of_two_ranks_stops_both(tmp_path, where):
    index = 20
    change = {"data__train__nan_at": (index,)}
    if where == "gradient":
        change = {"model__type": pretrainer_with_bad_gradient, "data__transforms": []}
    codes = processes.run(tmp_path, toy.config(**change), ranks=2)
    assert codes == [processes.ERROR] * 2
    texts = [processes.error_text(tmp_path, rank) for rank in (0, 1)]
    assert texts[0] == texts[1]
    assert texts[0].startswith("NonFiniteError")
    assert f"samples ['wave_{index}']" in texts[0] or where == "gradient"
    assert ("rank 0" in texts[0]) != ("rank 1" in texts[0])
    files = sorted((tmp_path / "nonfinite").iterdir())
    reproducers = [json.loads(file.read_text()) for file in files]
    assert len(reproducers) == 2
    assert any(f"wave_{index}" in content["ids"] for content in reproducers)
    step = reproducers[0]["step"]
    for folder in existing(tmp_path):
        tensors, document = read_folder(folder)
        assert document["step"] <= step
        assert all(torch.isfinite(t).all() for n, t in tensors.items() if "random" not in n)


class _BadForOne(torch.autograd.Function):
    """Identity whose gradient is infinite when sample 20 is in the batch."""

    @staticmethod
    def forward(ctx, tokens, bad):
        ctx.bad = bad
        return tokens.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * (float("inf") if ctx.bad else 1.0), None


def pretrainer_with_bad_gradient(encoders):
    model = toy.pretrainer(encoders)

    class Term(toy.Spread):
        def forward(self, features, correspondence, targets):
            bad = bool((targets["index"] == 20).any())
            return {"spread": _BadForOne.apply(features["left"].tokens, bad).sum()}

    model.terms["wide"] = Term()
    return model


@pytest.mark.parametrize("workers", [0, 2])
def test_a_corrupt_sample_stops_the_run_by_default(tmp_path, workers):
    config = toy.config(data__train__corrupt=(4,), loader__workers=workers)
    with pytest.raises(DataError) as caught:
        pretrain(config, tmp_path)
    assert str(caught.value) == "truncated\n  where: wave_4.bin"


def test_a_corrupt_sample_on_one_rank_stops_both(tmp_path):
    codes = processes.run(tmp_path, toy.config(data__train__corrupt=(4,)), ranks=2)
    assert codes == [processes.ERROR] * 2
    texts = sorted(processes.error_text(tmp_path, rank) for rank in (0, 1))
    assert texts[0].startswith("DataError: another rank could not load")
    assert texts[1].startswith("DataError: truncated\n  where: wave_4.bin")


@pytest.mark.parametrize("workers", [0, 2])
def test_skipping_is_counted_logged_and_capped(tmp_path, workers):
    def config(cap):
        return toy.config(
            data__train__corrupt=(4, 9),
            data__corrupt={"policy": "skip", "cap": cap},
            loader__workers=workers,
        )

    assert pretrain(config(2), tmp_path / "within") == 0
    lines = (tmp_path / "within" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["skipped"] == 6  # two samples in three epochs
    log = (tmp_path / "within" / "log.txt").read_text()
    assert log.count("is replaced: truncated") == 2
    assert "wave_4.bin" in log
    ids = [json.loads(s)[1] for s in (tmp_path / "within" / "ids_0.jsonl").open()]
    assert not {"wave_4", "wave_9"} & {name for names in ids for name in names}
    with pytest.raises(DataError, match="2 corrupt samples of 32, the cap is 1"):
        pretrain(config(0.05), tmp_path / "above")


def test_errors_in_workers_keep_their_words(tmp_path):
    config = toy.config(loader__workers=2, data__transforms=[{"type": Uneven}])
    with pytest.raises(DataError, match=r"^values_TC has shape \(5, 4\), others \(6, 4\)"):
        pretrain(config, tmp_path)


class Uneven:
    def __call__(self, sample, generator):
        if sample.id != "wave_3":
            return sample
        return sample.map_readings(lambda _, r: r.replace(values_TC=r.values_TC[1:]))


@pytest.mark.parametrize(("workers", "kind"), [(1, DataError), (0, ConnectionResetError)])
def test_a_worker_that_is_gone_before_its_batch_was_fetched(tmp_path, monkeypatch, workers, kind):
    """Torch may not know yet that it died; an error of the data set stays what it is."""

    def batches(*_):
        raise ConnectionResetError("by peer")
        yield

    monkeypatch.setattr(loop, "step_loader", batches)
    with pytest.raises(kind, match="a loader worker died" if workers else "by peer"):
        pretrain(toy.config(loader__workers=workers), tmp_path)


def test_a_killed_worker_is_an_error_that_names_the_samples(tmp_path):
    config = toy.config(loader__workers=1, data__transforms=[{"type": Suicide}])
    assert processes.run(tmp_path, config) == [processes.ERROR]
    text = processes.error_text(tmp_path)
    assert text.startswith("DataError: a loader worker died")
    named = text.partition("one of the samples [")[2].partition("]")[0].split(", ")
    assert "7" in named
    assert len(named) <= 24  # those of the steps that the worker may have been loading


class Suicide:
    def __call__(self, sample, generator):
        if sample.id == "wave_7":
            os.kill(os.getpid(), signal.SIGKILL)
        return sample


def test_a_full_disk_is_a_clear_error_and_the_last_checkpoint_loads(tmp_path, monkeypatch):
    write, calls = checkpoint.save_file, []

    def save_file(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(*arguments)

    monkeypatch.setattr(checkpoint, "save_file", save_file)
    with pytest.raises(CheckpointError, match=r"(?s)No space left.*step_00000006.*same command"):
        pretrain(toy.config(), tmp_path)
    assert [path.name for path in existing(tmp_path)] == ["step_00000002", "step_00000004"]
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2
    assert pretrain(toy.config(), tmp_path) == 0
    assert pretrain(toy.config(), tmp_path / "whole") == 0
    ends = [(existing(d)[-1] / "weights.safetensors").read_bytes() for d in
            (tmp_path, tmp_path / "whole")]  # fmt: skip
    assert ends[0] == ends[1]


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
@pytest.mark.parametrize("name", ["weights.safetensors", "checkpoint.json"])
def test_a_damaged_checkpoint_is_named_and_never_passed_over(tmp_path, damage, name):
    pretrain(toy.config(train__epochs=1), tmp_path)
    file = existing(tmp_path)[-1] / name
    content = bytearray(file.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 4
    file.write_bytes(content if damage == "flipped" else content[:-7])
    with pytest.raises(CheckpointError, match=rf"(?s)damaged.*{file.parent.name}/{name}"):
        pretrain(toy.config(train__epochs=1), tmp_path)


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path):
    pretrain(toy.config(train__epochs=1), tmp_path)
    config = toy.config(train__epochs=1, model__encoders__wave__width=4)
    key = "model.encoders.wave.width"
    with pytest.raises(CheckpointError, match=r"another architecture.*layers\.4\.weight has shape"):
        pretrain(config, tmp_path, allow_change=[key])


def test_a_data_set_of_another_size_is_refused(tmp_path, monkeypatch):
    pretrain(toy.config(train__epochs=1), tmp_path)
    monkeypatch.setattr(toy.Waves, "__len__", lambda self: 24)
    with pytest.raises(DataError, match="has 24 samples, the run began with 32"):
        pretrain(toy.config(train__epochs=1), tmp_path)
    pretrain(toy.config(train__epochs=1), tmp_path, allow_change=["samples"])


def pretrainer_of_another_sensor(encoders):
    model = toy.pretrainer(encoders)
    model.sensors = {"left": "wave", "radar": "wave"}
    return model


def test_a_sensor_that_the_data_set_does_not_have_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"(?s)no sensors \['radar'\].*model\.sensors.*'left'"):
        pretrain(toy.config(model__type=pretrainer_of_another_sensor), tmp_path)


class Unsaveable(toy.WaveEncoder):
    units = ()


def test_an_encoder_that_could_not_be_saved_is_refused_before_the_training(tmp_path):
    config = toy.config(model__encoders__wave={"type": Unsaveable})
    with pytest.raises(ConfigError, match="Unsaveable does not say which units"):
        pretrain(config, tmp_path)
    assert not list(tmp_path.glob("metrics.jsonl"))


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="choose another --work-dir"):
        pretrain(toy.config(), tmp_path / "file" / "run")


def test_a_second_request_to_stop_ends_at_once(tmp_path):
    def stop_twice():
        while not (tmp_path / "stuck").exists():
            time.sleep(0.01)
        for _ in range(2):
            os.kill(pid, signal.SIGTERM)
            time.sleep(0.2)

    pid = os.fork()
    if pid == 0:
        os.chdir(tmp_path)
        pretrain(toy.config(data__transforms=[{"type": Stuck}]), tmp_path)
        os._exit(0)
    thread = threading.Thread(target=stop_twice)
    thread.start()
    began = time.monotonic()
    status = os.waitpid(pid, 0)[1]
    thread.join()
    assert os.waitstatus_to_exitcode(status) == -signal.SIGTERM
    assert time.monotonic() - began < 20


class Stuck:
    def __call__(self, sample, generator):
        open("stuck", "w").close()
        time.sleep(60)


def test_every_kill_while_saving_leaves_whole_checkpoints(tmp_path):
    """A process saves without pause and is killed at random moments."""
    generator = torch.Generator().manual_seed(0)
    tensors = {f"tensor_{i}": torch.full((20_000,), float(i)) for i in range(5)}
    began = time.monotonic()
    checkpoint.write_folder(tmp_path / "step_00000", tensors, {"step": 0})
    seconds = time.monotonic() - began
    for attempt in range(25):
        pid = os.fork()
        if pid == 0:
            for step in range(10_000):
                name = tmp_path / f"step_{attempt:03d}_{step:05d}"
                checkpoint.write_folder(name, tensors, {"step": step})
        while not (tmp_path / f"step_{attempt:03d}_00000").exists():
            time.sleep(0.001)
        time.sleep(3 * seconds * float(torch.rand(1, generator=generator)))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    written = sorted(tmp_path.glob("step_*"))
    assert len(written) > 26
    for folder in written:
        assert read_folder(folder)[1]["step"] == int(folder.name[-5:])
    checkpoint.remove_partial(tmp_path)
    assert sorted(tmp_path.iterdir()) == written
