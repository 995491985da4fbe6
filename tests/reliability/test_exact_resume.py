"""A run that is killed and started again with the same command ends bit-equal to one that isn't."""

import json
import random
import signal

import pytest

from sensorfusion.checkpoint import read_folder
from sensorfusion.ending import EXIT_INTERRUPTED
from sensorfusion.engine.checkpoints import existing
from sensorfusion.signals import EXIT_STOPPED
from tests.engine import engine_processes as processes
from tests.engine import engine_toy as toy

STEPS = 21  # three epochs of seven steps; checkpoints do not fall on their borders
KILLED = -signal.SIGKILL


def config(signals=(), workers=0, **changes):
    return toy.config(
        data__train__size=49,  # six full batches and a single sample
        loader__drop_last=False,
        loader__workers=workers,
        train__checkpoint_every=4,
        hooks=[{"type": toy.Trace, "signals": list(signals)}],
        **changes,
    )


def assert_same_end(one, other, ranks=1):
    first, second = existing(one)[-1], existing(other)[-1]
    weights = [folder / "weights.safetensors" for folder in (first, second)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    documents = [read_folder(folder)[1] for folder in (first, second)]
    for key in ("step", "epoch", "rate", "optimizer", "scaler", "corrupt", "units"):
        assert documents[0][key] == documents[1][key]
    assert documents[0]["step"] == STEPS
    for rank in range(ranks):
        assert ids(one, rank) == ids(other, rank)
    assert losses(one) == losses(other)


def read_lines(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def ids(work_dir, rank):
    lines = read_lines(work_dir / f"ids_{rank}.jsonl")
    seen = dict(lines)
    for step, names in lines:  # a step that is done again sees the same samples
        assert seen[step] == names
    assert sorted(seen) == list(range(STEPS))
    return seen


def losses(work_dir):
    lines = read_lines(work_dir / "metrics.jsonl")
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
    return [[value for name, value in line.items() if name.startswith("loss")] for line in lines]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    work_dir = tmp_path_factory.mktemp("uninterrupted")
    assert processes.run(work_dir, config()) == [0]
    return work_dir


def test_five_kills_and_two_requests_to_stop(uninterrupted, tmp_path):
    """One kill at the border of epochs, two within one epoch; workers come and go."""
    generator = random.Random(7)
    steps = [7, *generator.sample(range(8, 14), 2), *generator.sample(range(15, STEPS), 2)]
    signals = [(3, "SIGTERM"), (5, "SIGINT"), *((step, "SIGKILL") for step in sorted(steps))]
    codes = [
        processes.run(tmp_path, config(signals, workers=2 * (attempt % 2)))[0]
        for attempt in range(len(signals) + 1)
    ]
    assert codes == [EXIT_STOPPED, EXIT_INTERRUPTED, *[KILLED] * 5, 0]
    assert_same_end(uninterrupted, tmp_path)


def test_two_ranks(tmp_path):
    """Both ranks continue; at the end of an epoch one of them has no sample."""
    settings = {"data__corrupt": {"policy": "skip", "cap": 2}, "data__train__corrupt": (5, 11)}
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert processes.run(whole, config(**settings), ranks=2) == [0, 0]
    signals = [(6, "SIGKILL"), (14, "SIGTERM")]
    codes = [processes.run(broken, config(signals, **settings), ranks=2) for _ in range(3)]
    assert codes[0][0] == KILLED
    assert codes[1:] == [[EXIT_STOPPED, EXIT_STOPPED], [0, 0]]
    assert_same_end(whole, broken, ranks=2)
    corrupt = read_folder(existing(whole)[-1])[1]["corrupt"]
    assert corrupt == {"samples": [5, 11], "skipped": 6}
