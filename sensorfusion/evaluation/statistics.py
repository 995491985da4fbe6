"""How sure a number is: spread over seeds, and intervals for clips that come by subject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sensorfusion.errors import DataError
from sensorfusion.evaluation.embed import generator

Values = npt.NDArray[np.float64]
Clusters = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Summary:
    """Mean and standard deviation (n - 1; None for a single value) of `count` values."""

    mean: float
    deviation: float | None
    count: int


@dataclass(frozen=True)
class Interval:
    """An estimate with a confidence interval.

    Args:
        estimate: the mean of the data. low, high: bounds. level: e.g. 0.95.
        clusters: number of subjects. clips: number of clips.
    """

    estimate: float
    low: float
    high: float
    level: float
    clusters: int
    clips: int


def summarise(values: Sequence[float]) -> Summary:
    """Mean and standard deviation over seeds."""
    if not values:
        raise DataError("no values to summarise", remedy="run at least one seed")
    array = np.asarray(values, dtype=np.float64)
    deviation = float(array.std(ddof=1)) if len(array) > 1 else None
    return Summary(float(array.mean()), deviation, len(array))


def clustered_bootstrap(
    values: npt.ArrayLike,
    subjects: npt.ArrayLike,
    *,
    level: float = 0.95,
    draws: int = 4000,
    seed: int = 0,
) -> Interval:
    """Percentile interval of a mean over clips that belong to subjects.

    Two-stage bootstrap (Davison and Hinkley 1997, section 3.8): each draw takes as many subjects
    as there are, with replacement, and from each as many of its clips as it has, with
    replacement; its statistic is the mean over all clips taken.

    It speaks of new clips of new subjects, at fixed seeds: values of several seeds are averaged
    per clip first. Few subjects make it too narrow where they differ much: on simulated
    accuracies around 80 % (50 clips a subject) its 95 % interval held the truth in 97, 93 and
    82 % of trials with 4 subjects whose log-odds deviate by 0, 0.5 and 1.0, and in 96 % with
    20 subjects at 0.5.

    Args:
        values: one value per clip [n], e.g. 1.0 where it was classified rightly, or [seeds, n].
        subjects: the subject of each clip [n].

    Raises:
        DataError: no clips, or values and subjects of different lengths.
    """
    values_n, subjects_n = _checked(values, subjects)
    means = _draw_means(values_n, subjects_n, draws, seed)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    clusters = len(np.unique(subjects_n))
    return Interval(float(values_n.mean()), float(low), float(high), level, clusters, len(values_n))


def paired_difference(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    subjects: npt.ArrayLike,
    *,
    level: float = 0.95,
    draws: int = 4000,
    seed: int = 0,
) -> Interval:
    """Interval of mean(first) - mean(second), two methods on the same clips.

    Both are resampled together (the same subjects and clips in each draw), which removes what
    makes a clip hard for both. Arguments as for `clustered_bootstrap`.
    """
    first_n, subjects_n = _checked(first, subjects)
    second_n, _ = _checked(second, subjects)
    return clustered_bootstrap(first_n - second_n, subjects_n, level=level, draws=draws, seed=seed)


def _checked(values: npt.ArrayLike, subjects: npt.ArrayLike) -> tuple[Values, Clusters]:
    array = np.asarray(values, dtype=np.float64)
    values_n = array.mean(axis=0) if array.ndim == 2 else array
    subjects_n = np.asarray(subjects, dtype=np.int64)
    if values_n.ndim != 1 or values_n.shape != subjects_n.shape or not len(values_n):
        raise DataError(
            f"values of shape {array.shape}, subjects of shape {subjects_n.shape}",
            remedy="give [n] or [seeds, n] values and [n] subjects, n >= 1",
        )
    if not np.isfinite(values_n).all():
        raise DataError("non-finite values cannot be summarised")
    return values_n, subjects_n


def _draw_means(values_n: Values, subjects_n: Clusters, draws: int, seed: int) -> Values:
    rng = generator(seed)
    groups = [values_n[subjects_n == subject] for subject in np.unique(subjects_n)]
    chosen_BK = rng.integers(len(groups), size=(draws, len(groups)))
    sums, counts = np.zeros(draws), np.zeros(draws)
    for g, group in enumerate(groups):
        draw, _ = np.nonzero(chosen_BK == g)
        clips = rng.integers(len(group), size=(len(draw), len(group)))
        sums += np.bincount(draw, group[clips].sum(axis=1), minlength=draws)
        counts += np.bincount(draw, minlength=draws) * len(group)
    means: Values = sums / counts
    return means
