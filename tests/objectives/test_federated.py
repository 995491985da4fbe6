"""Aggregation of clients, and distillation of what they agreed on."""

from __future__ import annotations

import pytest
import torch

from sensorfusion.errors import ConfigError
from sensorfusion.objectives.federated import PublicDistillation, aggregate
from tests.objectives.tables import table


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def test_equal_clients_weigh_the_same_and_chunks_change_nothing() -> None:
    client, other = draw(6, 4), draw(6, 4)
    mean, weights = aggregate(torch.stack([client, client]), other)
    torch.testing.assert_close(mean, client)
    torch.testing.assert_close(weights, torch.full((2, 6), 0.5, dtype=torch.float64))
    clients = draw(3, 6, 4)
    for whole, cut in zip(
        aggregate(clients, other), aggregate(clients, other, chunk=7), strict=True
    ):
        torch.testing.assert_close(cut, whole)


def test_the_client_that_recognises_its_partners_wins_without_overflow() -> None:
    other = 100 * torch.eye(5, dtype=torch.float64)
    good, bad = other.clone(), other.roll(1, 0)
    clients = torch.stack([bad, good])
    before = clients.clone()
    found, weights = aggregate(clients, other)
    torch.testing.assert_close(found, good)
    torch.testing.assert_close(weights[1], torch.ones(5, dtype=torch.float64))
    assert torch.equal(clients, before)


def test_distillation_finds_rows_by_position() -> None:
    public = draw(9, 4)
    term = PublicDistillation(9, 4, ("imu",)).double()
    term.set_table("imu", public)
    index = torch.tensor([7, 0, 3])
    assert term(*table({"imu": public[index]}), {"index": index})["distillation"] == 0
    shifted = term(*table({"imu": public[index] + 2}), {"index": index})["distillation"]
    torch.testing.assert_close(shifted, torch.tensor(4.0, dtype=torch.float64))
    with pytest.raises(ConfigError, match="camera"):
        term.set_table("camera", public)
