"""SimCLR on skeletons with the published co-occurrence encoder; all else as in simclr_skeleton.py.

What our encoder brings over that of CMC-CMKM when data, augmentations, objective, optimiser and
length of training are the same. The learning rate is the one chosen for ours.
"""

from mmengine.config import read_base
from sensorfusion.encoders.skeleton_cooccurrence import SkeletonCooccurrence

with read_base():
    from .simclr_skeleton import *

model.encoders.skeleton = dict(type=SkeletonCooccurrence, units=("torso lengths",), rows=48)
model.heads.skeleton.inputs = 256
