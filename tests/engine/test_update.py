"""One step: averages, clipping, precision, and the stop at non-finite values."""

import pytest
import torch
from torch import nn

from sensorfusion.collate import collate
from sensorfusion.engine.accumulate import sum_of
from sensorfusion.engine.recipe import Train
from sensorfusion.engine.schedule import Constant
from sensorfusion.engine.update import Average, Update, suspects
from sensorfusion.errors import ConfigError, NonFiniteError
from tests.engine import engine_toy as toy


def make_batch(**options):
    data = toy.Waves(**options)
    return collate([data[i] for i in range(8)], list(range(8)))


def make_update(rate=1e-2, **train):
    torch.manual_seed(0)
    model = toy.pretrainer({"wave": toy.WaveEncoder(dropout=0.0)}, norm=False)
    group = {"params": list(model.parameters()), "names": [n for n, _ in model.named_parameters()]}
    optimizer = torch.optim.SGD([group], lr=rate)
    optimizer.param_groups[0]["base_lr"] = rate
    return Update(model, optimizer, Constant(), Train(epochs=1, **train), torch.device("cpu"))


def test_a_step_is_the_optimisers_step_on_the_sum_of_losses():
    batch, update, reference = make_batch(), make_update(), make_update().model
    losses = reference(batch)
    sum_of(losses).backward()
    outcome = update.step_on(batch, 0, 10)
    assert outcome.losses == {name: float(value.detach()) for name, value in losses.items()}
    assert outcome.total == pytest.approx(sum(outcome.losses.values()))
    for mine, theirs in zip(update.model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs - 1e-2 * theirs.grad)
    assert int(update.model.terms["pair"].steps) == 1  # after_step was called


def test_clipping_bounds_the_whole_gradient():
    batch, update = make_batch(), make_update(rate=1.0, clip_norm=1e-3)
    before = nn.utils.parameters_to_vector(update.model.parameters()).detach()
    outcome = update.step_on(batch, 0, 10)
    after = nn.utils.parameters_to_vector(update.model.parameters()).detach()
    assert outcome.gradient_norm > 1e-2
    assert float((after - before).norm()) == pytest.approx(1e-3, rel=1e-2)


def test_the_average_follows():
    model = nn.BatchNorm1d(1)
    average = Average(model, 0.75)
    nn.init.constant_(model.weight, 5.0)
    model.running_mean.fill_(2.0)
    average.follow(model)
    assert float(average.tensors["weight"]) == pytest.approx(0.75 * 1 + 0.25 * 5)
    assert float(average.tensors["running_mean"]) == 2.0


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision_trains(precision):
    batch, update, exact = make_batch(), make_update(precision=precision), make_update()
    found = [update.step_on(batch, step, 60).total for step in range(60)]
    expected = [exact.step_on(batch, step, 60).total for step in range(60)]
    assert found[0] != expected[0]
    assert found[0] == pytest.approx(expected[0], rel=0.05)
    assert found[-1] < 0.9 * found[0]
    assert {p.dtype for p in update.model.parameters()} == {torch.float32}
    assert bool(update.scaler_state()) == (precision == "float16")


def test_float16_overflow_skips_the_update_and_lowers_the_scale():
    update = make_update(precision="float16")
    update.scaler.load_state_dict({**update.scaler.state_dict(), "scale": 2.0**40})
    before = nn.utils.parameters_to_vector(update.model.parameters()).detach()
    outcome = update.step_on(make_batch(), 0, 10)
    assert not outcome.updated
    assert torch.equal(before, nn.utils.parameters_to_vector(update.model.parameters()).detach())
    assert update.scaler.get_scale() == 2.0**39
    assert int(update.model.terms["pair"].steps) == 0


def test_a_batch_with_nothing_to_compare_changes_nothing():
    update = make_update()
    del update.model.terms["wide"]
    before = nn.utils.parameters_to_vector(update.model.parameters()).detach()
    outcome = update.step_on(make_batch(missing=1), 0, 10)
    assert outcome.total == 0
    assert torch.equal(before, nn.utils.parameters_to_vector(update.model.parameters()).detach())


def test_a_non_finite_loss_names_the_sample_and_changes_nothing():
    update = make_update()
    before = nn.utils.parameters_to_vector(update.model.parameters()).detach()
    with pytest.raises(NonFiniteError, match=r"(?s)pair\.contrast.*rank 0: samples \['wave_5'\]"):
        update.step_on(make_batch(nan_at=(5,)), 0, 10)
    assert torch.equal(before, nn.utils.parameters_to_vector(update.model.parameters()).detach())


def test_a_non_finite_gradient_of_a_finite_loss_is_found():
    update = make_update()
    update.model.heads["wave"].register_forward_hook(lambda *args: _BadGradient.apply(args[2]))
    with pytest.raises(NonFiniteError, match=r"non-finite gradient of encoders\.wave"):
        update.step_on(make_batch(), 0, 10)


class _BadGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value):
        return value.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * float("inf")


def test_suspects():
    model = make_update().model
    assert suspects(model, make_batch(nan_at=(2, 6))) == ["wave_2", "wave_6"]
    assert len(suspects(model, make_batch())) == 8  # nobody stands out: the whole batch


def test_accumulation_needs_features():
    with pytest.raises(ConfigError, match="Linear cannot cache features"):
        Update(nn.Linear(1, 1), torch.optim.SGD([torch.zeros(1)]), Constant(),
               Train(epochs=1, accumulate=2), torch.device("cpu"))  # fmt: skip
