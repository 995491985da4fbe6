"""What every term promises, checked for every term that is found in the folder."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

import sensorfusion.objectives
from sensorfusion.objectives.term import Term
from tests.contracts.objectives import COLUMNS, SETTINGS, lay_out, moments, select, without
from tests.distributed_pool import run_on_two_ranks

KNOWN = 11  # terms that exist; more may be added, none may get lost


def discovered() -> dict[str, type[Term]]:
    found = {}
    for module in pkgutil.iter_modules(sensorfusion.objectives.__path__):
        loaded = importlib.import_module(f"sensorfusion.objectives.{module.name}")
        for value in vars(loaded).values():
            if isinstance(value, type) and issubclass(value, Term) and value is not Term:
                found[value.__name__] = value
    return found


def test_every_term_is_found_and_has_a_setting() -> None:
    found = discovered()
    assert len(found) >= KNOWN, sorted(found)
    assert set(found) == set(SETTINGS), "give every term a setting in tests/contracts/objectives.py"
    for name, setting in SETTINGS.items():
        assert type(setting.build()) is found[name]


@pytest.fixture(params=sorted(SETTINGS))
def name(request: pytest.FixtureRequest) -> Iterator[str]:
    torch.manual_seed(3)
    return request.param


def build(name: str) -> Term:
    torch.manual_seed(3)
    return SETTINGS[name].build().double()


def total_of(term: Term, arrays, dtype=torch.float64) -> tuple[Tensor, dict[str, Tensor]]:
    inputs, leaves = lay_out(arrays, dtype)
    return torch.stack(list(term(*inputs).values())).sum(), leaves


def gradients(leaves: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k: torch.zeros_like(x) if x.grad is None else x.grad for k, x in leaves.items()}


def test_losses_are_named_finite_scalars_with_gradients(name: str) -> None:
    term = build(name)
    inputs, leaves = lay_out(moments())
    losses = term(*inputs)
    assert losses
    for key, loss in losses.items():
        assert isinstance(key, str)
        assert loss.shape == ()
        assert loss.isfinite()
    torch.stack(list(losses.values())).sum().backward()
    for key in ("camera", "imu"):
        assert leaves[key].grad.isfinite().all()
        assert leaves[key].grad.abs().max() > 1e-6, f"{key} gets no gradient"
    for key, parameter in term.named_parameters():
        assert parameter.grad is not None, f"{key} is unused: ranks would disagree"
        assert parameter.grad.isfinite().all()


@pytest.mark.parametrize("column", COLUMNS[:3])
def test_a_sensor_may_be_missing_everywhere(name: str, column: str) -> None:
    loss, leaves = total_of(build(name), without(moments(), column))
    assert loss.isfinite()
    loss.backward()
    assert all(gradient.isfinite().all() for gradient in gradients(leaves).values())


def test_no_ids_no_loss(name: str) -> None:
    term = build(name)
    loss, _ = total_of(term, moments(0))
    assert loss == 0
    if loss.requires_grad:
        loss.backward()
        assert all(p.grad is None or not p.grad.any() for p in term.parameters())


@pytest.mark.parametrize("everything", [True, False])
def test_a_batch_of_one_is_defined(name: str, everything: bool) -> None:
    arrays = moments(1, seed=4)
    for column in COLUMNS:
        arrays[f"count {column}"][:] = 2 if everything or column == "camera" else 0
    loss, leaves = total_of(build(name), arrays)
    assert loss.isfinite()
    loss.backward()
    assert all(gradient.isfinite().all() for gradient in gradients(leaves).values())


@pytest.mark.parametrize("autocast", [False, True])
def test_half_precision_is_finite_and_close(name: str, autocast: bool) -> None:
    arrays = moments()
    expected, _ = total_of(build(name), arrays)
    term = SETTINGS[name].build()
    term.load_state_dict(build(name).state_dict())
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        loss, leaves = total_of(term, arrays, torch.bfloat16)
    assert loss.dtype in (torch.float32, torch.float64)
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=0.05, abs=0.05)
    loss.backward()
    assert all(gradient.isfinite().all() for gradient in gradients(leaves).values())


def test_same_state_and_input_give_the_same_bits(name: str) -> None:
    first, leaves = total_of(build(name), moments())
    second, others = total_of(build(name), moments())
    assert torch.equal(first, second)
    first.backward()
    second.backward()
    for key, gradient in gradients(leaves).items():
        assert torch.equal(gradient, gradients(others)[key])


def _steps(term: Term, seeds: range) -> list[Tensor]:
    losses = []
    for seed in seeds:
        loss, _ = total_of(term, moments(seed=seed))
        losses.append(loss.detach())
        term.after_step()
    return losses


def test_saved_state_continues_identically(name: str) -> None:
    term = build(name)
    _steps(term, range(3))
    saved = {key: value.clone() for key, value in term.state_dict().items()}
    expected = _steps(term, range(3, 6))
    torch.manual_seed(99)  # whatever a fresh term draws is replaced by the saved state
    resumed = SETTINGS[name].build().double()
    resumed.load_state_dict(saved)
    for loss, wanted in zip(_steps(resumed, range(3, 6)), expected, strict=True):
        assert torch.equal(loss, wanted)


def test_the_order_of_ids_does_not_matter(name: str) -> None:
    if not SETTINGS[name].symmetric:
        pytest.skip("draws by position")
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    arrays = moments()
    loss, leaves = total_of(build(name), arrays)
    permuted, others = total_of(build(name), select(arrays, order))
    assert float(permuted.detach()) == pytest.approx(float(loss.detach()), abs=1e-12)
    loss.backward()
    permuted.backward()
    for key, gradient in gradients(leaves).items():
        torch.testing.assert_close(gradients(others)[key], gradient[order], rtol=0, atol=1e-12)


def test_tokens_of_no_id_do_not_matter(name: str) -> None:
    arrays = moments()
    loss, _ = total_of(build(name), arrays)
    (features, correspondence, targets), _ = lay_out(arrays)
    more = {}
    for key, entry in features.items():
        extra = torch.full((2, entry.tokens.shape[1]), 1e3, dtype=torch.float64)
        more[key] = entry.replace(
            tokens=torch.cat([entry.tokens, extra]),
            item=torch.cat([entry.item, torch.tensor([0, 1])]),
            frame=torch.cat([entry.frame, torch.tensor([0, 0])]),
            valid=torch.cat([entry.valid, torch.tensor([True, True])]),
        )
    losses = build(name)(more, correspondence, targets)
    assert torch.equal(torch.stack(list(losses.values())).sum(), loss)


def test_gradient_equals_finite_differences(name: str) -> None:
    if not SETTINGS[name].differentiable:
        pytest.skip("holds a part constant in its gradient")
    term, arrays = build(name).eval(), moments(4, seed=1)
    loss, leaves = total_of(term, arrays)
    loss.backward()
    generator = torch.Generator().manual_seed(0)
    for key in ("camera", "lidar", "imu"):
        step = torch.randn(leaves[key].shape, generator=generator, dtype=torch.float64)
        ahead, behind = (
            total_of(term, {**arrays, f"tokens {key}": arrays[f"tokens {key}"] + h * step})[0]
            for h in (1e-6, -1e-6)
        )
        expected = float((ahead - behind).detach()) / 2e-6
        found = float((gradients(leaves)[key] * step).sum())
        assert found == pytest.approx(expected, abs=1e-7, rel=1e-6), key


def _on_a_rank(name: str, arrays: dict[str, np.ndarray]) -> dict[str, object]:
    term = build(name)
    tensors = {key: torch.tensor(value) for key, value in arrays.items()}
    losses = []
    for _ in range(2):  # the second step sees the state that the first one left
        loss, leaves = total_of(term, tensors)
        losses.append(loss.item())
        term.zero_grad()
        if loss.requires_grad:  # not so on a rank without any reading, for terms that need no
            loss.backward()  # help of others in the backward
        term.after_step()
    return {
        "losses": losses,
        "inputs": gradients(leaves),
        "parameters": {
            key: torch.zeros_like(p) if p.grad is None else p.grad
            for key, p in term.named_parameters()
        },
        "state": dict(term.state_dict()),
    }


@pytest.mark.parametrize("split", [3, 1, 0])
def test_two_ranks_equal_one(name: str, split: int) -> None:
    arrays = {key: value.numpy() for key, value in without_on_second(moments(), split).items()}
    whole = _on_a_rank(name, arrays)
    parts = (slice(0, split), slice(split, None))
    halves = [{key: value[part] for key, value in arrays.items()} for part in parts]
    ranks = run_on_two_ranks(_on_a_rank, [(name, half) for half in halves])
    for result in ranks:
        assert result["losses"] == pytest.approx(whole["losses"], abs=1e-12, rel=1e-12)
        for key, value in whole["state"].items():
            np.testing.assert_allclose(result["state"][key], value, atol=1e-12, err_msg=key)
    for key, expected in whole["inputs"].items():
        found = np.concatenate([result["inputs"][key] for result in ranks])
        np.testing.assert_allclose(found, expected, atol=1e-12, err_msg=key)
    for key, expected in whole["parameters"].items():
        found = sum(result["parameters"][key] for result in ranks)
        np.testing.assert_allclose(found, expected, atol=1e-12, err_msg=key)


def without_on_second(arrays, split: int):
    """One sensor is missing on the second rank, where it then needs no gradient."""
    if split:
        arrays["count imu"][split:] = 0
    return arrays
