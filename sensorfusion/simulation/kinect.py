"""What a depth camera's body tracker makes of joints: noise, and guesses where it sees nothing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
NEAR_NOISE = 0.0035  # metres at 2 m, of each coordinate; grows with the square of the distance
DRIFT, JITTER = 0.055, 0.015  # metres, of a joint that is only inferred
MEMORY = 0.25  # seconds over which a guess wanders


def measured(
    joints_TJ3: Floats,
    hidden_TJ: npt.NDArray[np.bool_],
    rate: float,
    generator: np.random.Generator,
) -> Floats:
    """Joints [T, J, 3] as a tracker reports them.

    Every joint has white noise and an error of some centimetres of its own that stays, as
    trackers place joints inside bodies; a hidden joint wanders and jitters besides, and does so
    more or less as it goes in and out of sight.

    Args:
        joints_TJ3: in the camera's axes, metres, z away from it.
        hidden_TJ: which joints the camera does not see. rate: frames per second.
    """
    count = len(joints_TJ3)
    white, guess = generator.standard_normal((2, *joints_TJ3.shape))
    steady = generator.normal(0.0, 0.008, (1, *joints_TJ3.shape[1:]))
    start = generator.standard_normal(joints_TJ3.shape[1:])
    sigma = NEAR_NOISE * (joints_TJ3[..., 2:] / 2.0) ** 2
    keep = float(np.exp(-1.0 / (MEMORY * rate)))
    wander, unseen = np.empty_like(joints_TJ3), np.empty(hidden_TJ.shape)
    now, share = start, hidden_TJ[0].astype(np.float64) if count else np.zeros(0)
    for t in range(count):
        now = keep * now + np.sqrt(1.0 - keep * keep) * guess[t]
        share = share + 0.4 * (hidden_TJ[t] - share)
        wander[t], unseen[t] = now, share
    lost = unseen[..., None] * (DRIFT * wander + JITTER * np.roll(white, 1, axis=2))
    return np.asarray(joints_TJ3 + steady + sigma * white + lost)
