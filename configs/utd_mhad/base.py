"""What the UTD-MHAD recipes share: data, augmentations, encoders, optimiser and probes.

Recipes differ in their objective alone, so a table of them compares objectives.
"""

from sensorfusion.datasets.dataset import Cached
from sensorfusion.datasets.utd_mhad import UtdMhad
from sensorfusion.encoders.heads import Projection
from sensorfusion.encoders.imu_temporal import ImuTemporal
from sensorfusion.encoders.skeleton_temporal import SkeletonTemporal
from sensorfusion.engine.schedule import Cosine
from sensorfusion.model import Pretrainer
from sensorfusion.sensors.body_augment import body_augmentations
from sensorfusion.sensors.imu import GravityDegrees
from sensorfusion.sensors.resampling import Resample
from sensorfusion.sensors.skeleton import BodyFrame
from sensorfusion.sensors.wear_augment import wear_augmentations
from torch.optim import AdamW

_prepare = [
    dict(type=GravityDegrees),
    dict(type=BodyFrame, heading=False),
    dict(type=Resample, sensors=("skeleton",), steps=64, method="linear", smooth=0.35),
    dict(type=Resample, sensors=("imu",), steps=128, method="linear", smooth=0.35),
]
_augment = [
    dict(type=body_augmentations, steps=48),
    dict(type=wear_augmentations, steps=128),
]
_recordings = dict(type=UtdMhad, subjects=(1, 3, 5), sensors=("imu", "skeleton"))

seed = 0
model = dict(
    type=Pretrainer,
    encoders=dict(
        skeleton=dict(type=SkeletonTemporal, units=("torso lengths",)),
        imu=dict(type=ImuTemporal, units=("g, deg/s",)),
    ),
    heads=dict(
        skeleton=dict(type=Projection, inputs=640),
        imu=dict(type=Projection, inputs=640),
    ),
    sensors=dict(skeleton="skeleton", imu="imu"),
)
data = dict(
    train=dict(type=Cached, dataset=_recordings, transforms=_prepare),
    transforms=_augment,
)
loader = dict(batch_size=162, drop_last=False)
optimizer = dict(type=AdamW, lr=3e-3, betas=(0.85, 0.999), weight_decay=1e-3)
schedule = dict(type=Cosine, warmup_steps=16)
train = dict(epochs=100)
evaluation = dict(
    data=dict(
        type=Cached,
        dataset=_recordings,
        transforms=[
            *_prepare,
            dict(type=Resample, sensors=("skeleton",), steps=48, method="linear"),
        ],
    ),
    augment=_augment,
    settings=dict(
        copies=8,
        # Supervised from scratch: as many epochs on the labels as the pretraining had without.
        supervised=dict(
            epochs=100,
            learning_rate=2e-3,
            schedule="cosine",
            warmup_epochs=4,
            weight_decay=1e-2,
            dropout=0.5,
            label_smoothing=0.1,
        ),
        fusion=dict(
            epochs=40,
            learning_rate=2e-3,
            schedule="cosine",
            warmup_epochs=4,
            weight_decay=1e-2,
            input_dropout=0.2,
            dropout=0.5,
            label_smoothing=0.1,
            standardise=True,
        ),
    ),
)
