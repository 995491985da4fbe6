"""Few labels: nested subsets of the training set, a fraction of every class."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from sensorfusion.errors import ConfigError, DataError
from sensorfusion.evaluation.embed import generator

FRACTIONS = (0.01, 0.02, 0.05, 0.10, 0.25, 0.50)


def nested_subsets(
    labels_n: Tensor, fractions: Sequence[float] = FRACTIONS, *, seed: int = 0
) -> dict[float, Tensor]:
    """Rows of the training set per fraction: int64, ascending.

    Of a class with m samples, round(fraction * m) are taken, halves upwards, but at least one
    (the protocol of CMC-CMKM's limited-label runs). The subsets of one seed are nested: a larger
    fraction holds all rows of a smaller one. Rows stand for whole samples, so that every
    sensor sees the same subset. Fractions that are small against the class size coincide.

    Raises:
        ConfigError: a fraction outside (0, 1]. DataError: no samples.
    """
    wrong = [fraction for fraction in fractions if not 0 < fraction <= 1]
    if wrong:
        raise ConfigError(f"label fractions {wrong} are not in (0, 1]", remedy="1 % is 0.01")
    if not len(labels_n):
        raise DataError("no samples to take label fractions of", remedy="check the split")
    taken: dict[float, list[Tensor]] = {fraction: [] for fraction in fractions}
    for label in torch.unique(labels_n).tolist():
        rows = (labels_n == label).nonzero()[:, 0]
        order = torch.from_numpy(generator(seed, label).permutation(len(rows)))
        for fraction in fractions:
            count = max(1, math.floor(fraction * len(rows) + 0.5))
            taken[fraction].append(rows[order[:count]])
    return {fraction: torch.cat(parts).sort().values for fraction, parts in taken.items()}
