"""What terms over one embedding per id and column have in common.

Shape letters: I ids of this rank, N ids of all ranks, K columns, D embedding width.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import normalize
from torch.utils.checkpoint import checkpoint

from sensorfusion.errors import ConfigError
from sensorfusion.objectives.term import Targets
from sensorfusion.sample import Correspondence, Features

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Pairs = Sequence[tuple[int, int]]

CHUNK = 2**24  # elements of a pairwise matrix that are held at once


@dataclass(frozen=True)
class Pooled:
    """One embedding per id and column of this rank.

    Args:
        z_IKD: embeddings in float32 or float64; zero where absent.
        present_IK: which ids have the column. trust_I: weights of the ids.
        streams: the stream of each column.
    """

    z_IKD: Tensor
    present_IK: Tensor
    trust_I: Tensor
    streams: tuple[str, ...]

    def column(self, k: int) -> Tensor:
        """The embeddings [n, D] that column k has."""
        return self.z_IKD[self.present_IK[:, k], k]

    def stream(self, name: str) -> Tensor:
        """The embeddings [n, D] that any column of one stream has."""
        columns = [k for k, stream in enumerate(self.streams) if stream == name]
        return self.z_IKD[:, columns][self.present_IK[:, columns]]

    def pair(self, k: int, m: int) -> tuple[Tensor, Tensor, Tensor]:
        """Embeddings [n, D] of two columns and trust [n] of the ids that have both."""
        both = self.present_IK[:, k] & self.present_IK[:, m]
        return self.z_IKD[both, k], self.z_IKD[both, m], self.trust_I[both]

    def pair_trust(self, pairs: Pairs) -> Tensor:
        """Sum of the trust of the ids that have both columns, per pair [P]."""
        first, second = [k for k, _ in pairs], [m for _, m in pairs]
        both_IP = self.present_IK[:, first] & self.present_IK[:, second]
        return (self.trust_I[:, None] * both_IP).sum(0)

    @property
    def nothing(self) -> Tensor:
        """A scalar zero that depends on the embeddings: the loss of a batch with no ids."""
        return self.z_IKD.sum() * 0


def pool(features: Mapping[str, Features], correspondence: Correspondence, *, unit: bool) -> Pooled:
    """Pool every id's tokens per column, in float32 at least, to unit length if wanted."""
    z_IKD = at_least_float32(correspondence.pool(features))
    return Pooled(
        normalize(z_IKD, dim=-1) if unit else z_IKD,
        correspondence.present,
        correspondence.trust.to(z_IKD.dtype),
        correspondence.columns,
    )


def pool_teacher(
    targets: Targets, correspondence: Correspondence, columns: Sequence[int], *, unit: bool
) -> Pooled:
    """Pool the targets `teacher.<stream>` of some columns by the same ids and tokens.

    Raises:
        ConfigError: when a stream has no teacher.
    """
    streams = [correspondence.columns[k] for k in columns]
    teachers: dict[str, Features] = {}
    for stream in streams:
        teacher = targets.get(f"teacher.{stream}")
        if not isinstance(teacher, Features):
            raise ConfigError(
                f"no target 'teacher.{stream}'",
                where=f"the batch has {sorted(targets)}",
                remedy=f"give the model a teacher for the encoder of {stream!r}",
            )
        teachers[stream] = teacher
    part = Correspondence(
        columns=tuple(streams),
        ids=tuple(correspondence.ids[k] for k in columns),
        tokens=tuple(correspondence.tokens[k] for k in columns),
        size=correspondence.size,
        item=correspondence.item,
        trust=correspondence.trust,
    )
    return pool(teachers, part, unit=unit)


def at_least_float32(values: Tensor) -> Tensor:
    """Half-precision values as float32; others unchanged."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def full_precision(forward: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Run a term's forward outside autocast: logarithms and factorisations need the digits."""

    @functools.wraps(forward)
    def wrapped(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        with torch.autocast("cuda", enabled=False), torch.autocast("cpu", enabled=False):
            return forward(*args, **kwargs)

    return wrapped


def column_pairs(pairs: Pairs | None, columns: int) -> list[tuple[int, int]]:
    """The chosen pairs of columns, or all with k < m.

    Raises:
        ConfigError: when a pair names a column that the correspondence does not have.
    """
    if pairs is None:
        return list(combinations(range(columns), 2))
    odd = [pair for pair in pairs if not all(0 <= k < columns for k in pair)]
    if odd:
        raise ConfigError(
            f"pairs {odd} name columns that do not exist",
            where=f"a correspondence of {columns} columns",
            remedy="count columns from 0, in the order that the matching gives them",
        )
    return list(pairs)


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
