"""The table of UTD-MHAD: every recipe, by leave-one-subject-out, and in the final test.

python tools/table.py configs/utd_mhad/table.py                 # choices
python tools/table.py configs/utd_mhad/table.py --stage test    # the final test
"""

_README = "results table of the CMC-CMKM repository (Brinzea et al. 2022), subjects 2, 4, 6, 8"
_TEACHERS = dict(imu="simclr_imu", skeleton="simclr_skeleton")
_EVERYTHING = ("fusion", "linear", "knn", "fractions", "single-sensor", "retrieval")

choose = dict(split="loso:1,3,5,7", seeds=(0,), floors=("random", "raw"))
test = dict(split="1,3,5/2,4,6,8", seeds=(0, 1, 2, 3, 4))
subjects = "data.train.dataset.subjects"
floors = ("random", "raw", "supervised")

# Hard negatives: concentration beta by class prior tau_plus, ranked with two seeds; the best two
# go on to the final test.
groups = dict(cmc_hard=dict(best=2, coarse=(0, 1)))
_grid = [
    dict(
        name=f"cmc_hard-beta{beta:g}-tau{tau_plus:g}",
        config="cmc_hard.py",
        group="cmc_hard",
        options={
            "model.terms.contrast.term.hardness.beta": beta,
            "model.terms.contrast.term.hardness.tau_plus": tau_plus,
        },
    )
    for beta in (0.5, 1.0, 2.0)
    for tau_plus in (0.0, 0.1)
]

rows = [
    dict(
        name="simclr_imu",
        config="simclr_imu.py",
        published=dict(value=72.09, source=_README),
    ),
    dict(
        name="simclr_skeleton",
        config="simclr_skeleton.py",
        published=dict(value=95.11, source=_README),
    ),
    dict(
        name="cmc",
        config="cmc.py",
        protocols=_EVERYTHING,
        published=dict(value=96.04, source=_README),
    ),
    dict(
        name="cmc_published_encoders",
        config="published/cmc.py",
        published=dict(value=96.04, source=_README),
        note="the encoders, preparation and augmentations of the published CMC-CMKM",
    ),
    *_grid,
    dict(
        name="cmc_cmkm",
        config="cmc_cmkm.py",
        teachers=_TEACHERS,
        protocols=_EVERYTHING,
        published=dict(value=97.67, source=_README),
    ),
    dict(name="mv_dhel", config="mv_dhel.py"),
    dict(name="symile", config="symile.py", protocols=("fusion", "retrieval")),
    dict(name="pairwise", config="pairwise.py", protocols=("fusion", "retrieval")),
    dict(name="best", config="best.py", protocols=_EVERYTHING),
    dict(
        name="best_camera",
        config="best_camera.py",
        teachers=dict(imu="best", skeleton="best"),
        protocols=_EVERYTHING,
    ),
]
references = [
    dict(name="supervised fusion", sensors=("imu", "skeleton"), value=97.21, source=_README),
    dict(name="supervised inertial", sensors=("imu",), value=76.74, source=_README),
    dict(name="supervised skeleton", sensors=("skeleton",), value=94.65, source=_README),
]
