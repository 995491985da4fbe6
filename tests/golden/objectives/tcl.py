import torch
from torch.nn.functional import avg_pool2d

from sensorfusion.objectives.contrast import Contrast
from sensorfusion.objectives.layout import Direction
from sensorfusion.objectives.positives import MomentumTargets, SameMoment
from sensorfusion.objectives.temperature import Temperature
from tests.golden.objectives.albef_itc import STREAMS
from tests.golden.objectives.common import assert_close, constant, gradients, leaf, streams


def locals_of(patches_BPD):
    """Pooled regions of a teacher's patch grid; neither side is normalised again."""
    side = round(patches_BPD.shape[1] ** 0.5)
    grid = patches_BPD.transpose(1, 2).unflatten(2, (side, side))
    return avg_pool2d(grid, round(side**0.5)).flatten(2).transpose(1, 2)


def check(arrays, hyper, tolerance):
    image, text = leaf(arrays["image"]), leaf(arrays["text"])
    regions = locals_of(constant(arrays["image_patches_m"]))
    assert_close(regions, arrays["image_locals"], tolerance["loss"], "image locals")
    words, mask = constant(arrays["text_tokens_m"]), torch.from_numpy(arrays["text_mask"]) > 0

    temp, alpha = float(arrays["temp"]), float(arrays["alpha"])
    temperature = Temperature(temp, learned=True, bounds=(0.001, 2)).double()
    temperature.log_scale.data.fill_(1 / temp).log_()

    soft, own = MomentumTargets(alpha, streams=STREAMS), SameMoment()
    ways = {
        "i2t": Direction(("image",), ("teacher.text",), 0.25, soft),
        "t2i": Direction(("text",), ("teacher.image",), 0.25, soft),
        "i2i": Direction(("image",), ("teacher.image",), 0.25, own),
        "t2t": Direction(("text",), ("teacher.text",), 0.25, own),
    }
    taught = {
        "teacher.image": constant(arrays["image_m"]),
        "teacher.text": constant(arrays["text_m"]),
    }
    globally = {"image": image, "text": text, **taught}

    def global_loss(directions):
        term = Contrast(
            layout=directions,
            temperature=temperature,
            queue=arrays["image_queue"].shape[1],
            queue_width=arrays["image_queue"].shape[0],
        ).double()
        for name in STREAMS:
            if f"teacher/{name}" in term.queues:
                queue = term.queues[f"teacher/{name}"]
                queue.rows.copy_(constant(arrays[f"{name}_queue"].T))
                queue.filled.fill_(len(queue.rows))
        features, correspondence = streams(globally)
        return term(features, correspondence, {})["contrast"]

    for name, way in ways.items():
        whole = Direction(way.anchors, way.candidates, 1.0, way.positives)
        assert_close(global_loss([whole]), arrays[f"loss_{name}"], tolerance["loss"], name)

    local = {}
    for name, anchor, tokens, valid in (
        ("image", image, regions, torch.ones(regions.shape[:2], dtype=torch.bool)),
        ("text", text, words, mask),
    ):
        names = tuple(f"local{k}" for k in range(tokens.shape[1]))
        columns = {"anchor": torch.nn.functional.normalize(anchor, dim=1)}
        columns |= dict(zip(names, tokens.unbind(1), strict=True))
        places = {n: valid[:, k].nonzero()[:, 0] for k, n in enumerate(names)}
        term = Contrast(
            layout=[Direction(("anchor",), names)],
            temperature=temperature,
            normaliser="own",
            unit_length=False,
        ).double()
        features, correspondence = streams(columns, valid=places)
        local[name] = term(features, correspondence, {})["contrast"]
        expected = arrays[f"loss_local_{name}"]
        assert_close(local[name], expected, tolerance["loss"], f"local {name}")
        (gradient,) = torch.autograd.grad(local[name], anchor, retain_graph=True)
        expected = arrays[f"grad_local_{name}"]
        assert_close(gradient, expected, tolerance["grad"], f"grad local {name}")

    loss = (4 * global_loss(list(ways.values())) + local["image"] + local["text"]) / 6
    assert_close(loss, arrays["loss"], tolerance["loss"], "loss")
    d_image, d_text, d_log_scale = gradients(loss, image, text, temperature.log_scale)
    assert_close(d_image, arrays["grad_image"], tolerance["grad"], "grad image")
    assert_close(d_text, arrays["grad_text"], tolerance["grad"], "grad text")
    assert_close(-d_log_scale / temp, arrays["grad_temp"], tolerance["grad"], "grad temp")
