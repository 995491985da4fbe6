from sensorfusion.objectives.contrast import Contrast
from sensorfusion.objectives.kernel import Hardness
from sensorfusion.objectives.layout import joint
from tests.golden.objectives.common import assert_close, gradients, leaf, loss_of


def check(arrays, hyper, tolerance):
    easy = hyper.get("estimator", "hard") == "easy"
    hardness = None if easy else Hardness(hyper["beta"], hyper["tau_plus"])
    first, second = leaf(arrays["out1"]), leaf(arrays["out2"])
    term = Contrast(layout=joint, temperature=hyper["tau"], hardness=hardness, unit_length=False)
    loss = loss_of(term, {"out1": first, "out2": second})
    assert_close(loss, arrays["loss"], tolerance["loss"], "loss")
    for key, value in zip(("out1", "out2"), gradients(loss, first, second), strict=True):
        assert_close(value, arrays[f"grad_{key}"], tolerance["grad"], f"grad {key}")
