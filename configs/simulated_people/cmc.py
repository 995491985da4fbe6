"""CMC as on UTD-MHAD, on a few simulated clips: it needs no files and a few minutes."""

from mmengine.config import read_base

from sensorfusion.datasets.simulated_people import SimulatedPeople

with read_base():
    from ..utd_mhad.cmc import *

data["train"]["dataset"] = dict(type=SimulatedPeople, length=768, subjects=(1, 2, 3, 4, 5, 6, 7, 8))
loader.update(batch_size=64)
train.update(epochs=20)
evaluation["data"]["dataset"] = data["train"]["dataset"]
