"""CMC: IMU against skeleton, both directions (Tian et al. 2020)."""

from mmengine.config import read_base
from sensorfusion.matching.moments import Moments
from sensorfusion.model import Weighted
from sensorfusion.objectives.contrast import Contrast

with read_base():
    from .base import *

model.update(
    terms=dict(
        contrast=dict(
            type=Weighted,
            term=dict(type=Contrast, temperature=0.1),
            matching=dict(type=Moments, streams=("imu", "skeleton")),
        ),
    ),
)
