"""The best that we found for skeleton and IMU.

Two augmented views of each sensor in one softmax; negatives are other clips of the same subject
only, so nothing is gained by recognising who moves; after a while the clips of other subjects that
correspond best (one-to-one assignment, no labels) are positives too.
"""

from mmengine.config import read_base
from sensorfusion.matching.moments import Moments
from sensorfusion.model import Weighted
from sensorfusion.objectives.assignment import AssignedAcross
from sensorfusion.objectives.contrast import Contrast
from sensorfusion.objectives.layout import joint
from sensorfusion.objectives.negatives import ByKey, Others
from sensorfusion.sensors.body_augment import body_augmentations
from sensorfusion.sensors.views import Views
from sensorfusion.sensors.wear_augment import wear_augmentations

with read_base():
    from .base import *

_streams = ("skeleton.1", "skeleton.2", "imu.1", "imu.2")
_skeleton = [dict(type=body_augmentations, steps=48)]
_imu = [dict(type=wear_augmentations, steps=128)]

model.sensors = {stream: stream.split(".")[0] for stream in _streams}
model.update(
    terms=dict(
        contrast=dict(
            type=Weighted,
            term=dict(
                type=Contrast,
                layout=joint,
                temperature=0.1,
                normaliser="own",
                positives=dict(type=AssignedAcross, size=861, start=60, every=8),
                negatives=dict(
                    type=Others, factors=(dict(type=ByKey, key="keys.subject", other=0.0),)
                ),
            ),
            matching=dict(type=Moments, streams=_streams),
        ),
    ),
)
data.update(
    transforms=[
        dict(type=Views, sensor="skeleton", views={"1": _skeleton, "2": _skeleton}),
        dict(type=Views, sensor="imu", views={"1": _imu, "2": _imu}),
    ],
)
