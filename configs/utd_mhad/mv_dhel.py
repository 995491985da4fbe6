"""MV-DHEL on IMU and skeleton (Koromilas et al.): uniformity within each sensor, decoupled."""

from mmengine.config import read_base
from sensorfusion.objectives.layout import joint
from sensorfusion.objectives.negatives import Others
from sensorfusion.objectives.positives import SameMoment

with read_base():
    from .cmc import *

model.update(
    terms=dict(
        contrast=dict(
            term=dict(
                layout=joint,
                reduce="in",
                group="product",
                normaliser="none",
                negatives=dict(type=Others, streams="same"),
                positives=dict(type=SameMoment, value=0.5),
                temperature=0.5,
            ),
        ),
    ),
)
