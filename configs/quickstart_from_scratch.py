"""The quickstart with an image network that has seen nothing before, trained with the other one."""

from mmengine.config import read_base

from sensorfusion.encoders.camera_pyramid import CameraPyramid

with read_base():
    from .quickstart import *

model.encoders.camera = dict(
    type=CameraPyramid, size=model.encoders.camera.size, channels=(16, 32, 64), width=64
)
model.heads.camera.inputs = 64
model.frozen = ()
optimizer.lr = 2e-3
