import torch

from sensorfusion.objectives.balanced import Balanced
from sensorfusion.objectives.contrast import Contrast
from sensorfusion.objectives.layout import Direction
from sensorfusion.objectives.negatives import OwnMoment
from sensorfusion.objectives.positives import SameMoment
from tests.golden.objectives.common import assert_close, constant, gradients, leaf, streams

TEMPERATURE = 0.5  # a literal of the released code


def inter(client, other, weight=1.0):
    """A client's embedding against the whole public set in the other modality."""
    return Direction((client,), (other,), weight)


def intra(client, same, old, weight=1.0):
    """Towards the public set's embedding of the same modality, away from the previous model's."""
    return Direction((client,), (same, old), weight, SameMoment(streams=(same,)), OwnMoment((old,)))


def contrast(*directions):
    return Contrast(layout=directions, temperature=TEMPERATURE, unit_length=False)


def check(arrays, hyper, tolerance):
    place = torch.from_numpy(arrays["d_idx"]).long()
    old = {k: constant(arrays[k]) for k in ("f_old", "mm_img_old", "mm_txt_old")}
    public = {k: constant(arrays[k]) for k in ("global_img", "global_txt")}

    def run(term, **clients):
        names = [*clients, *(k for k in old if k.removesuffix("_old") in clients)]
        return loss(term, {**clients, **old}, dict.fromkeys(names, place))

    def loss(term, columns, ids):
        kept = {k: v for k, v in columns.items() if k in ids}
        features, correspondence = streams(kept | public, ids=ids)
        return next(iter(term.double()(features, correspondence, {}).values()))

    def compare(term, name, gradient=None, weight=1.0):
        f = leaf(arrays["f"])
        value = weight * run(term, f=f)
        assert_close(value, arrays[name], tolerance["loss"], name)
        if gradient:
            assert_close(gradients(value, f)[0], arrays[gradient], tolerance["grad"], gradient)

    to_text, to_own = inter("f", "global_txt"), intra("f", "global_img", "f_old")
    compare(contrast(to_text), "loss_uni_inter")
    compare(contrast(to_own), "loss_uni_intra")
    compare(contrast(to_own, to_text), "loss_uni", "grad_uni_f", weight=0.5)
    scaled = Balanced(contrast(to_own), contrast(to_text), weight=0.5)
    compare(scaled, "loss_uni_scaled", "grad_uni_scaled_f")
    as_text = contrast(intra("f", "global_txt", "f_old"), inter("f", "global_img"))
    compare(as_text, "loss_uni_text", "grad_uni_text_f", weight=0.5)

    image, text = leaf(arrays["mm_img"]), leaf(arrays["mm_txt"])
    across = [inter("mm_img", "global_txt"), inter("mm_txt", "global_img")]
    own = [
        intra("mm_img", "global_img", "mm_img_old", 0.5),
        intra("mm_txt", "global_txt", "mm_txt_old", 0.5),
    ]
    clients = {"mm_img": image, "mm_txt": text}
    for directions, name in ((across, "loss_mm_inter"), (own, "loss_mm_intra")):
        value = run(contrast(*directions), **clients)
        assert_close(value, arrays[name], tolerance["loss"], name)
    value = 0.5 * run(contrast(*across, *own), **clients)
    assert_close(value, arrays["loss_mm"], tolerance["loss"], "loss_mm")
    d_image, d_text = gradients(value, image, text)
    assert_close(d_image, arrays["grad_mm_img"], tolerance["grad"], "grad mm_img")
    assert_close(d_text, arrays["grad_mm_txt"], tolerance["grad"], "grad mm_txt")
