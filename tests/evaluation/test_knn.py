import numpy as np
import pytest
import torch

from sensorfusion.errors import ConfigError, DataError
from sensorfusion.evaluation.knn import joint_cosine, knn_predict

from .synthetic import embeddings, separable


def brute_force(train, train_labels, test, k, temperature):
    predicted = []
    for row in test:
        similarity = [row @ other / np.linalg.norm(row) / np.linalg.norm(other) for other in train]
        votes = np.zeros(train_labels.max() + 1)
        for j in np.argsort(-np.array(similarity), kind="stable")[:k]:
            votes[train_labels[j]] += np.exp(similarity[j] / temperature)
        predicted.append(votes.argmax())
    return np.array(predicted)


@pytest.mark.parametrize(("k", "temperature"), [(1, 0.07), (5, 0.07), (20, 0.5), (80, 1.0)])
def test_agrees_with_brute_force(k, temperature):
    draw = np.random.default_rng(k)
    train, test = draw.normal(size=(80, 5)), draw.normal(size=(40, 5))
    labels = np.concatenate([np.arange(4), draw.integers(4, size=76)])
    predicted = knn_predict(
        embeddings({"imu": torch.from_numpy(train)}, labels),
        embeddings({"imu": torch.from_numpy(test)}, np.zeros(40)),
        k=k,
        temperature=temperature,
        chunk=7,
    )
    expected = brute_force(
        train.astype(np.float32).astype(float), labels, test.astype(np.float32), k, temperature
    )
    np.testing.assert_array_equal(predicted.numpy(), expected)


def test_small_temperature_does_not_overflow():
    train, test = separable(), separable(seed=1)
    predicted = knn_predict(train, test, temperature=1e-4)
    assert torch.equal(predicted, test.label("action"))


def test_similarity_is_the_mean_over_shared_sensors():
    first = embeddings(
        {"imu": torch.tensor([[1.0, 0], [1, 0], [1, 0]]), "skeleton": torch.tensor([[2.0]] * 3)},
        [0, 0, 0],
        present={
            "imu": torch.tensor([True, True, False]),
            "skeleton": torch.tensor([True, False, False]),
        },
    )
    second = embeddings({"imu": torch.tensor([[0.0, 3]]), "skeleton": torch.tensor([[5.0]])}, [0])
    assert joint_cosine(first, second)[:, 0].tolist() == [0.5, 0.0, -torch.inf]


def test_a_sample_without_neighbours_gets_the_most_frequent_class():
    train = embeddings({"imu": torch.eye(4)}, [5, 8, 8, 9])
    test = embeddings({"imu": torch.eye(4)[:2]}, [9, 5], present={"imu": torch.tensor([0, 1]) > 0})
    # The second sample is its own nearest neighbour's class; k exceeds the training set.
    assert knn_predict(train, test, k=20, temperature=0.01).tolist() == [8, 8]
    assert knn_predict(train, train, k=1).tolist() == [5, 8, 8, 9]


def test_partly_missing_neighbours_have_no_vote():
    mask = torch.tensor([True, False, False])
    train = embeddings({"imu": torch.ones(3, 2)}, [3, 4, 4], present={"imu": mask})
    test = embeddings({"imu": torch.ones(1, 2)}, [3])
    assert knn_predict(train, test, k=3).tolist() == [3]


def test_bad_input():
    data = separable()
    with pytest.raises(DataError, match="empty"):
        knn_predict(data, data.select([]))
    with pytest.raises(DataError, match=r"classes \[1\]"):
        knn_predict(data.select(data.label("action") != 1), data)
    with pytest.raises(ConfigError, match="sensors differ"):
        knn_predict(data, data.keep("imu"))
    with pytest.raises(ConfigError, match="k = 0"):
        knn_predict(data, data, k=0)
