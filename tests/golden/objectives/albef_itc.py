import torch

from sensorfusion.objectives.contrast import Contrast
from sensorfusion.objectives.layout import Direction
from sensorfusion.objectives.positives import MomentumTargets
from sensorfusion.objectives.temperature import Temperature
from tests.golden.objectives.common import (
    assert_close,
    constant,
    gradients,
    leaf,
    streams,
)

STREAMS = ("image", "text")


def fill(term, arrays):
    """Put the recorded queue in place, its oldest entry where the recorded pointer is."""
    for name in STREAMS:
        queue = term.queues[f"teacher/{name}"]
        queue.rows.copy_(constant(arrays[f"{name}_queue"].T))
        queue.filled.fill_(len(queue.rows))
        queue.position.fill_(int(arrays["ptr"]) if "ptr" in arrays else 0)


def check(arrays, hyper, tolerance):
    temp, alpha = float(arrays["temp"]), float(arrays["alpha"])
    columns = {
        "image": leaf(arrays["image"]),
        "text": leaf(arrays["text"]),
        "teacher.image": constant(arrays["image_m"]),
        "teacher.text": constant(arrays["text_m"]),
    }
    temperature = Temperature(temp, learned=True, bounds=(0.001, 0.5)).double()
    temperature.log_scale.data.fill_(1 / temp).log_()
    term = Contrast(
        layout=[
            Direction(("image",), ("teacher.text",), weight=0.5),
            Direction(("text",), ("teacher.image",), weight=0.5),
        ],
        temperature=temperature,
        positives=MomentumTargets(alpha, streams=STREAMS),
        queue=arrays["image_queue"].shape[1],
        queue_width=arrays["image_queue"].shape[0],
    ).double()
    fill(term, arrays)
    features, correspondence = streams(columns)
    loss = term(features, correspondence, {})["contrast"]
    assert_close(loss, arrays["loss"], tolerance["loss"], "loss")
    image, text = columns["image"], columns["text"]
    d_image, d_text, d_log_scale = gradients(loss, image, text, temperature.log_scale)
    assert_close(d_image, arrays["grad_image"], tolerance["grad"], "grad image")
    assert_close(d_text, arrays["grad_text"], tolerance["grad"], "grad text")
    assert_close(-d_log_scale / temp, arrays["grad_temp"], tolerance["grad"], "grad temp")

    for name in STREAMS:
        queue = term.queues[f"teacher/{name}"]
        assert_close(queue.rows.T, arrays[f"{name}_queue_after"], tolerance["loss"], "queue")
        assert int(queue.position) == int(arrays["ptr_after"])

    for way, (anchor, other) in {"i2t": STREAMS, "t2i": STREAMS[::-1]}.items():
        one = Contrast(
            layout=[Direction((anchor,), (f"teacher.{other}",))],
            temperature=temp,
            positives=MomentumTargets(alpha, streams=STREAMS),
            queue=arrays["image_queue"].shape[1],
            queue_width=arrays["image_queue"].shape[0],
        ).double()
        one.queues[f"teacher/{other}"].rows.copy_(constant(arrays[f"{other}_queue"].T))
        one.queues[f"teacher/{other}"].filled.fill_(arrays["image_queue"].shape[1])
        with torch.no_grad():
            value = one(features, correspondence, {})["contrast"]
        assert_close(value, arrays[f"loss_{way}"], tolerance["loss"], way)
