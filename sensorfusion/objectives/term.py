"""Term, the sixth word: one objective, from features and a correspondence to named losses."""

from __future__ import annotations

import abc
from collections.abc import Mapping

from torch import Tensor, nn

from sensorfusion.sample import Correspondence, Features

Targets = Mapping[str, Tensor]
TEACHER = "teacher."  # prefix of teachers' streams and columns


def learned_columns(correspondence: Correspondence) -> tuple[str, ...]:
    """The columns of sensors and fusions: all but teachers'."""
    return tuple(name for name in correspondence.columns if not name.startswith(TEACHER))


class Term(nn.Module, abc.ABC):
    """One objective.

    State that has to survive a restart (queues, prototypes, step counters) is a buffer or
    parameter, so that the engine saves it. Every rank returns the same value, that of the whole
    distributed batch; the sum over ranks of the gradients is the gradient of that value.
    """

    @abc.abstractmethod
    def forward(
        self,
        features: Mapping[str, Features],
        correspondence: Correspondence,
        targets: Targets,
    ) -> dict[str, Tensor]:
        """Scalar losses by name; their sum is the term's loss.

        Args:
            features: per stream its tokens: sensors and fusions by name, and teachers, which
                carry no gradient, as `teacher.<sensor>`.
            correspondence: which tokens belong together.
            targets: integers [B, ...] of the batch: `index`, `labels.<name>`, `keys.<name>`.
        """

    def after_step(self) -> None:
        """Called once after each optimiser step, e.g. to renormalise prototypes."""
