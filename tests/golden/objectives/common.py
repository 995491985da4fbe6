"""What the checks of all entries share: arrays to features, terms to values and gradients."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from sensorfusion.objectives.term import Term
from sensorfusion.sample import Correspondence, Features


def leaf(array: np.ndarray) -> Tensor:
    """A float64 tensor that collects a gradient."""
    return torch.from_numpy(np.array(array, dtype=np.float64)).requires_grad_()


def constant(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float64))


def streams(
    columns: Mapping[str, Tensor],
    ids: Mapping[str, Tensor] | None = None,
    valid: Mapping[str, Tensor] | None = None,
) -> tuple[dict[str, Features], Correspondence]:
    """One token per id and column; `ids` for columns that do not list all ids in order."""
    ids = dict(ids or {})
    size = 1 + max(
        int(ids[name].max()) if name in ids else len(tokens) - 1 for name, tokens in columns.items()
    )
    features, all_ids, all_tokens = {}, [], []
    for name, tokens in columns.items():
        own = ids.get(name, torch.arange(len(tokens)))
        features[name] = Features(
            tokens, own, torch.zeros_like(own), size, torch.ones_like(own, dtype=torch.bool)
        )
        kept = torch.arange(len(tokens)) if valid is None or name not in valid else valid[name]
        all_ids.append(own[kept])
        all_tokens.append(kept)
    correspondence = Correspondence(
        tuple(columns),
        tuple(all_ids),
        tuple(all_tokens),
        size,
        torch.arange(size),
        torch.ones(size, dtype=torch.float64),
    )
    return features, correspondence


def loss_of(
    term: Term, columns: Mapping[str, Tensor], targets: Mapping[str, Tensor] | None = None, **kw
) -> Tensor:
    """The term's loss in float64."""
    features, correspondence = streams(columns, **kw)
    return torch.stack(list(term.double()(features, correspondence, targets or {}).values())).sum()


def gradients(loss: Tensor, *inputs: Tensor) -> list[Tensor]:
    found = torch.autograd.grad(loss, inputs, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for x, g in zip(inputs, found, strict=True)]


def assert_close(found: Tensor | float, expected: np.ndarray, tolerance: float, what: str) -> None:
    """Absolute error after division by max(1, max |expected|), as the manifest defines it."""
    expected = np.asarray(expected, dtype=np.float64)
    value = np.asarray(torch.as_tensor(found).detach().double())
    assert value.shape == expected.shape, f"{what}: shape {value.shape}, expected {expected.shape}"
    error = np.abs(value - expected).max() / max(1.0, np.abs(expected).max())
    assert error <= tolerance, f"{what}: off by {error:.3g}, tolerance {tolerance:.3g}"


def assert_gradients(
    loss: Tensor, inputs: Mapping[str, Tensor], arrays: Mapping[str, np.ndarray], tolerance: float
) -> None:
    """`inputs`: name of the recorded gradient -> the input that it belongs to."""
    found = torch.autograd.grad(loss, list(inputs.values()), allow_unused=True, retain_graph=True)
    for (name, x), gradient in zip(inputs.items(), found, strict=True):
        value = torch.zeros_like(x) if gradient is None else gradient
        assert_close(value, arrays[name], tolerance, name)
