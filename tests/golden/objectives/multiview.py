import torch

from sensorfusion.objectives.contrast import Contrast
from sensorfusion.objectives.layout import joint, joint_pairs
from sensorfusion.objectives.negatives import Others
from sensorfusion.objectives.positives import SameMoment
from tests.golden.objectives.common import assert_close, gradients, leaf, loss_of

DHEL = {
    "reduce": "in",
    "group": "product",
    "normaliser": "none",
    "negatives": Others("same"),
    "positives": SameMoment(value=0.5),
}
SETTINGS = {
    "mv_infonce": {"layout": joint, "reduce": "in", "group": "sum"},
    "mv_dhel": {"layout": joint, **DHEL},
    "ntxent_mv": {"layout": joint},
    "ntxent_pwe": {"layout": joint_pairs},
    "dhel_pwe": {"layout": joint_pairs, **DHEL},
}


def check(arrays, hyper, tolerance):
    assert {key[5:] for key in arrays if key.startswith("loss_")} == set(SETTINGS)
    for name, chosen in SETTINGS.items():
        z = leaf(arrays["z"])
        term = Contrast(temperature=hyper["tau"], **chosen)
        loss = loss_of(term, {f"view{k}": view for k, view in enumerate(z.unbind())})
        assert_close(loss, arrays[f"loss_{name}"], tolerance["loss"], name)
        (gradient,) = gradients(loss, z)
        assert_close(gradient, arrays[f"grad_{name}"], tolerance["grad"], f"grad {name}")
        assert torch.isfinite(gradient).all()
