import numpy as np
import pytest
import torch

from sensorfusion.errors import ConfigError, DataError
from sensorfusion.evaluation.retrieval import (
    Standing,
    fit_alignment,
    rank_dispersion,
    retrieve,
    standing,
)

from .synthetic import embeddings


def circle(degrees):
    angles = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def test_constructed_similarities():
    # Query 0 is nearest to its own match; query 1 has one candidate in front, query 2 has two.
    queries, gallery = circle([0.0, 50.0, 10.0]), circle([1.0, 90.0, 170.0])
    data = embeddings({"imu": queries, "skeleton": gallery}, [0, 0, 0])
    found = retrieve(data, "imu", "skeleton", ks=(1, 2, 3))
    # 50 degrees: 40 away from its match at 90, 49 from the one at 1.
    assert found.recall == {1: pytest.approx(2 / 3), 2: pytest.approx(2 / 3), 3: 1.0}
    assert found.median_rank == 1
    assert found.mean_rank == pytest.approx(5 / 3)
    assert found.hits.tolist() == [1, 1, 0]
    # The other direction is another question: 170 degrees is nearest to 50, then 10.
    back = retrieve(data, "skeleton", "imu", ks=(1, 2, 3))
    assert back.recall == {1: pytest.approx(2 / 3), 2: 1.0, 3: 1.0}
    assert back.mean_rank == pytest.approx(4 / 3)


def test_agrees_with_brute_force_in_numpy():
    draw = np.random.default_rng(0)
    first = draw.normal(size=(50, 6))
    second = first + draw.normal(size=(50, 6))
    normal = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (first, second)]
    similarity = normal[0] @ normal[1].T
    ranks = np.array([1 + (similarity[i] > similarity[i, i]).sum() for i in range(50)])
    first_t, second_t = torch.from_numpy(first), torch.from_numpy(second)
    found = standing(first_t, second_t, torch.arange(50), chunk=7)
    np.testing.assert_array_equal(found.ranks("expected").numpy(), ranks)
    data = embeddings({"imu": first_t, "skeleton": second_t}, np.zeros(50))
    scores = retrieve(data, "imu", "skeleton")
    for k in (1, 5, 10):
        assert scores.recall[k] == pytest.approx((ranks <= k).mean())
    assert scores.median_rank == np.median(ranks)


def test_collapsed_features_score_as_chance_or_zero():
    n = 20
    data = embeddings({"imu": torch.ones(n, 3), "skeleton": torch.ones(n, 3)}, np.zeros(n))
    expected = retrieve(data, "imu", "skeleton", ties="expected")
    assert expected.recall == {k: pytest.approx(k / n) for k in (1, 5, 10)}
    assert expected.median_rank == (n + 1) / 2
    pessimistic = retrieve(data, "imu", "skeleton", ties="pessimistic")
    assert pessimistic.recall == {1: 0, 5: 0, 10: 0}
    assert pessimistic.median_rank == n


def test_expected_recall_equals_the_mean_over_random_orders():
    found = Standing(torch.tensor([0, 1, 4]), torch.tensor([3, 2, 0]), 9)
    draw = np.random.default_rng(0)
    for k in (1, 2, 5):
        ranks = found.greater.numpy() + 1 + draw.integers(0, found.equal.numpy() + 1, (20000, 3))
        np.testing.assert_allclose(found.recall(k, "expected"), (ranks <= k).mean(0), atol=0.015)
    np.testing.assert_allclose(
        found.ranks("expected"),
        (found.greater.numpy() + 1 + draw.integers(0, found.equal.numpy() + 1, (20000, 3))).mean(0),
        atol=0.03,
    )


def test_samples_lacking_a_sensor_take_no_part():
    values = torch.eye(6)
    masks = {"imu": torch.arange(6) != 2, "skeleton": torch.arange(6) != 4}
    data = embeddings({"imu": values, "skeleton": values}, np.zeros(6), present=masks)
    found = retrieve(data, "imu", "skeleton")
    assert (found.queries, found.candidates, found.recall[1]) == (4, 4, 1.0)
    assert found.rows.tolist() == [0, 1, 3, 5]


def test_rank_dispersion_variance_and_deviation():
    # Ranks of the camera per sensor: moment 0: 1 and 3; moments 1 and 2: equal ranks.
    camera = circle([0.0, 60.0, 120.0])
    data = embeddings(
        {
            "camera": camera,
            "imu": circle([0.0, 60.0, 120.0]),
            "skeleton": circle([100.0, 60.0, 120.0]),
        },
        [0, 0, 0],
    )
    found = rank_dispersion(data, "camera", ("imu", "skeleton"))
    assert found.variance == pytest.approx((1 + 0 + 0) / 3)
    assert found.standard_deviation == pytest.approx((1 + 0 + 0) / 3)
    wide = rank_dispersion(data, "camera", ("imu", "imu", "skeleton"))
    ranks = np.array([[1, 1, 3], [1, 1, 1], [1, 1, 1]])
    assert wide.variance == pytest.approx(ranks.var(1).mean())
    assert wide.standard_deviation == pytest.approx(ranks.std(1).mean())
    with pytest.raises(ConfigError, match="rank dispersion"):
        rank_dispersion(data, "camera", ("imu",))
    with pytest.raises(ConfigError, match="rank dispersion"):
        rank_dispersion(data, "camera", ("camera", "imu"))


def test_alignment_finds_the_common_part_and_generalises():
    draw = torch.Generator().manual_seed(0)
    common = torch.randn(400, 8, generator=draw)
    first = torch.cat([common, torch.randn(400, 4, generator=draw)], 1)
    second = torch.cat([torch.randn(400, 2, generator=draw), common], 1)
    first = first @ torch.randn(12, 12, generator=draw)
    second = second @ torch.randn(10, 10, generator=draw) + 9
    data = embeddings({"imu": first, "skeleton": second}, np.zeros(400))
    train, test = data.select(range(300)), data.select(range(300, 400))
    aligned = fit_alignment(train, "imu", "skeleton", ridge=1e-6)(test)
    assert retrieve(aligned, "imu", "skeleton").recall[1] > 0.95
    # Unrelated features stay at chance on samples that the alignment has not seen.
    shuffled = embeddings(
        {"imu": first, "skeleton": second[torch.randperm(400, generator=draw)]}, np.zeros(400)
    )
    train, test = shuffled.select(range(300)), shuffled.select(range(300, 400))
    aligned = fit_alignment(train, "imu", "skeleton")(test)
    assert retrieve(aligned, "imu", "skeleton").recall[1] < 0.06


def test_bad_input():
    data = embeddings({"imu": torch.eye(3), "skeleton": torch.eye(3)[:, :2]}, [0, 1, 2])
    with pytest.raises(ConfigError, match="widths 3 and 2"):
        retrieve(data, "imu", "skeleton")
    with pytest.raises(ConfigError, match="radar"):
        retrieve(data, "imu", "radar")
    masks = {"imu": torch.tensor([True, False, False])}
    masks["skeleton"] = ~masks["imu"]
    apart = embeddings({"imu": torch.eye(3), "skeleton": torch.eye(3)}, [0, 1, 2], present=masks)
    with pytest.raises(DataError, match="no sample has both"):
        retrieve(apart, "imu", "skeleton")
    with pytest.raises(DataError, match="0 training samples"):
        fit_alignment(apart, "imu", "skeleton")
