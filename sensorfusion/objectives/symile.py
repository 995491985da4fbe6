"""Symile: contrast with the multilinear product of any number of streams."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce

import torch
from torch import Tensor

from sensorfusion.distributed import sum_of_parts
from sensorfusion.errors import ConfigError
from sensorfusion.objectives.kernel import Block, row_losses
from sensorfusion.objectives.pooled import Pooled, pool
from sensorfusion.objectives.precision import full_precision
from sensorfusion.objectives.row_statistics import row_statistics
from sensorfusion.objectives.temperature import Temperature
from sensorfusion.objectives.term import Targets, Term, learned_columns
from sensorfusion.objectives.tiling import TILE
from sensorfusion.objectives.weights import EVERY, NONE, Entries, Weights
from sensorfusion.sample import Correspondence, Features

Partners = Callable[[int, int, torch.Generator], Tensor]


def cyclic_shifts(others: int, size: int, generator: torch.Generator) -> Tensor:
    """Partners [others, size] shifted by different offsets: never all of one moment.

    With different offsets no combination equals the positive, which random permutations allow.
    """
    offsets = torch.randperm(size, generator=generator).repeat(-(-others // size))[:others]
    return (torch.arange(size) + offsets[:, None]) % size


def random_permutations(others: int, size: int, generator: torch.Generator) -> Tensor:
    """Partners [others, size], independently permuted, as in the released code."""
    rows = [torch.randperm(size, generator=generator) for _ in range(others)]
    return torch.stack(rows)


class Symile(Term):
    """Total-correlation contrast of K streams (Saporta et al. 2024, "Symile", eqs. 5 to 7).

    The logit of a combination is scale * sum_d prod_k z_k[d], the multilinear inner product. Each
    stream in turn is the anchor; negatives combine the other streams of different moments.
    With two streams this is CLIP. Only moments in which all streams are present take part;
    with none the loss is 0.

    Args:
        streams: columns of the correspondence; None: all but teachers.
        temperature: of the logits.
        partners: how the other streams are combined into one negative per moment (n - 1 negatives
            per anchor), or None for all combinations (n^(K-1) - 1 negatives).
        seed: of the combinations, drawn anew at each application.
        unit_length: whether embeddings are normalised. tile: see `objectives/tiling.py`.
    """

    step: Tensor

    def __init__(
        self,
        streams: Sequence[str] | None = None,
        *,
        temperature: float | Temperature = 0.07,
        partners: Partners | None = cyclic_shifts,
        seed: int = 0,
        unit_length: bool = True,
        tile: int = TILE,
    ) -> None:
        super().__init__()
        self.streams = None if streams is None else tuple(streams)
        self.temperature = (
            temperature if isinstance(temperature, Temperature) else Temperature(temperature)
        )
        self.partners, self.seed = partners, seed
        self.unit_length, self.tile = unit_length, tile
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    @full_precision
    def forward(
        self,
        features: Mapping[str, Features],
        correspondence: Correspondence,
        targets: Targets,
    ) -> dict[str, Tensor]:
        """The loss under the name `symile`."""
        names = self.streams or learned_columns(correspondence)
        if len(names) < 2:
            raise ConfigError(f"Symile needs two streams or more, found {names}")
        pooled = pool(
            features, correspondence, targets, columns=names, unit_length=self.unit_length
        )
        embedded, mine, trust = _complete(pooled, names)
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + int(self.step))
        total = pooled.zero
        for anchor in range(len(names)):
            losses = self._losses(anchor, embedded, mine, generator)
            total = total + (trust[mine] * losses).sum() / max(len(trust), 1) / len(names)
        if self.training:
            self.step += 1
        return {"symile": sum_of_parts(total)}

    def after_step(self) -> None:
        """Keep a learned temperature within its bounds."""
        self.temperature.clamp()

    def _losses(
        self, anchor: int, embedded: list[Tensor], mine: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Losses of this rank's moments with one stream as the anchor."""
        others = [z for k, z in enumerate(embedded) if k != anchor]
        rows = embedded[anchor][mine]
        scale, bias = self.temperature()
        place = torch.arange(len(mine), device=mine.device)
        if self.partners is None or len(others) == 1:
            size = len(others[0])
            every = reduce(lambda a, b: (a[:, None] * b[None]).flatten(0, 1), others)
            own = mine * sum(size**k for k in range(len(others)))
            positives = Weights(listed=Entries(place, own, torch.ones_like(rows[:, 0])))
            blocks = [Block(every, scale, bias, positives, EVERY)]
        else:
            blocks = self._sampled_blocks(rows, others, mine, place, generator)
        return row_losses(row_statistics(rows, blocks, tile=self.tile))

    def _sampled_blocks(
        self,
        rows: Tensor,
        others: list[Tensor],
        mine: Tensor,
        place: Tensor,
        generator: torch.Generator,
    ) -> list[Block]:
        assert self.partners is not None
        scale, bias = self.temperature()
        size = len(others[0])
        drawn = (
            self.partners(len(others), size, generator) if size else mine.new_zeros(len(others), 0)
        )
        combined = reduce(
            torch.mul, (z[i.to(mine.device)] for z, i in zip(others, drawn, strict=True))
        )
        true = reduce(torch.mul, others)
        ones = torch.ones_like(rows[:, 0])
        own = Entries(place, mine, ones)
        # Column i of the combinations is replaced by the true combination of moment i.
        elsewhere = Weights(default=1.0, listed=Entries(place, mine, 0 * ones))
        return [
            Block(combined, scale, bias, NONE, elsewhere),
            Block(true, scale, bias, Weights(listed=own), NONE),
        ]


def multilinear_scores(query: Sequence[Tensor], candidates_CD: Tensor) -> Tensor:
    """Scores [n, C] of candidates for queries that several streams [n, D] describe together."""
    return reduce(torch.mul, query) @ candidates_CD.T


def _complete(pooled: Pooled, names: Sequence[str]) -> tuple[list[Tensor], Tensor, Tensor]:
    """Embeddings of the moments in which all streams are present, and which are this rank's."""
    complete = torch.stack([pooled.present[name] for name in names]).all(0)
    ids = complete.nonzero()[:, 0]
    mine = ((ids >= pooled.mine.start) & (ids < pooled.mine.stop)).nonzero()[:, 0]
    return [pooled.columns[name].index_select(0, ids) for name in names], mine, pooled.trust[ids]
