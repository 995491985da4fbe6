"""Prototypes: codes, freezing, the queue, and what an absent sensor changes (nothing)."""

from __future__ import annotations

import pytest
import torch

from sensorfusion.errors import ConfigError
from sensorfusion.objectives.prototypes import Prototypes
from sensorfusion.objectives.sinkhorn import sinkhorn
from tests.objectives.tables import table


def draw(*shape: int) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(*shape, dtype=torch.float64), dim=1)


def make(**settings: object) -> Prototypes:
    torch.manual_seed(1)
    return Prototypes(4, 5, **settings).double()


def loss(term: Prototypes, *args: object) -> torch.Tensor:
    return term(*table(*args), {})["prototypes"]


def test_equals_the_definition() -> None:
    term, x, y = make(), draw(6, 5), draw(6, 5)
    scores = [z @ term.weight.T for z in (x, y)]
    codes = [sinkhorn(s) for s in scores]
    logs = [(s / 0.2).log_softmax(1) for s in scores]
    expected = -((codes[0] * logs[1]).sum(1) + (codes[1] * logs[0]).sum(1)).mean() / 2
    torch.testing.assert_close(loss(term, {"x": x, "y": y}), expected)


def test_absent_is_the_same_as_not_there() -> None:
    x, y = draw(6, 5), draw(6, 5)
    present = torch.tensor([[1, 1]] * 5 + [[0, 0]]).bool()
    masked = loss(make(), {"x": x, "y": y}, present)
    torch.testing.assert_close(masked, loss(make(), {"x": x[:5], "y": y[:5]}))


def test_frozen_prototypes_get_a_zero_gradient_then_a_real_one() -> None:
    term, views = make(frozen_steps=1), {"x": draw(6, 5), "y": draw(6, 5)}
    loss(term, views).backward()
    assert not term.weight.grad.any()
    term.after_step()
    loss(term, views).backward()
    assert term.weight.grad.abs().max() > 1e-3


def test_steps_bring_prototypes_back_to_unit_length() -> None:
    term = make()
    with torch.no_grad():
        term.weight.mul_(3)
    term.after_step()
    torch.testing.assert_close(term.weight.norm(dim=1), torch.ones(4, dtype=torch.float64))


def test_queue_takes_part_in_the_balance() -> None:
    term = make(queue=8, columns=("x", "y"))
    first, second = ({"x": draw(3, 5), "y": draw(3, 5)} for _ in range(2))
    loss(term, first)
    scores = torch.cat([second["x"], first["x"]]) @ term.weight.T
    codes = term._column_codes("x", second["x"], torch.ones(3).bool())
    torch.testing.assert_close(codes, sinkhorn(scores)[:3])
    with pytest.raises(ConfigError, match="columns"):
        make(queue=8)


def test_embeddings_of_another_width_are_refused() -> None:
    with pytest.raises(ConfigError, match="7 wide"):
        loss(make(), {"x": draw(3, 7), "y": draw(3, 7)})
