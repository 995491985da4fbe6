"""Pairwise contrast of camera (depth), skeleton and IMU, each missing now and then in training."""

from mmengine.config import read_base
from sensorfusion.encoders.camera_video import CameraVideo
from sensorfusion.encoders.heads import Projection
from sensorfusion.encoders.imu_conv_transformer import ImuConvTransformer
from sensorfusion.encoders.skeleton_cooccurrence import SkeletonCooccurrence
from sensorfusion.matching.moments import Moments
from sensorfusion.model import Pretrainer, Weighted
from sensorfusion.objectives.contrast import Contrast
from sensorfusion.sensors.camera import BodyDepth, CropPerson
from sensorfusion.sensors.camera_augment import CropImage, Cutout
from sensorfusion.sensors.imu import GravityDegrees
from sensorfusion.sensors.imu_augment import cmkm_imu_augmentations
from sensorfusion.sensors.resampling import Resample
from sensorfusion.sensors.skeleton import AnchorFirstFrame
from sensorfusion.sensors.skeleton_augment import cmkm_skeleton_augmentations
from sensorfusion.sensors.views import DropSensors

with read_base():
    from .base import *

model = dict(
    type=Pretrainer,
    encoders=dict(
        camera=dict(type=CameraVideo, units=("body depth",), frames=12, size=(48, 48)),
        skeleton=dict(type=SkeletonCooccurrence, units=("distance shoulder_centre to spine",)),
        imu=dict(type=ImuConvTransformer, units=("g, deg/s",)),
    ),
    heads=dict(
        camera=dict(type=Projection, inputs=128),
        skeleton=dict(type=Projection, inputs=256),
        imu=dict(type=Projection, inputs=5632),
    ),
    sensors=dict(camera="camera", skeleton="skeleton", imu="imu"),
    terms=dict(
        contrast=dict(
            type=Weighted,
            term=dict(type=Contrast, temperature=0.1),
            matching=dict(type=Moments, streams=("camera", "skeleton", "imu")),
        ),
    ),
)
data.update(
    train=dict(
        dataset=dict(sensors=("imu", "skeleton", "camera")),
        transforms=[
            dict(type=GravityDegrees),
            dict(type=AnchorFirstFrame),
            dict(type=Resample, sensors=("imu", "skeleton"), steps=50),
            dict(type=Resample, sensors=("camera",), steps=12, method="nearest"),
            dict(type=CropPerson, size=(48, 48), rows=120),
            dict(type=BodyDepth),
        ],
    ),
    transforms=[
        dict(type=DropSensors, p=dict(camera=0.1, skeleton=0.1, imu=0.1)),
        dict(type=cmkm_imu_augmentations),
        dict(type=cmkm_skeleton_augmentations),
        dict(type=CropImage, p=0.75),
        dict(type=Cutout, p=0.5),
    ],
)
