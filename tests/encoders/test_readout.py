"""Tokens over time and their positions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sensorfusion.encoders.readout import read_out, width_of
from sensorfusion.errors import ConfigError
from sensorfusion.geometry.clock import Clock, ClockKind
from sensorfusion.sample import SensorBatch


def packed(*clocks: Clock, readings: int = 2) -> SensorBatch:
    return SensorBatch(torch.ones(readings, 1, dtype=torch.bool), clocks=clocks)


def positions(batch: SensorBatch, steps: int, rows: tuple[int, float, float]) -> torch.Tensor:
    grid = torch.randn(len(batch), 3, steps, dtype=torch.float64)
    return read_out(grid, batch, "steps", rows=rows).positions.view(len(batch), steps)


def test_rows_are_spread_evenly_without_clocks() -> None:
    found = positions(packed(), 3, (11, 1.0, 4.0))
    torch.testing.assert_close(found, torch.tensor([[0.1, 0.5, 0.9]] * 2, dtype=torch.float64))


def test_a_fraction_clock_is_taken_as_it_is() -> None:
    cropped = Clock(ClockKind.FRACTION, np.linspace(0.2, 0.7, 11))
    found = positions(packed(cropped, Clock.fraction(11)), 3, (11, 0.0, 5.0))
    expected = torch.tensor([[0.2, 0.45, 0.7], [0.0, 0.5, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(found, expected)


def test_other_clocks_become_fractions_of_the_reading() -> None:
    seconds = Clock(ClockKind.RELATIVE, np.array([3.0, 4.0, 8.0]))
    start = 1_700_000_000_000_000_000
    nanoseconds = Clock(ClockKind.ABSOLUTE, start + np.array([0, 1, 5]))
    found = positions(packed(seconds, nanoseconds), 3, (3, 0.0, 1.0))
    torch.testing.assert_close(found, torch.tensor([[0, 0.2, 1]] * 2, dtype=torch.float64))
    standing = Clock(ClockKind.RELATIVE, np.zeros(3))
    assert not positions(packed(standing, readings=1), 3, (3, 0.0, 1.0)).any()


def test_steps_beyond_the_ends_stay_in_the_clip() -> None:
    found = positions(packed(readings=1), 4, (5, -2.0, 3.0))
    torch.testing.assert_close(found, torch.tensor([[0, 0.25, 1, 1]], dtype=torch.float64))


def test_grids_with_a_height() -> None:
    grid = torch.randn(2, 3, 4, 5)
    steps = read_out(grid, packed(), "steps", rows=(5, 0.0, 1.0))
    torch.testing.assert_close(steps.tokens.view(2, 5, 3), grid.mean(2).transpose(1, 2))
    mean = read_out(grid, packed(), "mean", rows=(5, 0.0, 1.0))
    torch.testing.assert_close(mean.tokens, grid.mean((2, 3)))
    flat = read_out(grid, packed(), "flatten", rows=(5, 0.0, 1.0))
    assert flat.tokens.shape[1] == width_of("flatten", 3, 20)
    assert torch.equal(flat.tokens, grid.flatten(1))


def test_unknown_readout() -> None:
    with pytest.raises(ConfigError, match="magic"):
        width_of("magic", 3, 4)
