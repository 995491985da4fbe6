"""Learning from clients that share embeddings of a public set only (mechanism M8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from sensorfusion.distributed import sum_of_parts, sum_over_ranks
from sensorfusion.errors import ConfigError
from sensorfusion.objectives.embeddings import CHUNK, embed, in_chunks, mean_of
from sensorfusion.objectives.precision import full_precision
from sensorfusion.objectives.term import Targets, Term
from sensorfusion.sample import Correspondence, Features


@torch.no_grad()
def aggregate(
    clients_CND: Tensor, other_ND: Tensor, *, temperature: float = 1.0, chunk: int = CHUNK
) -> tuple[Tensor, Tensor]:
    """CreamFL's global-local contrastive aggregation, without gradient.

    Yu et al. 2023, "Multimodal federated learning via contrastive representation ensemble",
    eqs. 3-4: a client's embedding of public sample n scores log softmax over samples j of
    <client_n, other_j> / temperature at j = n, where `other` are the global embeddings of the
    *other* modality; a softmax over clients turns scores into weights. Embeddings are used as
    given. The released code has no temperature and exponentiates without subtracting the
    maximum; this one does not overflow, and leaves its inputs alone.

    Args:
        clients_CND: embeddings of the N public samples by C clients of one modality.
        other_ND: global embeddings of the same samples in the other modality.
        chunk: similarities that are held at once.

    Returns:
        The aggregate [N, D] and the weights [C, N]; a column of weights sums to one.
    """
    columns = other_ND / temperature

    def scores(client_ND: Tensor) -> Tensor:
        def compute(part: slice) -> Tensor:
            own = (client_ND[part] * columns[part]).sum(1)
            total: Tensor = (client_ND[part] @ columns.T).logsumexp(1)
            return own - total

        return torch.cat(in_chunks(compute, len(client_ND), len(columns), elements=chunk))

    weights_CN = torch.stack([scores(client) for client in clients_CND]).softmax(0)
    return (weights_CN[:, :, None] * clients_CND).sum(0), weights_CN


class PublicDistillation(Term):
    """Mean squared error to the aggregated embeddings of the public set (CreamFL, eq. 5).

    The table's rows are found by the batch's positions in the data set (target `index`), which
    has to be the public set. `distillation` is the mean over elements of the ids that have the
    column (weighted by trust), and over the columns.

    Args:
        samples: N, size of the public set. width: D. columns: those that get a table, all
            zero until `set_table` is called.
    """

    def __init__(self, samples: int, width: int, columns: Sequence[str]) -> None:
        super().__init__()
        self.columns = tuple(columns)
        self.register_buffer("tables_KND", torch.zeros(len(self.columns), samples, width))

    tables_KND: Tensor

    def set_table(self, column: str, aggregate_ND: Tensor) -> None:
        """Give the targets of one column for the next round."""
        if column not in self.columns or aggregate_ND.shape != self.tables_KND.shape[1:]:
            raise ConfigError(
                f"a table {tuple(aggregate_ND.shape)} for column {column!r}",
                where=f"tables {tuple(self.tables_KND.shape[1:])} for columns {self.columns}",
                remedy="aggregate the whole public set for one of these columns",
            )
        self.tables_KND[self.columns.index(column)] = aggregate_ND.to(self.tables_KND)

    @full_precision
    def forward(
        self,
        features: Mapping[str, Features],
        correspondence: Correspondence,
        targets: Targets,
    ) -> dict[str, Tensor]:
        """The loss `distillation`."""
        mine = embed(features, correspondence, self.columns, unit_length=False)
        rows_I = targets["index"][correspondence.item]
        losses = []
        for k, table_ND in enumerate(self.tables_KND):
            weight_I = mine.trust_I * mine.present_IK[:, k]
            total = sum_over_ranks(weight_I.sum())
            if total > 0:
                error_I = (mine.z_IKD[:, k] - table_ND[rows_I].to(mine.z_IKD)).square().mean(1)
                losses.append((weight_I * error_I).sum() / total)
        return {"distillation": sum_of_parts(mean_of(losses, mine.nothing))}
