"""Small tables of embeddings as features and a correspondence, and comparisons over ranks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sensorfusion.objectives.term import Targets, Term
from sensorfusion.sample import Correspondence, Features
from tests.distributed_pool import run_on_two_ranks

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


def value_and_gradients(
    term: Term, table_: Table, targets: Targets, inputs: Sequence[Tensor]
) -> tuple[float, list[Tensor]]:
    """The term's total and its gradients by `inputs` (zero where unused)."""
    loss = total(term(*table_, targets))
    gradients = torch.autograd.grad(loss, list(inputs), allow_unused=True)
    return loss.item(), [
        torch.zeros_like(x) if g is None else g for x, g in zip(inputs, gradients, strict=True)
    ]


Build = Callable[..., tuple[Term, Table, Targets, list[Tensor]]]


def _on_a_rank(build: Build, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    term, table_, targets, rows = build({k: torch.tensor(v) for k, v in arrays.items()})
    total_ = total(term(*table_, targets))
    if total_.requires_grad:
        total_.backward()
    return {
        "loss": total_.item(),
        "rows": [torch.zeros_like(x) if x.grad is None else x.grad for x in rows],
        "parameters": {
            name: torch.zeros_like(p) if p.grad is None else p.grad
            for name, p in term.named_parameters()
        },
        "state": dict(term.state_dict()),
    }


def check_world_size(
    build: Build, arrays: Mapping[str, Tensor], splits: Sequence[int], tolerance: float = 1e-12
) -> None:
    """Two ranks with rows [:split] and [split:] against one process with all rows.

    `build(arrays)` is importable and returns (term, table, targets, inputs): it is given the
    rank's rows of every array; `inputs` are tensors with one gradient row per given row.
    """
    whole = _on_a_rank(build, {k: v.numpy() for k, v in arrays.items()})
    for split in splits:
        halves = [
            {k: v[part].numpy() for k, v in arrays.items()}
            for part in (slice(0, split), slice(split, None))
        ]
        ranks = run_on_two_ranks(_on_a_rank, [(build, half) for half in halves])
        for result in ranks:
            assert abs(result["loss"] - whole["loss"]) <= tolerance * max(1, abs(whole["loss"]))
            for name, value in whole["state"].items():
                np.testing.assert_allclose(result["state"][name], value, atol=tolerance)
        for i, expected in enumerate(whole["rows"]):
            found = np.concatenate([result["rows"][i] for result in ranks])
            np.testing.assert_allclose(found, expected, atol=tolerance, err_msg=f"input {i}")
        for name, expected in whole["parameters"].items():
            found = sum(result["parameters"][name] for result in ranks)
            np.testing.assert_allclose(found, expected, atol=tolerance, err_msg=name)
