"""Cross-modal retrieval: whether a clip seen by one sensor finds itself as seen by another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sensorfusion.errors import ConfigError, DataError
from sensorfusion.evaluation.embed import Embeddings
from sensorfusion.evaluation.knn import unit_rows

Ties = Literal["expected", "pessimistic"]


@dataclass(frozen=True)
class Standing:
    """Where each query's true match stands among the candidates.

    Args:
        greater: int64 [n], candidates that are more similar than the true match.
        equal: int64 [n], other candidates that are exactly as similar.
        candidates: size of the gallery.
    """

    greater: Tensor
    equal: Tensor
    candidates: int

    def ranks(self, ties: Ties) -> Tensor:
        """Ranks float64 [n] from 1: the mean over all orders of equal candidates, or the last."""
        behind = self.equal.double() / 2 if ties == "expected" else self.equal.double()
        return 1 + self.greater.double() + behind

    def recall(self, k: int, ties: Ties) -> Tensor:
        """Per query the probability [n] that the true match is among the first k.

        With ties "expected" equal candidates come in a random order; "pessimistic" puts the
        true match last among them, so that features that collapsed to a point score 0 and
        not 1 (for k below the number of candidates).
        """
        if ties == "pessimistic":
            return (self.ranks(ties) <= k).double()
        return ((k - self.greater) / (1 + self.equal)).double().clamp(0, 1)


@dataclass(frozen=True)
class Retrieval:
    """Scores of one direction.

    Args:
        recall: k -> share of queries whose match is among the first k. median_rank, mean_rank:
            from 1. queries: n. candidates: gallery size. hits: per query recall at the
            smallest k, [n]. rows: the samples that the queries are, int64 [n].
    """

    recall: Mapping[int, float]
    median_rank: float
    mean_rank: float
    queries: int
    candidates: int
    hits: Tensor
    rows: Tensor


def standing(query_nD: Tensor, gallery_mD: Tensor, match_n: Tensor, chunk: int = 1024) -> Standing:
    """Compare by cosine, in float64, `chunk` queries at a time.

    Args:
        match_n: int64 [n], the gallery row that belongs to each query.
    """
    if query_nD.shape[1] != gallery_mD.shape[1]:
        raise ConfigError(
            f"features of widths {query_nD.shape[1]} and {gallery_mD.shape[1]} have no cosine",
            remedy="embed with the projection heads, or align them with `fit_alignment`",
        )
    gallery = unit_rows(gallery_mD)
    greater, equal = [], []
    for rows in torch.split(torch.arange(len(query_nD)), chunk):
        similarity = unit_rows(query_nD[rows]) @ gallery.T
        # Rounded, so that mathematically equal similarities are ties on every machine.
        similarity = (similarity * 1e12).round()
        true = similarity.gather(1, match_n[rows, None])
        greater.append((similarity > true).sum(dim=1))
        equal.append((similarity == true).sum(dim=1) - 1)
    return Standing(torch.cat(greater), torch.cat(equal), len(gallery))


def retrieve(
    data: Embeddings,
    query: str,
    gallery: str,
    *,
    ks: Sequence[int] = (1, 5, 10),
    ties: Ties = "expected",
) -> Retrieval:
    """One direction: each sample's `query` features look for its own `gallery` features.

    Samples without both sensors take no part, neither as queries nor as candidates.

    Raises:
        DataError: when no sample has both. ConfigError: an unknown sensor, or unequal widths.
    """
    pair = data.keep(query, gallery)
    rows = (pair.present[query] & pair.present[gallery]).nonzero()[:, 0]
    if not len(rows):
        raise DataError(
            f"no sample has both {query!r} and {gallery!r}", remedy="choose another pair"
        )
    found = standing(
        pair.features[query][rows], pair.features[gallery][rows], torch.arange(len(rows))
    )
    ranks = found.ranks(ties)
    return Retrieval(
        recall={k: float(found.recall(k, ties).mean()) for k in ks},
        median_rank=_median(ranks),
        mean_rank=float(ranks.mean()),
        queries=len(rows),
        candidates=len(rows),
        hits=found.recall(min(ks), ties),
        rows=rows,
    )


@dataclass(frozen=True)
class RankDispersion:
    """How much the rank of one moment differs between the sensors that it is asked from.

    Args:
        variance: mean over moments of the population variance over K ranks: the MRV of the
            text of Nie et al. 2024 ("Improving the consistency in cross-lingual cross-modal
            retrieval with 1-to-K contrastive learning").
        standard_deviation: mean over moments of the standard deviation: what the function that
            accompanies that paper computes. The two are not functions of each other.
        moments: n. sensors: the K sensors.
    """

    variance: float
    standard_deviation: float
    moments: int
    sensors: tuple[str, ...]


def rank_dispersion(
    data: Embeddings, target: str, sensors: Sequence[str], *, ties: Ties = "expected"
) -> RankDispersion:
    """Dispersion over K >= 2 sensors of the rank of the true `target` (e.g. the camera).

    Only samples that have the target and all the sensors take part.
    """
    if len(sensors) < 2 or target in sensors:
        raise ConfigError(
            f"rank dispersion of {target!r} over {list(sensors)} is not defined",
            remedy="give two or more sensors, the target not among them",
        )
    kept = data.keep(target, *sensors)
    whole = torch.stack([kept.present[name] for name in (target, *sensors)]).all(dim=0)
    if not bool(whole.any()):
        raise DataError(f"no sample has {target!r} and all of {list(sensors)}")
    kept = kept.select(whole)
    match = torch.arange(len(kept))
    ranks_nK = torch.stack(
        [
            standing(kept.features[name], kept.features[target], match).ranks(ties)
            for name in sensors
        ],
        dim=1,
    )
    return RankDispersion(
        variance=float(ranks_nK.var(dim=1, correction=0).mean()),
        standard_deviation=float(ranks_nK.std(dim=1, correction=0).mean()),
        moments=len(kept),
        sensors=tuple(sensors),
    )


def fit_alignment(
    train: Embeddings, first: str, second: str, *, width: int = 64, ridge: float = 0.1
) -> Alignment:
    """Regularised canonical correlation analysis of two sensors' features.

    For features that no objective has brought into one space: encoders without heads, raw
    features. (Hotelling 1936; ridge form of Vinod 1976.) Each sensor's features are centred
    and rotated to their principal components, whose variances v become v + ridge * mean(v)
    in the whitening; the singular vectors of the whitened cross-covariance are the axes, each
    weighted with its correlation (as Gong et al. 2014, "A multi-view embedding space for modeling
    internet images, tags, and their semantics", section 3.3, there to a power).

    Args:
        width: at most this many common axes.
    """
    kept = train.keep(first, second)
    kept = kept.select(kept.present[first] & kept.present[second])
    if len(kept) < 2:
        raise DataError(
            f"{len(kept)} training samples have both {first!r} and {second!r}",
            remedy="alignment needs at least two; train on more subjects",
        )
    centre, white = {}, {}
    for name in (first, second):
        values = kept.features[name].double()
        centre[name] = values.mean(dim=0)
        white[name] = _whitening(values - centre[name], ridge)
    scores = {n: (kept.features[n].double() - centre[n]) @ white[n] for n in (first, second)}
    u, s, vt = torch.linalg.svd(scores[first].T @ scores[second] / len(kept), full_matrices=False)
    axes = {first: u[:, :width] * s[:width], second: vt.T[:, :width] * s[:width]}
    return Alignment(centre, {name: white[name] @ axes[name] for name in axes})


@dataclass(frozen=True)
class Alignment:
    """Affine maps of two sensors' features into one space.

    Args:
        centre: sensor -> float64 [D]. matrix: sensor -> float64 [D, W].
    """

    centre: Mapping[str, Tensor]
    matrix: Mapping[str, Tensor]

    def __call__(self, data: Embeddings) -> Embeddings:
        """The two sensors' features, mapped; other sensors are left out."""
        kept = data.keep(*self.matrix)
        mapped = {
            name: (kept.features[name].double() - self.centre[name]) @ matrix
            for name, matrix in self.matrix.items()
        }
        masked = {name: value * kept.present[name][:, None] for name, value in mapped.items()}
        return Embeddings(masked, kept.present, kept.labels, kept.keys, kept.ids)


def _whitening(centred_nD: Tensor, ridge: float) -> Tensor:
    _, s, vt = torch.linalg.svd(centred_nD, full_matrices=False)
    kept = s > s[0] * 1e-10
    variance = s[kept] ** 2 / len(centred_nD)
    whitening: Tensor = vt[kept].T / (variance + ridge * variance.mean()).sqrt()
    return whitening


def _median(values: Tensor) -> float:
    return float(values.quantile(0.5))
