from sensorfusion.objectives.contrast import Contrast
from sensorfusion.objectives.temperature import Temperature
from tests.golden.objectives.common import assert_close, gradients, leaf, loss_of


def check(arrays, hyper, tolerance):
    image, text = leaf(arrays["image"]), leaf(arrays["text"])
    scale, bias = float(arrays["logit_scale"]), float(arrays["logit_bias"])
    biased = bias == bias
    temperature = Temperature(
        1 / scale, learned=True, bounds=(1e-4, 10), bias=bias if biased else None
    )
    term = Contrast(temperature=temperature.double(), unit_length=False)
    temperature.log_scale.data.fill_(scale).log_()
    loss = loss_of(term, {"image": image, "text": text})
    assert_close(loss, arrays["loss"], tolerance["loss"], "loss")
    learned = [temperature.log_scale] + ([temperature.bias] if biased else [])
    d_image, d_text, d_log_scale, *d_bias = gradients(loss, image, text, *learned)
    assert_close(d_image, arrays["grad_image"], tolerance["grad"], "grad image")
    assert_close(d_text, arrays["grad_text"], tolerance["grad"], "grad text")
    assert_close(d_log_scale / scale, arrays["grad_logit_scale"], tolerance["grad"], "grad scale")
    if biased:
        assert_close(d_bias[0], arrays["grad_logit_bias"], tolerance["grad"], "grad bias")
