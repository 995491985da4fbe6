"""LiDAR and cameras on the simulated world: superpixels against superpoints (SLidR), small.

A LiDAR network learns from an image network that has seen ImageNet. Needs no recordings and runs on
a laptop's CPU. The scenes of the evaluation are others than those of the pretraining.
"""

from sensorfusion.datasets.dataset import Cached
from sensorfusion.datasets.simulated import SimulatedWorld
from sensorfusion.encoders.efficientnet_lite_weights import efficientnet_lite_imagenet
from sensorfusion.encoders.heads import LinearHead
from sensorfusion.encoders.minkunet import MinkUNet
from sensorfusion.engine.schedule import Cosine
from sensorfusion.matching.superpixels import Superpixels
from sensorfusion.model import Pretrainer, Weighted
from sensorfusion.objectives.contrast import Contrast
from sensorfusion.objectives.layout import Direction
from sensorfusion.sensors.camera_segments import Superpixels as FindSuperpixels
from sensorfusion.sensors.lidar_augment import FlipXY, RotateZ
from sensorfusion.superpixels.slic import Slic
from torch.optim import AdamW

_cameras = (
    "camera.front",
    "camera.front_right",
    "camera.back_right",
    "camera.back",
    "camera.back_left",
    "camera.front_left",
)
_size = (112, 208)
_slic = dict(type=Slic, segments=100, sigma=1.0)
_train_scenes, _test_scenes = tuple(range(24)), tuple(range(100, 108))
_labelled = dict(type=SimulatedWorld, every=6.0, sensors=("lidar",), labels=True)
_turned = [dict(type=RotateZ), dict(type=FlipXY)]

seed = 0
model = dict(
    type=Pretrainer,
    encoders=dict(
        lidar=dict(
            type=MinkUNet,
            units=("m, intensity 0-1",),
            columns=("intensity",),
            voxel=(0.3, 0.3, 0.3),
            blocks=(1,) * 8,
            planes=(32, 32, 64, 64, 64, 64, 32, 32),
        ),
        camera=dict(type=efficientnet_lite_imagenet, size=_size, stride=16),
    ),
    sensors=dict(lidar="lidar", **dict.fromkeys(_cameras, "camera")),
    together=("camera",),
    frozen=("camera",),
    heads=dict(
        lidar=dict(type=LinearHead, inputs=32, width=64),
        camera=dict(type=LinearHead, inputs=112, width=64),
    ),
    terms=dict(
        contrast=dict(
            type=Weighted,
            term=dict(
                type=Contrast,
                temperature=0.1,
                layout=[
                    dict(type=Direction, anchors=("lidar",), candidates=_cameras, weight=0.5),
                    dict(type=Direction, anchors=_cameras, candidates=("lidar",), weight=0.5),
                ],
            ),
            matching=dict(type=Superpixels, cameras=_cameras),
        ),
    ),
)
data = dict(
    train=dict(
        type=Cached,
        dataset=dict(
            type=SimulatedWorld,
            scenes=_train_scenes,
            every=6.0,
            image_size=_size,
            sensors=("lidar", *_cameras),
        ),
        transforms=[
            dict(type=FindSuperpixels, sensors=_cameras, slic=_slic),
        ],
        workers=2,
    ),
    transforms=_turned,
)
loader = dict(batch_size=2)
optimizer = dict(type=AdamW, lr=4e-3, weight_decay=1e-2)
schedule = dict(type=Cosine, warmup_steps=20)
train = dict(epochs=12)
evaluation = dict(
    sensor="lidar",
    train=dict(type=Cached, dataset=dict(**_labelled, scenes=_train_scenes), workers=2),
    test=dict(type=Cached, dataset=dict(**_labelled, scenes=_test_scenes), workers=2),
    augment=_turned,
    linear=dict(points=4096, iterations=100),
    # 100 epochs of the one scan that 1 % of the labels are. Rates were chosen on scenes 200 to 205,
    # for each start the one that suits it.
    finetune=dict(steps=100, learning_rate=2e-3, head_rate=2e-3, linear_first=True),
    scratch=dict(steps=100, learning_rate=2e-2, head_rate=2e-2),
)
