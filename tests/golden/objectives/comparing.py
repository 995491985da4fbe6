"""How golden values are compared: absolute error after dividing by max(1, max |reference|)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

Arrays = Mapping[str, np.ndarray]


def leaf(array: np.ndarray) -> Tensor:
    return torch.tensor(array, dtype=torch.float64, requires_grad=True)


def compare(found: Tensor | float, expected: np.ndarray, tolerance: float, name: str) -> None:
    values = found.detach().numpy() if isinstance(found, Tensor) else np.asarray(found)
    assert values.shape == expected.shape, f"{name}: {values.shape}, not {expected.shape}"
    error = np.abs(values - expected).max() / max(1.0, np.abs(expected).max())
    assert error <= tolerance, f"{name}: error {error:.3g} > {tolerance:.3g}"


def compare_gradients(
    loss: Tensor, leaves: Mapping[str, Tensor], arrays: Arrays, tolerance: float
) -> None:
    """`leaves` maps the name of a stored gradient to the input that it is taken by."""
    found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True, retain_graph=True)
    for (name, x), gradient in zip(leaves.items(), found, strict=True):
        gradient = torch.zeros_like(x) if gradient is None else gradient
        compare(gradient, arrays[name], tolerance, name)
