"""CMC with hard negatives: concentration beta and class prior tau_plus (Robinson et al. 2021).

Choi, Beedu and Essa 2023, "Multimodal contrastive learning with hard negative sampling for human
activity recognition", without published values of the two.
"""

from mmengine.config import read_base
from sensorfusion.objectives.kernel import Hardness

with read_base():
    from .cmc import *

model.update(
    terms=dict(contrast=dict(term=dict(hardness=dict(type=Hardness, beta=0.5, tau_plus=0.05))))
)
