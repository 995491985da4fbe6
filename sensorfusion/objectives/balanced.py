"""Balanced: two terms of which the second is brought to the value of the first."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sensorfusion.objectives.term import Targets, Term
from sensorfusion.sample import Correspondence, Features


class Balanced(Term):
    """first + second * (first / second), the ratio taken without gradient (CreamFL's loss scaling).

    The value is twice the first loss; the second one shapes the gradient only.

    Args:
        first, second: terms over the same correspondence. weight: factor of the sum.
    """

    def __init__(self, first: Term, second: Term, *, weight: float = 1.0) -> None:
        super().__init__()
        self.first, self.second, self.weight = first, second, weight

    def forward(
        self,
        features: Mapping[str, Features],
        correspondence: Correspondence,
        targets: Targets,
    ) -> dict[str, Tensor]:
        """The loss under the name `balanced`; 0 / 0 counts as 0."""
        first, second = (
            torch.stack(list(term(features, correspondence, targets).values())).sum()
            for term in (self.first, self.second)
        )
        ratio = first.detach() / second.detach().where(second != 0, 1.0)
        return {"balanced": self.weight * (first + second * ratio)}

    def after_step(self) -> None:
        """Passed on to both terms."""
        self.first.after_step()
        self.second.after_step()
