"""Positives across subjects, found by assigning the clips of one subject to those of another."""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from sensorfusion.errors import ConfigError
from sensorfusion.objectives.pooled import Pooled
from sensorfusion.objectives.positives import Positives
from sensorfusion.objectives.relation import Relation
from sensorfusion.objectives.weights import Entries, Weights


class AssignedAcross(nn.Module, Positives):
    """The own moment, and its partner among the moments of every other subject.

    A memory keeps the latest embedding of every sample of the data set (Wu et al. 2018,
    "Unsupervised feature learning via non-parametric instance discrimination", section 3.1),
    summed over streams. Every so often, for each pair of groups, samples are assigned one to
    one so that the sum of similarities is largest (Kuhn 1955). No label is used; it fits
    recordings in which all subjects, sites or runs do the same things.

    Args:
        size: length of the data set, or more.
        group: key of the groups, e.g. "keys.subject"; at most `groups` different ones.
        start, every: applications of the term before the first assignment, and between two.
        momentum: share of the old embedding that a new one leaves in the memory.

    Raises:
        ConfigError: in use, when the data set is longer than the memory or has more groups.
    """

    memory: Tensor
    members: Tensor
    partners: Tensor

    def __init__(
        self,
        size: int,
        *,
        group: str = "keys.subject",
        groups: int = 16,
        width: int = 128,
        start: int = 0,
        every: int = 1,
        momentum: float = 0.5,
    ) -> None:
        super().__init__()
        self.group, self.start, self.every, self.momentum = group, start, every, momentum
        self.keys = ("index", group)
        self.register_buffer("memory", torch.zeros(size, width))
        self.register_buffer("members", torch.full((size,), -1))
        self.register_buffer("partners", torch.full((size, groups), -1))

    def forward(self, relation: Relation) -> Weights:
        """Weight 1 for the own moment in other streams and for partners in all streams."""
        number = self._numbers(relation.pooled)
        rows = number[relation.row_id]
        partners_RG = self.partners[rows]
        wanted = partners_RG if relation.intra else torch.cat([rows[:, None], partners_RG], 1)
        place = torch.full((len(self.memory) + 1,), -1, device=rows.device)
        there = (relation.column_id >= 0).nonzero()[:, 0]
        place[number[relation.column_id[there]]] = there
        columns = place[wanted]  # wanted -1 looks at the last place, which is never set
        found, slots = (columns >= 0).nonzero(as_tuple=True)
        values = relation.rows.new_ones(len(found))
        return Weights(listed=Entries(found, columns[found, slots], values))

    @torch.no_grad()
    def observe(self, pooled: Pooled, streams: tuple[str, ...], step: int) -> None:
        """Take up a batch's embeddings (of all ranks), and assign anew when it is time."""
        number = self._numbers(pooled)
        new = torch.stack([normalize(pooled.columns[s], dim=1) for s in streams]).sum(0)
        seen = torch.stack([pooled.present[s] for s in streams]).any(0)
        number, new = number[seen], normalize(new[seen], dim=1).to(self.memory.dtype)
        known = (self.members[number] >= 0)[:, None]
        self.memory[number] = torch.where(
            known, self.memory[number].lerp(new, 1 - self.momentum), new
        )
        self.members[number] = pooled.keys[self.group][seen]
        if step >= self.start and (step - self.start) % self.every == 0:
            self._assign()

    def _numbers(self, pooled: Pooled) -> Tensor:
        """Positions in the data set of all ids."""
        number: Tensor = pooled.keys["index"]
        if len(number) and int(number.max()) >= len(self.memory):
            raise ConfigError(
                f"sample {int(number.max())} is beyond a memory of {len(self.memory)}",
                where="AssignedAcross",
                remedy="set `size` to the length of the data set",
            )
        return number

    def _assign(self) -> None:
        from scipy.optimize import linear_sum_assignment

        groups = sorted({int(g) for g in self.members.tolist() if g >= 0})
        if len(groups) > self.partners.shape[1]:
            raise ConfigError(
                f"{len(groups)} groups, room for {self.partners.shape[1]}",
                where="AssignedAcross",
                remedy="raise `groups`",
            )
        self.partners.fill_(-1)
        unit = normalize(self.memory, dim=1)
        for (i, first), (j, second) in combinations(enumerate(groups), 2):
            rows, columns = ((self.members == g).nonzero()[:, 0] for g in (first, second))
            chosen = linear_sum_assignment(-(unit[rows] @ unit[columns].T).double().cpu().numpy())
            a, b = (torch.from_numpy(c).to(rows.device) for c in chosen)
            self.partners[rows[a], j] = columns[b]
            self.partners[columns[b], i] = rows[a]
