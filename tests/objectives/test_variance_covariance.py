"""Statistics against torch's own, and who counts as one distribution."""

from __future__ import annotations

import torch

from sensorfusion.objectives.variance_covariance import VarianceCovariance, covariance_over_ranks
from tests.objectives.tables import table


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def test_covariance_equals_torch() -> None:
    rows = draw(9, 4)
    torch.testing.assert_close(covariance_over_ranks(rows), torch.cov(rows.T))
    assert covariance_over_ranks(rows[:1]) is None


def test_columns_of_one_stream_are_one_distribution() -> None:
    a, b = draw(5, 4), draw(5, 4) + 2
    term = VarianceCovariance(0, 1, 1, target=5)
    joined = term(*table({"a": a, "b": b}, streams={"a": "imu", "b": "imu"}), {})
    whole = term(*table({"imu": torch.cat([a, b])}), {})
    for name in ("variance", "covariance"):
        torch.testing.assert_close(joined[name], whole[name])
    apart = term(*table({"a": a, "b": b}), {})
    assert apart["variance"] > joined["variance"]


def test_spread_embeddings_have_no_variance_loss_and_unit_ones_must() -> None:
    z = 10 * draw(50, 6)
    assert VarianceCovariance()(*table({"z": z}), {})["variance"] == 0
    unit = VarianceCovariance(unit_length=True)(*table({"z": z}), {})
    assert unit["variance"] > 25 * (1 - 6**-0.5) * 0.9


def test_uncorrelated_coordinates_have_no_covariance_loss() -> None:
    z = torch.linalg.qr(draw(8, 8) - draw(8, 8).mean(0))[0]
    z = z - z.mean(0)
    z = torch.linalg.svd(z, full_matrices=False)[0][:, :5]
    z = z - z.mean(0)
    loss = VarianceCovariance()(*table({"z": z}), {})["covariance"]
    assert loss < 1e-20
