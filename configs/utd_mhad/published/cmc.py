"""CMC with the encoders, preparation and augmentations of CMC-CMKM (Brinzea et al. 2022)."""

from mmengine.config import read_base

from sensorfusion.encoders.heads import Projection
from sensorfusion.encoders.imu_conv_transformer import ImuConvTransformer
from sensorfusion.encoders.skeleton_cooccurrence import SkeletonCooccurrence
from sensorfusion.matching.moments import Moments
from sensorfusion.model import Pretrainer, Weighted
from sensorfusion.objectives.contrast import Contrast

with read_base():
    from .base import *

model = dict(
    type=Pretrainer,
    encoders=dict(
        imu=dict(type=ImuConvTransformer, units=("g, deg/s",)),
        skeleton=dict(type=SkeletonCooccurrence, units=("distance shoulder_centre to spine",)),
    ),
    heads=dict(
        imu=dict(type=Projection, inputs=5632),
        skeleton=dict(type=Projection, inputs=256),
    ),
    sensors=dict(imu="imu", skeleton="skeleton"),
    terms=dict(
        contrast=dict(
            type=Weighted,
            term=dict(type=Contrast, temperature=0.1),
            matching=dict(type=Moments, streams=("imu", "skeleton")),
        ),
    ),
)
