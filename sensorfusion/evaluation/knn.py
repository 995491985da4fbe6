"""Nearest-neighbour classification of frozen features."""

from __future__ import annotations

import torch
from torch import Tensor

from sensorfusion.errors import ConfigError, DataError
from sensorfusion.evaluation.embed import Embeddings
from sensorfusion.evaluation.probe import require_known_classes


def knn_predict(
    train: Embeddings,
    test: Embeddings,
    *,
    label: str = "action",
    k: int = 20,
    temperature: float = 0.07,
    chunk: int = 1024,
) -> Tensor:
    """Labels int64 [n] by a weighted vote of the k most similar training samples.

    A neighbour of similarity s votes with exp(s / temperature) for its class (Wu et al. 2018,
    "Unsupervised feature learning via non-parametric instance discrimination", section 3.4).
    The similarity of two samples is the mean cosine over the sensors that both have; pairs
    that share no sensor are no neighbours. A sample without any neighbour gets the most
    frequent training class. k is lowered to the size of the training set; equal similarities
    rank by position in the training set, equal votes by label.

    Raises:
        DataError: an empty set, or a class of the test set that the training set lacks.
    """
    if k < 1 or temperature <= 0:
        raise ConfigError(f"k = {k}, temperature = {temperature}; both must be positive")
    if not len(train) or not len(test):
        raise DataError("the training or test set is empty", remedy="check the split's subjects")
    classes, targets = torch.unique(train.label(label), return_inverse=True)
    require_known_classes(classes, test.label(label), "the test set")
    prior = torch.bincount(targets, minlength=len(classes)).double()
    predictions = []
    for rows in torch.split(torch.arange(len(test)), chunk):
        similarity = joint_cosine(test.select(rows), train)
        # A stable sort makes equal similarities rank the same on every machine.
        order = similarity.argsort(dim=1, descending=True, stable=True)[:, : min(k, len(train))]
        near = similarity.gather(1, order)
        weights = ((near - near[:, :1]) / temperature).exp().nan_to_num(nan=0.0)
        votes = torch.zeros(len(rows), len(classes), dtype=torch.float64)
        votes.scatter_add_(1, targets[order], weights)
        alone = near[:, 0].isneginf()
        votes[alone] = prior
        predictions.append(classes[votes.argmax(dim=1)])
    return torch.cat(predictions)


def joint_cosine(first: Embeddings, second: Embeddings) -> Tensor:
    """Mean cosine over shared sensors, float64 [n, m]; -inf where no sensor is shared."""
    if set(first.sensors) != set(second.sensors):
        raise ConfigError(
            f"sensors differ: {sorted(first.sensors)} and {sorted(second.sensors)}",
            remedy="embed both sets with the same encoders",
        )
    total = torch.zeros(len(first), len(second), dtype=torch.float64)
    shared = torch.zeros_like(total)
    for name in first.sensors:
        both = first.present[name][:, None] & second.present[name][None, :]
        cosine = unit_rows(first.features[name]) @ unit_rows(second.features[name]).T
        total += torch.where(both, cosine, 0.0)
        shared += both
    return torch.where(shared > 0, total / shared.clamp(min=1), -torch.inf)


def unit_rows(values_nD: Tensor) -> Tensor:
    """Rows scaled to unit length, float64; a zero row stays zero."""
    return torch.nn.functional.normalize(values_nD.double(), dim=1)
