"""The VICReg terms that 1-to-K's pretraining adds."""

from __future__ import annotations

import numpy as np

from sensorfusion.objectives.variance_covariance import VarianceCovariance
from tests.golden.objectives.common import assert_close, constant
from tests.objectives.tables import table


def check(arrays: dict[str, np.ndarray], hyper: dict, tolerance: dict) -> None:
    image_ID = constant(arrays["image"])
    text_IKD = constant(arrays["text"]).view(len(image_ID), -1, image_ID.shape[1])
    texts = {f"text{k}": text_ID for k, text_ID in enumerate(text_IKD.unbind(1))}
    term = VarianceCovariance(1, 1, 1, pairs=[("image", text) for text in texts])
    moments = table({"image": image_ID, **texts}, streams=dict.fromkeys(texts, "text"))
    for name, loss in term(*moments, {}).items():
        assert_close(loss, arrays[f"vicreg_{name}"], tolerance["loss"], name)
