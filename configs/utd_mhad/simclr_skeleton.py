"""SimCLR on skeletons alone: two augmented views of each (settings of CMC-CMKM)."""

from mmengine.config import read_base
from sensorfusion.encoders.heads import Projection
from sensorfusion.encoders.skeleton_cooccurrence import SkeletonCooccurrence
from sensorfusion.matching.moments import Moments
from sensorfusion.model import Pretrainer, Weighted
from sensorfusion.objectives.contrast import Contrast
from sensorfusion.objectives.layout import joint
from sensorfusion.sensors.skeleton_augment import cmkm_skeleton_augmentations
from sensorfusion.sensors.views import Views

with read_base():
    from .base import *

model = dict(
    type=Pretrainer,
    encoders=dict(
        skeleton=dict(type=SkeletonCooccurrence, units=("distance shoulder_centre to spine",))
    ),
    heads=dict(skeleton=dict(type=Projection, inputs=256)),
    sensors={"skeleton.1": "skeleton", "skeleton.2": "skeleton"},
    terms=dict(
        contrast=dict(
            type=Weighted,
            term=dict(type=Contrast, layout=joint, temperature=0.5),
            matching=dict(type=Moments, streams=("skeleton.1", "skeleton.2")),
        ),
    ),
)
_augment = (dict(type=cmkm_skeleton_augmentations),)
data.update(transforms=[dict(type=Views, sensor="skeleton", views={"1": _augment, "2": _augment})])
data.train.dataset.update(sensors=("skeleton",))
loader.update(batch_size=32)
train.update(epochs=300)
