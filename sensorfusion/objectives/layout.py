"""Layouts: which streams are anchors of which candidates, and how the directions are weighted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

from sensorfusion.objectives.negatives import Negatives
from sensorfusion.objectives.positives import Positives


@dataclass(frozen=True)
class Direction:
    """Every moment of the anchor streams against all moments of the candidate streams.

    Args:
        anchors: streams whose embeddings are rows.
        candidates: streams that are columns; one that is an anchor too contributes its other
            moments ("intra" candidates).
        weight: factor of the direction's mean loss.
        positives, negatives: in place of the term's own.
    """

    anchors: tuple[str, ...]
    candidates: tuple[str, ...]
    weight: float = 1.0
    positives: Positives | None = None
    negatives: Negatives | None = None


Layout = Callable[[Sequence[str]], list[Direction]]


def pairs(streams: Sequence[str]) -> list[Direction]:
    """Both directions of every pair of streams, averaged: CLIP, and its pairwise extension."""
    ways = [way for a, b in combinations(streams, 2) for way in ((a, b), (b, a))]
    return [Direction((a,), (b,), weight=1 / len(ways)) for a, b in ways]


def joint(streams: Sequence[str]) -> list[Direction]:
    """All streams against all streams in one softmax: NT-Xent, SupCon, MV-InfoNCE."""
    return [Direction(tuple(streams), tuple(streams))] if len(streams) > 1 else []


def joint_pairs(streams: Sequence[str]) -> list[Direction]:
    """`joint` of every pair of streams, averaged."""
    ways = list(combinations(streams, 2))
    return [Direction(way, way, weight=1 / len(ways)) for way in ways]


def each_against_all(streams: Sequence[str]) -> list[Direction]:
    """Each stream as anchor against all streams, averaged over streams."""
    return [Direction((s,), tuple(streams), weight=1 / len(streams)) for s in streams]


@dataclass(frozen=True)
class OneToMany:
    """One stream against all others in one softmax, and back (Nie et al. 2024, "1-to-K", eq. 2).

    Args:
        anchor: the stream that the others are aligned with.
        weights: of the two directions. The released code divides the second by the number of
            other streams too: (0.5, 0.5 / K).
    """

    anchor: str
    weights: tuple[float, float] = (0.5, 0.5)

    def __call__(self, streams: Sequence[str]) -> list[Direction]:
        others = tuple(stream for stream in streams if stream != self.anchor)
        there, back = self.weights
        return [
            Direction((self.anchor,), others, weight=there),
            Direction(others, (self.anchor,), weight=back),
        ]
