"""CreamFL's aggregation of clients' embeddings of the public set."""

from __future__ import annotations

import numpy as np

from sensorfusion.objectives.federated import aggregate
from tests.golden.objectives.common import assert_close, constant


def check(arrays: dict[str, np.ndarray], hyper: dict, tolerance: dict) -> None:
    clients = constant(arrays["client_vecs"])
    as_image, weights = aggregate(clients, constant(arrays["global_txt"]))
    assert_close(as_image, arrays["agg"], tolerance["loss"], "agg")
    assert_close(weights, arrays["agg_weights"], tolerance["loss"], "agg_weights")
    as_text, _ = aggregate(clients, constant(arrays["global_img"]))
    assert_close(as_text, arrays["agg_as_txt"], tolerance["loss"], "agg_as_txt")
