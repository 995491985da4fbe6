"""Sparsemax and the pooled codes of FDT, as released (zero scores for padding) and without."""

from __future__ import annotations

import numpy as np
import torch

from sensorfusion.objectives.codebook import Codebook
from sensorfusion.objectives.sparsemax import sparsemax
from tests.golden.objectives.common import assert_close, assert_gradients, leaf


def check(arrays: dict[str, np.ndarray], hyper: dict, tolerance: dict) -> None:
    scores = leaf(arrays["scores"])
    weights = sparsemax(scores)
    assert_close(weights, arrays["weights"], tolerance["loss"], "weights")
    probed = (weights * torch.tensor(arrays["probe"])).sum()
    assert_gradients(probed, {"grad_scores": scores}, arrays, tolerance["grad"])

    mask_BL = torch.tensor(arrays["mask"]).bool()
    for pooling in ("max", "mean", "sum"):
        if f"weights_{pooling}" in arrays:
            _check_codes(arrays, hyper, tolerance, pooling, mask_BL, "")
        if f"weights_{pooling}_nomask" in arrays:
            _check_codes(arrays, hyper, tolerance, pooling, torch.ones_like(mask_BL), "_nomask")


def _check_codes(arrays, hyper, tolerance, pooling, mask_BL, suffix) -> None:
    tokens_BLD = leaf(arrays["tokens"])
    codebook = Codebook(
        *arrays["codebook"].shape,
        temperature=hyper["temp"],
        pooling=pooling,
        padded_length=mask_BL.shape[1],
    ).double()
    with torch.no_grad():
        codebook.codes.copy_(torch.tensor(arrays["codebook"]))
    ids_E = mask_BL.nonzero()[:, 0]
    embeddings, weights = codebook(tokens_BLD[mask_BL], ids_E, len(mask_BL))
    name = f"{pooling}{suffix}"
    assert_close(weights, arrays[f"weights_{name}"], tolerance["loss"], f"weights_{name}")
    assert_close(embeddings, arrays[f"feat_{name}"], tolerance["loss"], f"feat_{name}")
    if suffix:
        return  # values only are recorded for unmasked tokens
    probed = (embeddings * torch.tensor(arrays["probe_feat"])).sum()
    leaves = {f"grad_tokens_{name}": tokens_BLD, f"grad_codebook_{name}": codebook.codes}
    assert_gradients(probed, leaves, arrays, tolerance["grad"])
