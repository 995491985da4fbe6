"""Small tables of embeddings as features and a correspondence."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sensorfusion.sample import Correspondence, Features

Table = tuple[dict[str, Features], Correspondence]


def table(
    columns: Mapping[str, Tensor],
    present: Tensor | None = None,
    trust: Tensor | None = None,
    streams: Mapping[str, str] | None = None,
) -> Table:
    """One token per id and column [I, D]; an absent one has no token.

    `streams` joins columns to one stream, in whose tokens they follow each other.
    """
    size = len(next(iter(columns.values())))
    present = torch.ones(size, len(columns)).bool() if present is None else present
    trust = torch.ones(size, dtype=torch.float64) if trust is None else trust
    blocks: dict[str, list[Tensor]] = {}
    items: dict[str, list[Tensor]] = {}
    ids, tokens = [], []
    for k, (name, values) in enumerate(columns.items()):
        stream = (streams or {}).get(name, name)
        kept = present[:, k].nonzero()[:, 0]
        offset = sum(len(block) for block in blocks.get(stream, []))
        blocks.setdefault(stream, []).append(values[kept])
        items.setdefault(stream, []).append(kept)
        ids.append(kept)
        tokens.append(offset + torch.arange(len(kept)))
    features = {s: _features(torch.cat(blocks[s]), torch.cat(items[s]), size) for s in blocks}
    of_columns = tuple((streams or {}).get(name, name) for name in columns)
    return features, Correspondence(
        columns=tuple(columns),
        ids=tuple(ids),
        tokens=tuple(tokens),
        size=size,
        item=torch.arange(size),
        trust=trust,
        streams=of_columns,
    )


def _features(tokens: Tensor, item: Tensor, size: int) -> Features:
    return Features(tokens, item, torch.zeros_like(item), size, torch.ones_like(item).bool())


def total(losses: Mapping[str, Tensor]) -> Tensor:
    return torch.stack(list(losses.values())).sum()
