"""Embeddings of all ids of all ranks: what objectives over pooled tokens compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from sensorfusion.distributed import gather, gather_indices, rank
from sensorfusion.errors import ConfigError
from sensorfusion.objectives.precision import at_least_float32
from sensorfusion.objectives.term import Targets
from sensorfusion.sample import Correspondence, Features


@dataclass(frozen=True)
class Pooled:
    """One embedding per id and column, gathered over ranks with gradient.

    Args:
        columns: column name -> [I, D], zero where absent.
        present: column name -> bool [I].
        trust: [I]. keys: key name -> int64 [I]; `item` tells the samples apart.
        mine: the ids of this rank among the I.
    """

    columns: Mapping[str, Tensor]
    present: Mapping[str, Tensor]
    trust: Tensor
    keys: Mapping[str, Tensor]
    mine: slice

    def __len__(self) -> int:
        return len(self.trust)

    @property
    def zero(self) -> Tensor:
        """0, depending on every embedding: every rank's backward reaches every gather."""
        return torch.stack([column.sum() for column in self.columns.values()]).sum() * 0.0


def pool(
    features: Mapping[str, Features],
    correspondence: Correspondence,
    targets: Targets,
    *,
    columns: Sequence[str],
    unit_length: bool = True,
    keys: Sequence[str] = (),
) -> Pooled:
    """Pool tokens by id, bring them to unit length, and gather them over ranks.

    Half precision becomes float32.

    Args:
        columns: the columns of the correspondence to pool.
        unit_length: whether embeddings are normalised after pooling.
        keys: names of targets to look up for each id, e.g. "keys.subject"; "item" is the sample.

    Raises:
        ConfigError: for a column or key that does not exist, naming those that do.
    """
    _require("column", columns, correspondence.columns)
    _require("key", [key for key in keys if key != "item"], list(targets))
    present_IK = gather_indices(correspondence.present)
    trust, mine = gather(correspondence.trust.to(torch.float32))
    gathered = {}
    for name in columns:
        embedded = at_least_float32(correspondence.pool_column(features, name))
        gathered[name], _ = gather(normalize(embedded, dim=1) if unit_length else embedded)
    return Pooled(
        columns=gathered,
        present={n: present_IK[:, correspondence.columns.index(n)] for n in columns},
        trust=trust,
        keys={key: gather_indices(_key(key, correspondence, targets)) for key in keys},
        mine=mine,
    )


def _key(name: str, correspondence: Correspondence, targets: Targets) -> Tensor:
    if name == "item":
        return correspondence.item + (rank() << 32)
    return targets[name].to(torch.int64)[correspondence.item]


def _require(what: str, names: Sequence[str], known: Sequence[str]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(
            f"no {what} named {', '.join(map(repr, unknown))}",
            where="the objective's settings",
            remedy=f"use one of {', '.join(map(repr, known)) or '(none there)'}",
        )
