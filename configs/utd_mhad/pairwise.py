"""Pairwise contrast of camera (depth), skeleton and IMU, each missing now and then in training."""

from mmengine.config import read_base
from sensorfusion.encoders.camera_video import CameraVideo
from sensorfusion.encoders.heads import Projection
from sensorfusion.matching.moments import Moments
from sensorfusion.model import Weighted
from sensorfusion.objectives.contrast import Contrast
from sensorfusion.sensors.body_augment import body_augmentations
from sensorfusion.sensors.camera import BodyDepth, CropPerson
from sensorfusion.sensors.camera_augment import CropImage, Cutout
from sensorfusion.sensors.resampling import Resample
from sensorfusion.sensors.views import DropSensors
from sensorfusion.sensors.wear_augment import wear_augmentations

with read_base():
    from .base import *

_camera = [
    dict(type=Resample, sensors=("camera",), steps=12, method="nearest"),
    dict(type=CropPerson, size=(48, 48), rows=120),
    dict(type=BodyDepth),
]
_augment = [
    dict(type=body_augmentations, steps=48),
    dict(type=wear_augmentations, steps=128),
    dict(type=CropImage, p=0.75),
    dict(type=Cutout, p=0.5),
]

model.update(
    encoders=dict(
        camera=dict(type=CameraVideo, units=("body depth",), frames=12, size=(48, 48)),
    ),
    heads=dict(camera=dict(type=Projection, inputs=128)),
    sensors=dict(camera="camera"),
    terms=dict(
        contrast=dict(
            type=Weighted,
            term=dict(type=Contrast, temperature=0.1),
            matching=dict(type=Moments, streams=("camera", "skeleton", "imu")),
        ),
    ),
)
data.train.dataset.update(sensors=("imu", "skeleton", "camera"))
data.train.transforms = [*data.train.transforms, *_camera]
data.transforms = [
    dict(type=DropSensors, p=dict(camera=0.1, skeleton=0.1, imu=0.1)),
    *_augment,
]
evaluation.data.dataset.update(sensors=("imu", "skeleton", "camera"))
evaluation.data.transforms = [*evaluation.data.transforms, *_camera]
evaluation.update(augment=_augment)
