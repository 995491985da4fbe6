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
    texts = [("text", text_ID) for text_ID in text_IKD.unbind(1)]
    pairs = [(0, k + 1) for k in range(len(texts))]
    term = VarianceCovariance(1, 1, 1, pairs=pairs)
    for name, loss in term(*table([("image", image_ID), *texts]), {}).items():
        compare(loss, arrays[f"vicreg_{name}"], tolerance["loss"], name)
