"""CMC-CMKM: CMC with positives mined by frozen SimCLR teachers (Brinzea et al. 2022).

The teachers are the encoders of finished runs of simclr_imu.py and simclr_skeleton.py on the same
subjects; other places go in as options, e.g. model.teachers.imu.path=DIR/encoders/imu.
"""

from mmengine.config import read_base
from sensorfusion.objectives.layout import each_against_all
from sensorfusion.objectives.positives import MinedNeighbours
from sensorfusion.objectives.teacher import frozen

with read_base():
    from .cmc import *

_streams = ("imu", "skeleton")

model.update(
    teachers=dict(
        imu=dict(type=frozen, path="work_dirs/utd_mhad/simclr_imu/encoders/imu"),
        skeleton=dict(type=frozen, path="work_dirs/utd_mhad/simclr_skeleton/encoders/skeleton"),
    ),
    terms=dict(
        contrast=dict(
            term=dict(
                layout=each_against_all,
                reduce="in",
                intra_temperature=1.0,
                positives=dict(type=MinedNeighbours, neighbours=1, streams=_streams),
            ),
            matching=dict(
                streams=("imu", "skeleton", "teacher.imu", "teacher.skeleton"),
            ),
        ),
    ),
)
