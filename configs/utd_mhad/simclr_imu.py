"""SimCLR on IMU windows alone: two augmented views of each (Chen et al. 2020)."""

from mmengine.config import read_base
from sensorfusion.encoders.imu_temporal import ImuTemporal
from sensorfusion.encoders.heads import Projection
from sensorfusion.matching.moments import Moments
from sensorfusion.model import Pretrainer, Weighted
from sensorfusion.objectives.contrast import Contrast
from sensorfusion.objectives.layout import joint
from sensorfusion.sensors.views import Views
from sensorfusion.sensors.wear_augment import wear_augmentations

with read_base():
    from .base import *

model = dict(
    type=Pretrainer,
    encoders=dict(imu=dict(type=ImuTemporal, units=("g, deg/s",))),
    heads=dict(imu=dict(type=Projection, inputs=640)),
    sensors={"imu.1": "imu", "imu.2": "imu"},
    terms=dict(
        contrast=dict(
            type=Weighted,
            term=dict(type=Contrast, layout=joint, temperature=0.1),
            matching=dict(type=Moments, streams=("imu.1", "imu.2")),
        ),
    ),
)
_augment = [dict(type=wear_augmentations, steps=128)]
data.update(transforms=[dict(type=Views, sensor="imu", views={"1": _augment, "2": _augment})])
data.train.dataset.update(sensors=("imu",))
evaluation.data.dataset.update(sensors=("imu",))
evaluation.update(augment=_augment)
