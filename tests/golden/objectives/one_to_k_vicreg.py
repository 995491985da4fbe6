"""The VICReg terms that 1-to-K's pretraining adds."""

from __future__ import annotations

from typing import Any

import torch

from sensorfusion.objectives.variance_covariance import VarianceCovariance
from tests.golden.objectives.comparing import Arrays, compare
from tests.objectives.tables import table


def check_vicreg(arrays: Arrays, hyper: dict[str, Any], tolerance: dict[str, float]) -> None:
    image_ID = torch.tensor(arrays["image"])
    text_IKD = torch.tensor(arrays["text"]).view(len(image_ID), -1, image_ID.shape[1])
    texts = {f"text{k}": text_ID for k, text_ID in enumerate(text_IKD.unbind(1))}
    term = VarianceCovariance(1, 1, 1, pairs=[("image", text) for text in texts])
    moments = table({"image": image_ID, **texts}, streams=dict.fromkeys(texts, "text"))
    for name, loss in term(*moments, {}).items():
        compare(loss, arrays[f"vicreg_{name}"], tolerance["loss"], name)
