from sensorfusion.objectives.contrast import Contrast
from sensorfusion.objectives.layout import Direction
from tests.golden.objectives.common import assert_close, gradients, leaf, loss_of


def check(arrays, hyper, tolerance):
    image, report = leaf(arrays["image"]), leaf(arrays["report"])
    # The released code adds the two directions up instead of averaging them.
    both = [Direction(("image",), ("report",)), Direction(("report",), ("image",))]
    term = Contrast(layout=both, temperature=hyper["tg"])
    loss = loss_of(term, {"image": image, "report": report})
    assert_close(loss, arrays["loss_ita"], tolerance["loss"], "ita")
    d_image, d_report = gradients(loss, image, report)
    assert_close(d_image, arrays["grad_ita_image"], tolerance["grad"], "grad ita image")
    assert_close(d_report, arrays["grad_ita_report"], tolerance["grad"], "grad ita report")
