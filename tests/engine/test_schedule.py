"""Learning rates are functions of the step; groups of parameters keep their own."""

import pytest
import torch
from torch import nn

from sensorfusion.engine.optimizer import build_optimizer, set_rate
from sensorfusion.engine.schedule import Constant, Cosine, Steps
from sensorfusion.errors import ConfigError
from tests.engine import engine_toy as toy


def test_cosine():
    schedule = Cosine(warmup_steps=4, final=0.1)
    assert [schedule(s, 24) for s in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert schedule(14, 24) == pytest.approx(0.55)  # half way after the warm-up
    assert schedule(24, 24) == pytest.approx(0.1)
    values = [schedule(s, 24) for s in range(4, 25)]
    assert values == sorted(values, reverse=True)


def test_a_raised_limit_continues_on_the_longer_curve():
    schedule = Cosine()
    assert schedule(10, 10) == pytest.approx(0.0)
    assert schedule(10, 20) == pytest.approx(0.5)
    assert Constant()(10, 20) == Constant()(10, 10) == 1.0


def test_steps():
    schedule = Steps(at=(3, 5), decay=0.1, warmup_steps=2)
    assert [schedule(s, 9) for s in range(6)] == pytest.approx([0.5, 1, 1, 0.1, 0.1, 0.01])
    with pytest.raises(ConfigError, match="must increase"):
        Steps(at=(5, 3))


def test_groups_by_pattern():
    model = toy.pretrainer({"wave": toy.WaveEncoder()})
    node = {
        "type": torch.optim.AdamW,
        "lr": 0.1,
        "groups": {"*.bias": {"weight_decay": 0.0}, "encoders.*": {"lr": 0.01}},
    }
    optimizer = build_optimizer(node, model)
    assert set_rate(optimizer, Constant(warmup_steps=2), 0, 10) == pytest.approx(0.05)
    found = {
        name: (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for name in group["names"]
    }
    assert found["encoders.wave.layers.0.bias"] == pytest.approx((0.05, 0.0))
    assert found["encoders.wave.layers.0.weight"] == pytest.approx((0.005, 0.01))
    assert found["heads.wave.0.weight"] == pytest.approx((0.05, 0.01))
    assert set(found) == {name for name, _ in model.named_parameters()}


def test_wrong_optimizers_are_refused():
    model = nn.Linear(2, 2)
    with pytest.raises(ConfigError, match=r"'encoder\.\*' matches no"):
        build_optimizer({"type": torch.optim.Adam, "groups": {"encoder.*": {}}}, model)
    with pytest.raises(ConfigError, match=r"(?s)no argument 'rate'.*optimizer\.rate"):
        build_optimizer({"type": torch.optim.Adam, "rate": 3}, model)
    with pytest.raises(ConfigError, match="no trained parameter"):
        build_optimizer({"type": torch.optim.Adam}, nn.Linear(2, 2).requires_grad_(False))
