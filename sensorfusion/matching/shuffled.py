"""A control: the same tokens and ids, but whose partners they are is drawn at random.

What pretraining brings with shuffled pairs, it does not owe to what belongs together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from sensorfusion.changed import changed
from sensorfusion.model import Matching
from sensorfusion.sample import Batch, Correspondence, Features


@dataclass(frozen=True)
class Shuffled:
    """Another matching, whose columns after the first go to other ids of the same batch.

    The draw depends on the batch's samples only, so that a run can be repeated.

    Args:
        matching: what is shuffled. seed: of the draw.
    """

    matching: Matching
    seed: int = 0

    def __call__(self, features: Mapping[str, Features], batch: Batch) -> Correspondence:
        found = self.matching(features, batch)
        generator = np.random.default_rng([self.seed, *batch.index.tolist()])
        other = torch.from_numpy(generator.permutation(found.size)).to(found.item.device)
        first, *others = found.ids
        return changed(found, ids=(first, *(other[ids] for ids in others)))
