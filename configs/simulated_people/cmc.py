"""CMC as on UTD-MHAD, on simulated people: it needs no files and about two minutes."""

from mmengine.config import read_base

from sensorfusion.datasets.simulated_people import SimulatedPeople

with read_base():
    from ..utd_mhad.cmc import *

_clips = dict(type=SimulatedPeople, length=768, subjects=(1, 3, 5, 7, 9, 11))
data.train.dataset = _clips
evaluation.data.dataset = _clips
evaluation.settings.update(copies=2)
loader.update(batch_size=64)
train.update(epochs=20)
