"""The best that we found for skeleton, IMU and depth camera: best.py, and a camera that joins it.

Skeleton and IMU stay as a finished run of best.py on the same subjects left them (Zhai et al.
2022, "LiT"); the camera learns, without labels, to agree with them, and its token holds nothing
but what it agrees on. Their encoders and the camera's together are the model.

The run of best.py is expected in its default folder; another one goes in as options,
model.teachers.skeleton.path=DIR/encoders/skeleton model.teachers.imu.path=DIR/encoders/imu.
"""

from mmengine.config import read_base
from sensorfusion.encoders.camera_projections import CameraProjections
from sensorfusion.matching.moments import Moments
from sensorfusion.model import Pretrainer, Weighted
from sensorfusion.objectives.assignment import AssignedAcross
from sensorfusion.objectives.contrast import Contrast
from sensorfusion.objectives.layout import joint
from sensorfusion.objectives.negatives import ByKey, Others
from sensorfusion.objectives.teacher import frozen
from sensorfusion.sensors.camera_augment import Cutout
from sensorfusion.sensors.camera_surface import SURFACE, BodySurface, CropBody
from sensorfusion.sensors.camera_surface_augment import MoveSurface
from sensorfusion.sensors.resampling import Resample
from sensorfusion.sensors.time_augment import CropWarp

with read_base():
    from .best import *

_rows = 17
_streams = ("camera", "teacher.skeleton", "teacher.imu")
_sensors = ("imu", "skeleton", "camera")
_prepare_camera = [
    dict(type=BodySurface),
    dict(type=CropBody, size=(40, 32)),
    dict(type=Resample, sensors=("camera",), steps=32, method="linear", smooth=0.35),
]
_camera = [
    dict(type=CropWarp, sensors=("camera",), steps=_rows, keep_first=True),
    dict(
        type=MoveSurface,
        turn=25.0,
        tilt=8.0,
        roll=5.0,
        size=0.1,
        stretch=0.12,
        shift=0.07,
        offset=0.2,
    ),
    dict(type=Cutout, share=0.3, p=0.5),
]

model = dict(
    type=Pretrainer,
    encoders=dict(camera=dict(type=CameraProjections, units=(SURFACE,), rows=_rows)),
    teachers=dict(
        skeleton=dict(type=frozen, path="work_dirs/utd_mhad/best/encoders/skeleton", project=True),
        imu=dict(type=frozen, path="work_dirs/utd_mhad/best/encoders/imu", project=True),
    ),
    sensors=dict(camera="camera", skeleton="skeleton", imu="imu"),
    terms=dict(
        contrast=dict(
            type=Weighted,
            term=dict(
                type=Contrast,
                streams=_streams,
                layout=joint,
                temperature=0.1,
                normaliser="own",
                positives=dict(type=AssignedAcross, size=861, start=20, every=8),
                negatives=dict(
                    type=Others, factors=(dict(type=ByKey, key="keys.subject", other=0.0),)
                ),
            ),
            matching=dict(type=Moments, streams=_streams),
        ),
    ),
)
data.train.dataset.sensors = _sensors
data.train.transforms = [*data.train.transforms, *_prepare_camera]
data.transforms = [*evaluation.augment, *_camera]
evaluation.data.dataset.sensors = _sensors
evaluation.data.transforms = [
    *evaluation.data.transforms,
    *_prepare_camera,
    dict(type=Resample, sensors=("camera",), steps=_rows, method="linear"),
]
evaluation.augment = [*evaluation.augment, *_camera]
train.epochs = 120
# The camera alone is right less often than the others: the probe shall not lean on it alone.
evaluation.settings.fusion.sensor_dropout = 0.25
