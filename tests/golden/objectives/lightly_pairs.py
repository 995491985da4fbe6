from sensorfusion.objectives.contrast import Contrast
from sensorfusion.objectives.layout import joint
from sensorfusion.objectives.positives import SameMoment, WeightedPair
from tests.golden.objectives.common import assert_close, gradients, leaf, loss_of


def check(arrays, hyper, tolerance):
    settings = {
        "ntxent": {},
        "dcl": {"normaliser": "none"},
        "dclw": {"normaliser": "none", "positives": WeightedPair(sigma=0.5)},
    }
    for name, chosen in settings.items():
        chosen.setdefault("positives", SameMoment())
        first, second = leaf(arrays["out0"]), leaf(arrays["out1"])
        term = Contrast(layout=joint, temperature=hyper["tau"], **chosen)
        loss = loss_of(term, {"out0": first, "out1": second})
        assert_close(loss, arrays[f"loss_{name}"], tolerance["loss"], name)
        for key, value in zip(("out0", "out1"), gradients(loss, first, second), strict=True):
            assert_close(value, arrays[f"grad_{name}_{key}"], tolerance["grad"], f"{name} {key}")
