"""UTD-MHAD as CMC-CMKM prepares it (Brinzea et al. 2022): clips of subjects 1, 3, 5."""

from torch.optim import Adam

from sensorfusion.datasets.dataset import Cached
from sensorfusion.datasets.utd_mhad import UtdMhad
from sensorfusion.engine.schedule import Constant
from sensorfusion.sensors.imu import GravityDegrees
from sensorfusion.sensors.imu_augment import cmkm_imu_augmentations
from sensorfusion.sensors.resampling import Resample
from sensorfusion.sensors.skeleton import AnchorFirstFrame
from sensorfusion.sensors.skeleton_augment import cmkm_skeleton_augmentations

seed = 0
data = dict(
    train=dict(
        type=Cached,
        dataset=dict(type=UtdMhad, subjects=(1, 3, 5), sensors=("imu", "skeleton")),
        transforms=[
            dict(type=GravityDegrees),
            dict(type=AnchorFirstFrame),
            dict(type=Resample, sensors=("imu", "skeleton"), steps=50),
        ],
    ),
    transforms=[
        dict(type=cmkm_imu_augmentations),
        dict(type=cmkm_skeleton_augmentations),
    ],
)
loader = dict(batch_size=64)
optimizer = dict(type=Adam, lr=1e-3)
schedule = dict(type=Constant)
train = dict(epochs=100)
evaluation = dict(
    settings=dict(fusion=dict(standardise=True), supervised=dict(epochs=100)),
)
