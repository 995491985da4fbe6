import numpy as np

from sensorfusion.objectives.contrast import ConnectivityWeights, Contrast
from sensorfusion.objectives.layout import Direction, pairs
from sensorfusion.objectives.negatives import Others, Unconnected
from sensorfusion.objectives.positives import MinedNeighbours, SameMoment
from tests.golden.objectives.common import assert_close, constant, gradients, leaf, loss_of

STREAMS = ("f1", "f2")


def teacher(similarity):
    """Unit embeddings whose cosines are the given similarities."""
    values, vectors = np.linalg.eigh(similarity)
    return constant(vectors * np.sqrt(np.clip(values, 0, None)))


def check(arrays, hyper, tolerance):
    mining = hyper.get("mining", True)
    factors = (Unconnected(hyper["prune"], STREAMS),) if "prune" in hyper else ()
    term = Contrast(
        layout=[Direction((s,), STREAMS, weight=0.5) for s in STREAMS],
        temperature=hyper["tau"],
        intra_temperature=1.0,
        reduce="in",
        positives=MinedNeighbours(
            hyper["k"], streams=STREAMS, symmetric=hyper.get("symmetric", False)
        )
        if mining
        else SameMoment(),
        negatives=Others(intra=hyper["lam"], factors=factors),
        row_weights=ConnectivityWeights(hyper["weigh"], STREAMS) if "weigh" in hyper else None,
    )
    f1, f2 = leaf(arrays["f1"]), leaf(arrays["f2"])
    taught = {
        "teacher.f1": teacher(arrays["sim1"]),
        "teacher.f2": teacher(arrays["sim2"]),
    }
    loss = loss_of(term, {"f1": f1, "f2": f2, **taught})
    assert_close(loss, arrays["loss"], tolerance["loss"], "loss")
    for key, value in zip(STREAMS, gradients(loss, f1, f2), strict=True):
        assert_close(value, arrays[f"grad_{key}"], tolerance["grad"], f"grad {key}")

    plain = Contrast(layout=pairs, temperature=hyper["tau"])
    assert_close(
        loss_of(plain, {"f1": f1, "f2": f2}), arrays["loss_eval"], tolerance["loss"], "loss_eval"
    )
