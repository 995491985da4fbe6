from sensorfusion.objectives.contrast import Contrast
from sensorfusion.objectives.layout import OneToMany
from sensorfusion.objectives.positives import SameMoment
from sensorfusion.objectives.temperature import Temperature
from tests.golden.objectives.common import assert_close, gradients, leaf, loss_of


def check(arrays, hyper, tolerance):
    image, text, temp = leaf(arrays["image"]), leaf(arrays["text"]), float(arrays["temp"])
    of_image = text.unflatten(0, (-1, hyper["K"])).unbind(1)
    columns = {"image": image, **{f"text{k}": rows for k, rows in enumerate(of_image)}}

    temperature = Temperature(temp, learned=True, bounds=(1e-4, 10)).double()
    temperature.log_scale.data.fill_(1 / temp).log_()
    released = OneToMany("image", weights=(0.5, 0.5 / hyper["K"]))
    term = Contrast(layout=released, temperature=temperature, unit_length=False)
    loss = loss_of(term, columns)
    assert_close(loss, arrays["loss"], tolerance["loss"], "loss")
    d_image, d_text, d_log_scale = gradients(loss, image, text, temperature.log_scale)
    assert_close(d_image, arrays["grad_image"], tolerance["grad"], "grad image")
    assert_close(d_text, arrays["grad_text"], tolerance["grad"], "grad text")
    assert_close(-d_log_scale / temp, arrays["grad_temp"], tolerance["grad"], "grad temp")

    for name, weights in (("loss_i2t", (1.0, 0.0)), ("loss_t2i", (0.0, 1.0))):
        one = Contrast(
            layout=OneToMany("image", weights),
            positives=SameMoment(mean=False),
            temperature=temp,
            unit_length=False,
        )
        assert_close(loss_of(one, columns), arrays[name], tolerance["loss"], name)

    pair = Contrast(("image", "text0"), temperature=temp, unit_length=False)
    assert_close(loss_of(pair, columns), arrays["loss_pair"], tolerance["loss"], "loss_pair")
