"""SimCLR on IMU windows alone: two augmented views of each (settings of CMC-CMKM)."""

from mmengine.config import read_base
from sensorfusion.encoders.heads import Projection
from sensorfusion.encoders.imu_conv_transformer import ImuConvTransformer
from sensorfusion.matching.moments import Moments
from sensorfusion.model import Pretrainer, Weighted
from sensorfusion.objectives.contrast import Contrast
from sensorfusion.objectives.layout import joint
from sensorfusion.sensors.imu_augment import cmkm_imu_augmentations
from sensorfusion.sensors.views import Views

with read_base():
    from .base import *

model = dict(
    type=Pretrainer,
    encoders=dict(imu=dict(type=ImuConvTransformer, units=("g, deg/s",))),
    heads=dict(imu=dict(type=Projection, inputs=5632)),
    sensors={"imu.1": "imu", "imu.2": "imu"},
    terms=dict(
        contrast=dict(
            type=Weighted,
            term=dict(type=Contrast, layout=joint, temperature=0.05),
            matching=dict(type=Moments, streams=("imu.1", "imu.2")),
        ),
    ),
)
_augment = (dict(type=cmkm_imu_augmentations),)
data.update(transforms=[dict(type=Views, sensor="imu", views={"1": _augment, "2": _augment})])
data.train.dataset.update(sensors=("imu",))
loader.update(batch_size=128)
train.update(epochs=300)
