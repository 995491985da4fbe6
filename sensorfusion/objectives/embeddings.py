"""What terms over one embedding per id and column have in common.

Shape letters: I ids of this rank, N ids of all ranks, K columns, D embedding width.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor
from torch.nn.functional import normalize
from torch.utils.checkpoint import checkpoint

from sensorfusion.errors import ConfigError
from sensorfusion.objectives.precision import at_least_float32
from sensorfusion.objectives.term import learned_columns
from sensorfusion.sample import Correspondence, Features

Pairs = Sequence[tuple[str, str]]
Places = Sequence[tuple[int, int]]

CHUNK = 2**24  # elements of a pairwise matrix that are held at once


@dataclass(frozen=True)
class Embeddings:
    """One embedding per id and column of this rank.

    Args:
        z_IKD: embeddings in float32 or float64; zero where absent.
        present_IK: which ids have the column. trust_I: weights of the ids.
        columns: names. streams: the stream of each column.
    """

    z_IKD: Tensor
    present_IK: Tensor
    trust_I: Tensor
    columns: tuple[str, ...]
    streams: tuple[str, ...]

    def stream(self, name: str) -> Tensor:
        """The embeddings [n, D] in any column of one stream."""
        columns = [k for k, stream in enumerate(self.streams) if stream == name]
        return self.z_IKD[:, columns][self.present_IK[:, columns]]

    def pair(self, k: int, m: int) -> tuple[Tensor, Tensor, Tensor]:
        """Embeddings [n, D] of two columns and trust [n] of the ids that have both."""
        both = self.present_IK[:, k] & self.present_IK[:, m]
        return self.z_IKD[both, k], self.z_IKD[both, m], self.trust_I[both]

    def pair_trust(self, pairs: Places) -> Tensor:
        """Sum of the trust of the ids that have both columns, per pair [P]."""
        first, second = [k for k, _ in pairs], [m for _, m in pairs]
        both_IP = self.present_IK[:, first] & self.present_IK[:, second]
        return (self.trust_I[:, None] * both_IP).sum(0)

    @property
    def nothing(self) -> Tensor:
        """A scalar zero that depends on the embeddings: the loss of a batch with no ids."""
        return self.z_IKD.sum() * 0


def embed(
    features: Mapping[str, Features],
    correspondence: Correspondence,
    columns: Sequence[str],
    *,
    unit_length: bool,
) -> Embeddings:
    """Pool every id's tokens in some columns, in float32 at least, to unit length if wanted."""
    part = _select(correspondence, columns)
    z_IKD = at_least_float32(part.pool(features))
    return Embeddings(
        normalize(z_IKD, dim=-1) if unit_length else z_IKD,
        part.present,
        part.trust.to(z_IKD.dtype),
        part.columns,
        part.streams,
    )


def chosen_columns(
    correspondence: Correspondence,
    columns: Sequence[str] | None = None,
    pairs: Pairs | None = None,
) -> tuple[list[str], list[tuple[int, int]]]:
    """The columns that a term looks at, and the pairs of them that it compares, by place.

    Args:
        columns: names; by default all columns of sensors and fusions (teachers are not).
        pairs: pairs of names, also of other columns, which follow the chosen ones; by default
            all pairs of the chosen columns.

    Raises:
        ConfigError: for a column that does not exist, naming those that do.
    """
    if columns is None:
        columns = learned_columns(correspondence)
    if pairs is None:
        pairs = list(combinations(columns, 2))
    names = list(dict.fromkeys([*columns, *(name for pair in pairs for name in pair)]))
    unknown = [name for name in names if name not in correspondence.columns]
    if unknown:
        raise ConfigError(
            f"no column named {', '.join(map(repr, unknown))}",
            where="a term's settings",
            remedy=f"use some of {', '.join(map(repr, correspondence.columns))}",
        )
    return names, [(names.index(k), names.index(m)) for k, m in pairs]


def _select(correspondence: Correspondence, columns: Sequence[str]) -> Correspondence:
    places = [correspondence.columns.index(name) for name in columns]
    return dataclasses.replace(
        correspondence,
        columns=tuple(columns),
        streams=tuple(correspondence.streams[k] for k in places),
        ids=tuple(correspondence.ids[k] for k in places),
        tokens=tuple(correspondence.tokens[k] for k in places),
    )


def mean_of(values: Sequence[Tensor], otherwise: Tensor) -> Tensor:
    """The mean of scalars; `otherwise` when there is none."""
    return torch.stack(list(values)).mean() if values else otherwise


def in_chunks(
    compute: Callable[[slice], Tensor], rows: int, columns: int, *, elements: int = CHUNK
) -> list[Tensor]:
    """`compute(rows)` for slices of at most `elements` matrix entries.

    When there are several, each is recomputed in the backward, so that memory stays bounded.
    """
    size = max(1, elements // max(1, columns))
    if rows <= size:
        return [compute(slice(0, rows))]
    return [_recomputed(compute, part) for part in _slices(rows, size)]


def _slices(rows: int, size: int) -> Iterator[slice]:
    return (slice(start, min(rows, start + size)) for start in range(0, rows, size))


def _recomputed(compute: Callable[[slice], Tensor], part: slice) -> Tensor:
    result: Tensor = checkpoint(compute, part, use_reentrant=False)
    return result
