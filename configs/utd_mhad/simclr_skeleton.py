"""SimCLR on skeletons alone: two augmented views of each (Chen et al. 2020)."""

from mmengine.config import read_base
from sensorfusion.encoders.skeleton_temporal import SkeletonTemporal
from sensorfusion.encoders.heads import Projection
from sensorfusion.matching.moments import Moments
from sensorfusion.model import Pretrainer, Weighted
from sensorfusion.objectives.contrast import Contrast
from sensorfusion.objectives.layout import joint
from sensorfusion.sensors.views import Views
from sensorfusion.sensors.body_augment import body_augmentations

with read_base():
    from .base import *

model = dict(
    type=Pretrainer,
    encoders=dict(skeleton=dict(type=SkeletonTemporal, units=("torso lengths",))),
    heads=dict(skeleton=dict(type=Projection, inputs=640)),
    sensors={"skeleton.1": "skeleton", "skeleton.2": "skeleton"},
    terms=dict(
        contrast=dict(
            type=Weighted,
            term=dict(type=Contrast, layout=joint, temperature=0.1),
            matching=dict(type=Moments, streams=("skeleton.1", "skeleton.2")),
        ),
    ),
)
_augment = [dict(type=body_augmentations, steps=48)]
data.update(transforms=[dict(type=Views, sensor="skeleton", views={"1": _augment, "2": _augment})])
data.train.dataset.update(sensors=("skeleton",))
evaluation.data.dataset.update(sensors=("skeleton",))
evaluation.update(augment=_augment)
