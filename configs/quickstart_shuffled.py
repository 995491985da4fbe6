"""The quickstart with shuffled pairs: a control, whose gain should be gone."""

from mmengine.config import read_base

from sensorfusion.matching.shuffled import Shuffled

with read_base():
    from .quickstart import *

model.terms.contrast.matching = dict(type=Shuffled, matching=model.terms.contrast.matching)
