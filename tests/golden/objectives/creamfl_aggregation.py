"""CreamFL's aggregation of clients' embeddings of the public set."""

from __future__ import annotations

from typing import Any

import torch

from sensorfusion.objectives.federated import aggregate
from tests.golden.objectives.comparing import Arrays, compare


def check_aggregation(arrays: Arrays, hyper: dict[str, Any], tolerance: dict[str, float]) -> None:
    clients = torch.tensor(arrays["client_vecs"])
    as_image, weights = aggregate(clients, torch.tensor(arrays["global_txt"]))
    compare(as_image, arrays["agg"], tolerance["loss"], "agg")
    compare(weights, arrays["agg_weights"], tolerance["loss"], "agg_weights")
    as_text, _ = aggregate(clients, torch.tensor(arrays["global_img"]))
    compare(as_text, arrays["agg_as_txt"], tolerance["loss"], "agg_as_txt")
