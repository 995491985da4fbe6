"""CMC as on UTD-MHAD, on a few generated clips: it needs no files and about a minute."""

from mmengine.config import read_base

from sensorfusion.datasets.generated_motion import GeneratedMotion

with read_base():
    from ..utd_mhad.cmc import *

_clips = dict(type=GeneratedMotion, length=512, subjects=(1, 3, 5))
data.train.dataset = _clips
evaluation.data.dataset = _clips
loader.update(batch_size=32)
train.update(epochs=12)
