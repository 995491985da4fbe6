"""Sensors of one encoder in a single call give what they give one by one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from sensorfusion.collate import collate
from sensorfusion.encoders.imu_residual import ImuResidual
from sensorfusion.errors import ConfigError, DataError, UnitError
from sensorfusion.geometry.clock import Clock, ClockKind
from sensorfusion.model import Pretrainer
from sensorfusion.sample import Batch, Features, Frame, Sample
from sensorfusion.together import split, stack
from tests.encoder_cases import ENCODERS, build_small, reading
from tests.test_model import EVERYTHING, batch, model

FIELDS = ("tokens", "item", "frame", "valid", "positions", "grid", "weight")


def three(kind, **changes) -> Batch:
    """Sensors a, b and c over three samples of two frames; each is missing somewhere."""
    presence = (("a", "b"), ("b",)), (("c",), ("a",)), (("b",), ())
    samples = [
        Sample(
            id=str(b),
            frames=tuple(
                Frame(
                    {
                        n: reading(kind, 10 * b + f + ord(n), **(changes if n == "b" else {}))
                        for n in names
                    }
                )
                for f, names in enumerate(frames)
            ),
        )
        for b, frames in enumerate(presence)
    ]
    return collate(samples)


def given(whole: Batch) -> dict:
    return {name: whole[name] for name in ("a", "b", "c", "nowhere")}


@pytest.mark.parametrize("kind", ENCODERS)
def test_features_are_those_of_single_calls(kind) -> None:
    encoder, sensors = build_small(kind).eval(), given(three(kind))
    with torch.no_grad():
        found = split(encoder(stack(sensors)), sensors)
        assert len(found["nowhere"]) == 0
        for name in ("a", "b", "c"):
            alone = encoder(sensors[name])
            assert found[name].size == alone.size
            for field in FIELDS:
                one, other = getattr(found[name], field), getattr(alone, field)
                assert (one is None) == (other is None), field
                if one is not None:
                    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5, msg=field)


def test_tokens_that_are_out_of_order_find_their_sensor() -> None:
    sensors = given(three(ImuResidual))
    whole = stack(sensors)
    item = whole.item.flip(0)
    tokens = item[:, None] * 1.0
    mixed = Features(tokens, item, whole.frame.flip(0), len(whole.present), item >= 0)
    found = split(mixed, sensors)
    for s, (name, batch_of) in enumerate(sensors.items()):
        assert sorted(found[name].item.tolist()) == batch_of.item.tolist()
        assert (found[name].tokens[:, 0] == found[name].item + s * found[name].size).all()


def test_gradients_and_losses_of_the_model_are_the_same() -> None:
    """In evaluation mode: in training, batch norms see all sensors at once."""
    data = batch(EVERYTHING, ("imu",), ("imu_view2", "skeleton"))
    torch.manual_seed(0)
    apart = model().eval()
    joined = model(together=("imu",)).eval()
    joined.load_state_dict(apart.state_dict())
    values = [whole(data) for whole in (apart, joined)]
    for name, loss in values[0].items():
        torch.testing.assert_close(loss, values[1][name])
    for losses in values:
        torch.stack(list(losses.values())).sum().backward()
    for one, other in zip(apart.parameters(), joined.parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None)
        if one.grad is not None:
            torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-6)


def test_batch_norms_see_all_sensors_at_once() -> None:
    both, one = {"a": "wave", "b": "wave"}, {"a": "wave"}
    sample = Sample("0", (Frame({name: reading(ImuResidual, 1) for name in "ab"}),))
    steps = {}
    for together, sensors in ((("wave",), both), ((), both), ((), one)):
        torch.manual_seed(0)
        encoder = build_small(ImuResidual)
        Pretrainer({"wave": encoder}, sensors, {}, together=together).train().encode(
            collate([sample, sample])
        )
        steps[together, len(sensors)] = next(
            int(m.num_batches_tracked) for m in encoder.modules() if hasattr(m, "running_mean")
        )
    assert steps == {(("wave",), 2): 1, ((), 2): 2, ((), 1): 1}


def test_what_cannot_be_one_batch_is_named() -> None:
    with pytest.raises(UnitError, match=r"'a' and 'b' differ in unit"):
        stack(given(three(ImuResidual, unit="g, deg/s")))
    later = reading(ImuResidual, 0).replace(clock=Clock(ClockKind.RELATIVE, np.arange(50) / 50))
    clocks = collate([Sample("0", (Frame({"a": reading(ImuResidual, 0), "b": later}),))])
    with pytest.raises(UnitError, match=r"'a' and 'b' differ in clock"):
        stack({name: clocks[name] for name in ("a", "b")})
    other = {"a": collate([Sample("0", (Frame({"a": reading(ImuResidual, 0)}),))])["a"]}
    short = other["a"].values["acceleration"][:, :10]
    cut = {"b": dataclasses.replace(other["a"], values={"acceleration": short})}
    with pytest.raises(DataError, match=r"acceleration has the shapes"):
        stack(other | cut)
    with pytest.raises(ConfigError, match="together 'camera'"):
        model(together=("camera",))
    with pytest.raises(ConfigError, match="together 'skeleton'"):
        model(sensors={"imu": "imu"}, together=("skeleton",))
