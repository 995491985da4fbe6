import math

from sensorfusion.objectives.contrast import Contrast
from tests.golden.objectives.common import assert_close, gradients, leaf, loss_of


def check(arrays, hyper, tolerance):
    x, y = leaf(arrays["x"]), leaf(arrays["y"])
    term = Contrast(temperature=math.exp(-float(arrays["log_scale"])))
    loss = loss_of(term, {"x": x, "y": y})
    assert_close(loss, arrays["loss_contrast"], tolerance["loss"], "contrast")
    for name, value in zip("xy", gradients(loss, x, y), strict=True):
        expected = arrays[f"grad_contrast_{name}"]
        assert_close(value, expected, tolerance["grad"], f"grad contrast {name}")
