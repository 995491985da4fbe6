"""Symile on camera (depth), skeleton and IMU, each missing now and then in training."""

from mmengine.config import read_base
from sensorfusion.matching.moments import Moments
from sensorfusion.model import Weighted
from sensorfusion.objectives.symile import Symile
from sensorfusion.objectives.temperature import Temperature

with read_base():
    from .pairwise import *

model.terms = dict(
    symile=dict(
        type=Weighted,
        term=dict(
            type=Symile,
            temperature=dict(type=Temperature, initial=0.1, learned=True, bounds=(0.01, 1.0)),
        ),
        matching=dict(type=Moments, streams=("camera", "skeleton", "imu")),
    ),
)
