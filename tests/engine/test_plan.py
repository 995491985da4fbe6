"""What each step sees is a function of (seed, epoch, index), for any ranks and workers."""

import os
import signal

import numpy as np
import pytest
import torch

from sensorfusion.engine.corrupt import Corrupt, Tally, replacement
from sensorfusion.engine.plan import Loaded, Plan, collate_items, step_loader
from sensorfusion.errors import ConfigError, DataError, UnitError
from tests.engine import engine_toy as toy


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("world", [1, 2, 3])
def test_ranks_share_each_batch(drop_last, world):
    plan = Plan(size=22, batch_size=5, drop_last=drop_last)
    ranks = [
        Plan(size=22, batch_size=5, drop_last=drop_last, rank=r, world=world) for r in range(world)
    ]
    assert plan.steps_per_epoch == (4 if drop_last else 5)
    for step in range(2 * plan.steps_per_epoch):
        parts = [rank.part(step) for rank in ranks]
        assert [key for part in parts for key in part] == plan.batch(step)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
        assert plan.samples(step) == len(plan.batch(step))


def test_an_epoch_sees_every_sample_once_and_epochs_differ():
    plan = Plan(size=22, batch_size=5, drop_last=False, seed=4)
    epochs = [[key for step in range(5 * e, 5 * e + 5) for key in plan.batch(step)] for e in (0, 1)]
    for e, keys in enumerate(epochs):
        assert {epoch for epoch, _ in keys} == {e}
        assert sorted(index for _, index in keys) == list(range(22))
    assert [i for _, i in epochs[0]] != [i for _, i in epochs[1]]
    assert Plan(size=22, batch_size=5, seed=5).batch(0) != plan.batch(0)


def test_parts_from_any_step_are_those_of_the_whole():
    plan = Plan(size=22, batch_size=5, drop_last=False, rank=1, world=2)
    whole = list(plan.parts(0, 12))
    assert whole == [plan.part(step) for step in range(12)]
    assert list(plan.parts(7, 12)) == whole[7:]


def test_no_full_batch_is_an_error():
    with pytest.raises(ConfigError, match="22 samples make no batch of 23"):
        Plan(size=22, batch_size=23)
    assert Plan(size=22, batch_size=23, drop_last=False).steps_per_epoch == 1


def test_randomness_is_that_of_epoch_and_index():
    loaded = Loaded(toy.Waves(), [toy.Jitter()], seed=1)

    def values(epoch, index):
        return loaded[epoch, index].sample.frames[0].readings["left"].values_TC

    first = values(0, 3)
    values(0, 4)
    np.random.seed(0)  # noqa: NPY002 (must not matter)
    assert np.array_equal(first, values(0, 3))
    assert not np.array_equal(first, values(1, 3))
    clean = toy.Waves()[3].frames[0].readings["left"].values_TC
    noise = [v - toy.Waves()[i].frames[0].readings["left"].values_TC
             for i, v in ((3, first), (4, values(0, 4)))]  # fmt: skip
    assert not np.allclose(noise[0], noise[1])
    assert np.abs(first - clean).max() > 0


def test_workers_and_the_global_generator_change_nothing():
    loaded = Loaded(toy.Waves(), [toy.Jitter()])
    plan = Plan(size=32, batch_size=8)
    state = torch.get_rng_state()
    batches = [[m.batch for m in step_loader(loaded, plan, 2, 7, workers)] for workers in (0, 2)]
    assert torch.equal(state, torch.get_rng_state())
    for a, b in zip(*batches, strict=True):
        assert a.ids == b.ids
        assert torch.equal(a["left"].values["values_TC"], b["left"].values["values_TC"])
        assert torch.equal(a["right"].present, b["right"].present)


class Interrupted(toy.Waves):
    """Ctrl-C reaches the workers, too."""

    def __getitem__(self, index):
        os.kill(os.getpid(), signal.SIGINT)
        return super().__getitem__(index)


def test_workers_leave_ctrl_c_to_the_main_process():
    plan = Plan(size=32, batch_size=8)
    batches = [m.batch for m in step_loader(Loaded(Interrupted(), []), plan, 0, 2, 1)]
    assert [len(batch) for batch in batches] == [8, 8]


def test_a_part_without_samples_is_an_empty_batch():
    batch = collate_items([]).batch
    assert len(batch) == 0
    assert len(batch["left"]) == 0


def test_skipped_samples_are_replaced_deterministically():
    corrupt = tuple(range(0, 32, 2))  # half: replacements fail too
    policy = Corrupt(policy="skip", cap=0.9)
    items = [Loaded(toy.Waves(corrupt=corrupt), [], 5, policy)[3, 4] for _ in range(2)]
    assert items[0].index == items[1].index
    tried = [failure.index for failure in items[0].failures]
    assert tried[0] == 4
    assert tried[1:] == [replacement(5, 3, 4, a, 32) for a in range(len(tried) - 1)]
    assert items[0].index == replacement(5, 3, 4, len(tried) - 1, 32)
    assert items[0].sample.id == f"wave_{items[0].index}"
    assert Loaded(toy.Waves(corrupt=corrupt), [], 5, policy)[4, 4].index != items[0].index


def test_failures_reach_the_minibatch_and_raise_is_the_default():
    items = [Loaded(toy.Waves(corrupt=(4,)), [])[0, index] for index in (3, 4)]
    minibatch = collate_items(items)
    assert minibatch.batch is None
    assert "wave_4.bin" in str(minibatch.failures[-1].error)


def test_errors_of_the_config_are_not_skipped():
    def wrong(sample, generator):
        raise UnitError("wrong unit")

    item = Loaded(toy.Waves(), [wrong], 0, Corrupt(policy="skip"))[0, 1]
    assert item.sample is None
    assert [type(failure.error) for failure in item.failures] == [UnitError]


def test_the_tally_has_a_cap_on_distinct_samples():
    tally = Tally(Corrupt(policy="skip", cap=2), 100)
    tally.add([3, 4, 3])
    tally.add([4])
    assert tally.state() == {"samples": [3, 4], "skipped": 4}
    with pytest.raises(DataError, match="3 corrupt samples of 100, the cap is 2"):
        tally.add([5])
    assert Corrupt(policy="skip", cap=0.05).limit(100) == 5
    assert Corrupt(policy="skip", cap=1).limit(100) == 1
    fresh = Tally(Corrupt(policy="skip", cap=2), 100)
    fresh.restore(tally.state())
    assert fresh == tally
