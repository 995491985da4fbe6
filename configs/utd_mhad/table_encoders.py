"""Skeleton encoders under equal conditions: ours and the published one, by leave-one-subject-out.

python tools/table.py configs/utd_mhad/table_encoders.py

A run with ours takes 2 minutes on one core, with the published one 12.
"""

choose = dict(split="loso:1,3,5,7", seeds=(0,))
test = dict(split="1,3,5/2,4,6,8", seeds=(0, 1, 2, 3, 4))
subjects = "data.train.dataset.subjects"
floors = ("random", "raw")
rows = [
    dict(name="simclr_skeleton", config="simclr_skeleton.py"),
    dict(
        name="simclr_skeleton_cooccurrence",
        config="simclr_skeleton_cooccurrence.py",
        note="the encoder of the published CMC-CMKM; all else as in simclr_skeleton",
    ),
]
