from sensorfusion.objectives.contrast import Contrast
from sensorfusion.objectives.layout import Direction
from sensorfusion.objectives.temperature import Temperature
from tests.golden.objectives.common import assert_close, gradients, leaf, loss_of


def check(arrays, hyper, tolerance):
    image, text = leaf(arrays["image"]), leaf(arrays["text"])
    scale = float(arrays["logit_scale"])
    temperature = Temperature(
        1 / scale, learned=True, bounds=(1e-4, 10), bias=float(arrays["logit_bias"])
    ).double()
    temperature.log_scale.data.fill_(scale).log_()
    term = Contrast(
        layout=[Direction(("image",), ("text",))],
        temperature=temperature,
        link="sigmoid",
        unit_length=False,
    )
    loss = loss_of(term, {"image": image, "text": text})
    assert_close(loss, arrays["loss"], tolerance["loss"], "loss")
    found = gradients(loss, image, text, temperature.log_scale, temperature.bias)
    found[2] = found[2] / scale
    for value, name in zip(found, ("image", "text", "logit_scale", "logit_bias"), strict=True):
        assert_close(value, arrays[f"grad_{name}"], tolerance["grad"], f"grad {name}")
