"""The best that we found for skeleton and IMU.

Two augmented views of each sensor in one softmax; negatives are other clips of the same subject
only, so nothing is gained by recognising who moves; after a while the clips of other subjects that
correspond best (one-to-one assignment, no labels) are positives too.
"""

from sensorfusion.datasets.dataset import Cached
from sensorfusion.datasets.utd_mhad import UtdMhad
from sensorfusion.encoders.heads import Projection
from sensorfusion.encoders.imu_temporal import ImuTemporal
from sensorfusion.encoders.skeleton_temporal import SkeletonTemporal
from sensorfusion.engine.schedule import Cosine
from sensorfusion.matching.moments import Moments
from sensorfusion.model import Pretrainer, Weighted
from sensorfusion.objectives.assignment import AssignedAcross
from sensorfusion.objectives.contrast import Contrast
from sensorfusion.objectives.layout import joint
from sensorfusion.objectives.negatives import ByKey, Others
from sensorfusion.sensors.body_augment import OffsetJoints, ScaleAmplitude, ScaleLimbs, TurnBody
from sensorfusion.sensors.imu import GravityDegrees
from sensorfusion.sensors.imu_augment import JitterImu
from sensorfusion.sensors.resampling import Resample
from sensorfusion.sensors.skeleton import BodyFrame
from sensorfusion.sensors.skeleton_augment import JitterSkeleton
from sensorfusion.sensors.time_augment import CropWarp, ScaleFastMotion
from sensorfusion.sensors.views import Views
from sensorfusion.sensors.wear_augment import OffsetImu, ScaleSpeed, TiltImu
from torch.optim import AdamW

_streams = ("skeleton.1", "skeleton.2", "imu.1", "imu.2")
_skeleton = [
    dict(type=CropWarp, sensors=("skeleton",), steps=48),
    dict(type=ScaleFastMotion, sensors=("skeleton",)),
    dict(type=ScaleAmplitude),
    dict(type=ScaleLimbs),
    dict(type=TurnBody),
    dict(type=OffsetJoints),
    dict(type=JitterSkeleton, sigma=0.009),
]
_imu = [
    dict(type=CropWarp, sensors=("imu",), steps=128),
    dict(type=ScaleFastMotion, sensors=("imu",)),
    dict(type=TiltImu),
    dict(type=ScaleSpeed),
    dict(type=OffsetImu, sigma=(0.05, 7.5)),
    dict(type=JitterImu, sigma=(0.05, 7.5)),
]
_prepare = [
    dict(type=GravityDegrees),
    dict(type=BodyFrame, heading=False),
]

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
    sensors={
        "skeleton.1": "skeleton",
        "skeleton.2": "skeleton",
        "imu.1": "imu",
        "imu.2": "imu",
    },
    terms=dict(
        contrast=dict(
            type=Weighted,
            term=dict(
                type=Contrast,
                layout=joint,
                temperature=0.1,
                normaliser="own",
                positives=dict(type=AssignedAcross, size=861, start=32, every=8),
                negatives=dict(
                    type=Others, factors=(dict(type=ByKey, key="keys.subject", other=0.0),)
                ),
            ),
            matching=dict(type=Moments, streams=_streams),
        ),
    ),
)
data = dict(
    train=dict(
        type=Cached,
        dataset=dict(type=UtdMhad, subjects=(1, 3, 5), sensors=("imu", "skeleton")),
        transforms=[
            *_prepare,
            dict(type=Resample, sensors=("skeleton",), steps=64, method="linear", smooth=0.35),
            dict(type=Resample, sensors=("imu",), steps=128, method="linear", smooth=0.35),
        ],
    ),
    transforms=[
        dict(type=Views, sensor="skeleton", views={"1": _skeleton, "2": _skeleton}),
        dict(type=Views, sensor="imu", views={"1": _imu, "2": _imu}),
    ],
)
loader = dict(batch_size=162, drop_last=False)
optimizer = dict(type=AdamW, lr=3e-3, weight_decay=1e-3)
schedule = dict(type=Cosine, warmup_steps=8)
train = dict(epochs=40)
evaluation = dict(
    data=dict(
        type=Cached,
        dataset=dict(type=UtdMhad, subjects=(1, 3, 5), sensors=("imu", "skeleton")),
        transforms=[
            *_prepare,
            dict(type=Resample, sensors=("skeleton",), steps=48, method="linear", smooth=0.35),
            dict(type=Resample, sensors=("imu",), steps=128, method="linear", smooth=0.35),
        ],
    ),
    augment=[*_skeleton, *_imu],
    settings=dict(
        copies=8,
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
