"""The coding rate against eigenvalues, and which columns are compared."""

from __future__ import annotations

import pytest
import torch

from sensorfusion.errors import ConfigError
from sensorfusion.objectives.coding_rate import CodingRate, coding_rate
from tests.objectives.tables import table


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("rows", [3, 20])
def test_rate_equals_eigenvalues(rows: int) -> None:
    z = draw(rows, 6)
    eigenvalues = torch.linalg.eigvalsh(z.T @ z)
    expected = torch.log1p(6 / (rows * 0.3) * eigenvalues).sum() / 2
    torch.testing.assert_close(coding_rate(z.T @ z, rows, 0.3), expected)


def test_spreading_lowers_the_loss_and_collapse_raises_it() -> None:
    spread = torch.eye(6, dtype=torch.float64)
    collapsed = spread[:1].expand(6, 6)
    term = CodingRate(self_taught=True)
    losses = [term(*table({"a": z, "b": z}), {}) for z in (spread, collapsed)]
    assert losses[0]["expansion"] < losses[1]["expansion"]
    torch.testing.assert_close(losses[0]["compression"], losses[1]["compression"])


def test_a_view_is_not_compared_with_its_own_teacher() -> None:
    views = {"a": draw(5, 4), "b": draw(5, 4), "teacher.a": draw(5, 4)}
    loss = CodingRate()(*table(views), {})["compression"]
    a = torch.nn.functional.cosine_similarity(views["teacher.a"], views["b"]).mean()
    torch.testing.assert_close(loss, -a)


def test_no_teacher_is_an_error_that_names_the_columns() -> None:
    with pytest.raises(ConfigError, match="teacher"):
        CodingRate()(*table({"a": draw(3, 4), "b": draw(3, 4)}), {})
