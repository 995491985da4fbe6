"""MGCA's prototype codes and token-wise alignment; its contrast is checked elsewhere."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sensorfusion.objectives.padded import pad_tokens
from sensorfusion.objectives.prototypes import Prototypes
from sensorfusion.objectives.sinkhorn import sinkhorn
from sensorfusion.objectives.token_alignment import TokenAlignment, token_weights
from sensorfusion.sample import Correspondence, Features
from tests.golden.objectives.common import assert_close, assert_gradients, constant, leaf
from tests.objectives.tables import table, total


def check(arrays: dict[str, np.ndarray], hyper: dict, tolerance: dict) -> None:
    _check_plans(arrays, hyper, tolerance)
    _check_prototypes(arrays, hyper, tolerance)
    _check_tokens(arrays, hyper, tolerance)


def _check_plans(arrays: dict[str, np.ndarray], hyper: dict, tolerance: dict) -> None:
    for side in ("image", "report"):
        scores = constant(arrays[f"scores_{side}"])
        plan = sinkhorn(scores, epsilon=hyper["eps"], iterations=hyper["iters"])
        name = f"plan_{side}"
        assert_close(plan, arrays[name], tolerance["loss"], name)
        if f"{name}_f32" in arrays:
            assert_close(plan, arrays[f"{name}_f32"], tolerance["plan_image_f32"], f"{name}_f32")


def _check_prototypes(arrays: dict[str, np.ndarray], hyper: dict, tolerance: dict) -> None:
    image, report = leaf(arrays["image"]), leaf(arrays["report"])
    term = Prototypes(
        *arrays["prototypes_raw"].shape,
        temperature=hyper["tp"],
        epsilon=hyper["eps"],
        iterations=hyper["iters"],
    ).double()
    with torch.no_grad():
        term.weight.copy_(constant(arrays["prototypes_raw"]))
    term.after_step()
    loss = total(term(*table({"image": image, "report": report}), {}))
    assert_close(loss, arrays["loss_proto"], tolerance["loss"], "proto")
    # The released code casts the codes to float32.
    cast = tolerance["loss_proto_f32codes"]
    assert_close(loss, arrays["loss_proto_f32codes"], cast, "proto_f32codes")
    leaves = {"grad_proto_image": image, "grad_proto_report": report}
    leaves["grad_proto_prototypes"] = term.weight
    assert_gradients(loss, leaves, arrays, tolerance["grad"])


def _check_tokens(arrays: dict[str, np.ndarray], hyper: dict, tolerance: dict) -> None:
    patches, words = leaf(arrays["patches"]), leaf(arrays["words"])
    real = constant(arrays["word_pad"]) == 0
    word_weights = constant(arrays["word_attn"])
    patch_weights = constant(arrays["patch_attn"])[:, :, 0, 1:].mean(1)
    for variant, weight, keep_length in (("cnn", None, ()), ("vit", patch_weights, ("patches",))):
        features = {
            "patches": _tokens(patches, weight),
            "words": _tokens(words, word_weights, real),
        }
        every = _all_tokens(features)
        found = token_weights(pad_tokens(features, every, "words", unit_length=True), (0.1, 0.9))
        assert_close(found, arrays["word_weights"], tolerance["loss"], "word_weights")
        term = TokenAlignment(hyper["tl"], padding_as_negatives=True, keep_length=keep_length)
        loss = total(term(features, every, {}))
        name = f"local_{variant}"
        assert_close(loss, arrays[f"loss_{name}"], tolerance["loss"], name)
        leaves = {f"grad_{name}_patches": patches, f"grad_{name}_words": words}
        assert_gradients(loss, leaves, arrays, tolerance["grad"])


def _tokens(
    values_BLD: Tensor, weight_BL: Tensor | None, valid_BL: Tensor | None = None
) -> Features:
    size, length, _ = values_BLD.shape
    item = torch.arange(size).repeat_interleave(length)
    valid = torch.ones_like(item).bool() if valid_BL is None else valid_BL.flatten()
    weight = None if weight_BL is None else weight_BL.flatten()
    frame = torch.zeros_like(item)
    return Features(values_BLD.flatten(0, 1), item, frame, size, valid, weight=weight)


def _all_tokens(features: dict[str, Features]) -> Correspondence:
    """Every token, padding included, belongs to its sample's id."""
    size = features["words"].size
    return Correspondence(
        tuple(features),
        tuple(entry.item for entry in features.values()),
        tuple(torch.arange(len(entry)) for entry in features.values()),
        size,
        torch.arange(size),
        torch.ones(size, dtype=torch.float64),
    )
