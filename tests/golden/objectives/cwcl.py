from sensorfusion.objectives.contrast import Contrast
from sensorfusion.objectives.layout import Direction
from sensorfusion.objectives.positives import SameMoment, SoftSimilarity
from sensorfusion.objectives.temperature import Temperature
from tests.golden.objectives.common import assert_close, gradients, leaf, loss_of


def check(arrays, hyper, tolerance):
    channels = arrays["images"].shape[1]
    to_text = SoftSimilarity("images", channels=channels, detach=False)
    to_image = {
        "": SameMoment(),
        "_bi": SoftSimilarity("text", detach=False, mean=False),
    }
    for suffix, back in to_image.items():
        images = leaf(arrays["images"])
        image, text = leaf(arrays["image_features"]), leaf(arrays["text_features"])
        log_scale = float(arrays["log_scale"])
        temperature = Temperature(0.1, learned=True).double()
        temperature.log_scale.data.fill_(log_scale)
        layout = [
            Direction(("image",), ("text",), positives=to_text),
            Direction(("text",), ("image",), positives=back),
        ]
        term = Contrast(layout=layout, temperature=temperature, unit_length=False)
        loss = loss_of(term, {"image": image, "text": text, "images": images.flatten(1)})
        assert_close(loss, arrays[f"loss{suffix}"], tolerance["loss"], f"loss{suffix}")
        found = gradients(loss, images, image, text, temperature.log_scale)
        names = ("images", "image_features", "text_features", "log_scale")
        for name, value in zip(names, found, strict=True):
            expected = arrays[f"grad{suffix}_{name}"]
            assert_close(value, expected, tolerance["grad"], f"grad{suffix} {name}")
