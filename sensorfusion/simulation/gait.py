"""Walking and turning: where a body goes, where it sets its feet, and how the rest swings with it.

A foot stands still on its footprint while the body passes over it, then swings to the next one;
the footprints lie where the body will be, so speed is step length times step rate and feet do not
slide. Everything is a function of time with two continuous derivatives.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from sensorfusion.simulation.actions import CONTROL, CONTROLS, bump, ramp, ramp_area
from sensorfusion.simulation.kinematics import ANKLE_HEIGHT, BALL, HEEL, SIDES, turn_y, turn_z

Floats = npt.NDArray[np.float64]
T = TypeVar("T")
EASE = 0.9  # seconds from standing to walking
STANCE = 0.54  # share of a stride in which a foot is on the ground
UNDER = 0.2  # share of a stride after which the body is above the standing foot
ROLL, LAND = 0.95, 0.3  # radians by which a heel rises and toes point up, at a full step


def take(table: T, rows: npt.NDArray[np.int64]) -> T:
    """The rows of every array of a dataclass of arrays."""
    values = {field.name: getattr(table, field.name)[rows] for field in fields(table)}  # type: ignore[arg-type]
    return type(table)(**values)


@dataclass(frozen=True, eq=False)
class Walk:
    """Ways of N bodies: they stand, walk straight ahead for a while, and turn on the spot.

    Args:
        speed_N: m/s. start_N, stop_N: seconds; both ease over `EASE`.
        angle_N: of the turn, radians to the left. from_N, until_N: when.
        cadence_N: strides per second. phase_N: of the stride at time 0.
        width_N: half the distance between the feet (m). toes_N: how far they point outwards.
        swing_N: size of the arms' swing, around 1.
    """

    speed_N: Floats
    start_N: Floats
    stop_N: Floats
    angle_N: Floats
    from_N: Floats
    until_N: Floats
    cadence_N: Floats
    phase_N: Floats
    width_N: Floats
    toes_N: Floats
    swing_N: Floats

    def place(self, seconds_N: Floats) -> tuple[Floats, Floats]:
        """How far a body has come (m), and where it heads (radians)."""
        gone = ramp_area((seconds_N - self.start_N) / EASE)
        gone = gone - ramp_area((seconds_N - self.stop_N) / EASE)
        return self.speed_N * EASE * gone, self._heading(seconds_N)

    def pace(self, seconds_N: Floats) -> Floats:
        """Speed in m/s."""
        share = ramp((seconds_N - self.start_N) / EASE) - ramp((seconds_N - self.stop_N) / EASE)
        return self.speed_N * share

    def stride(self, seconds_N: Floats, side: str) -> Floats:
        """Strides since time 0: the foot of this side touches the ground at whole numbers."""
        offset = 0.0 if side == "left" else 0.5
        return self.cadence_N * seconds_N + self.phase_N + offset

    def _heading(self, seconds_N: Floats) -> Floats:
        span = np.maximum(self.until_N - self.from_N, 1e-3)
        return np.asarray(self.angle_N * ramp((seconds_N - self.from_N) / span))


class Foot(NamedTuple):
    """Where an ankle is to be [N, 3], and the foot's rotation [N, 3, 3]."""

    ankle_N3: Floats
    rotation_N33: Floats


def foot(walk: Walk, seconds_N: Floats, side: str, size_N: Floats) -> Foot:
    """A foot at N times: on its footprint, rolling over it, or on its way to the next."""
    stride = walk.stride(seconds_N, side)
    number = np.floor(stride)
    u = stride - number
    when = seconds_N + (UNDER - u) / walk.cadence_N
    before, here, there = (
        _footprint(walk, when + k / walk.cadence_N, SIDES[side]) for k in (-1, 0, 1)
    )
    step, landed = _fullness(here, there), _fullness(before, here)
    swing = ramp((u - STANCE) / (1.0 - STANCE))
    x, y, yaw = (a + (b - a) * swing for a, b in zip(here, there, strict=True))
    pitch = landed * LAND * (1.0 - ramp(u / 0.13)) - step * ROLL * ramp((u - 0.28) / 0.34)
    pitch = pitch + step * (ROLL + LAND) * ramp((u - 0.62) / 0.36)
    height = 0.05 * size_N * step * bump((u - STANCE) / (1.0 - STANCE))
    # The foot rolls over its heel, then over its ball; they change while it is flat.
    over = -HEEL + (BALL + HEEL) * (ramp((u - 0.13) / 0.15) - ramp((u - 0.64) / 0.3))
    tilt = turn_y(-pitch)
    pivot = np.stack([over, np.zeros_like(u), np.full_like(u, -ANKLE_HEIGHT)], axis=1)
    pivot = pivot * size_N[:, None]
    lifted = pivot - (tilt @ pivot[:, :, None])[:, :, 0]
    turned = turn_z(yaw)
    ankle = (turned @ lifted[:, :, None])[:, :, 0]
    ankle = ankle + np.stack([x, y, ANKLE_HEIGHT * size_N + height], axis=1)
    return Foot(ankle, turned @ tilt)


def _footprint(walk: Walk, seconds_N: Floats, sign: float) -> tuple[Floats, Floats, Floats]:
    """Place (x, y) and direction of a footprint that is under the body at a time."""
    gone, heading = walk.place(seconds_N)
    aside = sign * walk.width_N
    return (
        gone - aside * np.sin(heading),
        aside * np.cos(heading),
        heading + sign * walk.toes_N,
    )


def _fullness(first: tuple[Floats, ...], second: tuple[Floats, ...]) -> Floats:
    """How much of a full stride lies between two footprints: 0 for none, about 1 for 1.4 m."""
    square = sum((b - a) ** 2 for a, b in zip(first, second, strict=True))
    return np.asarray(1.15 * square / (square + 0.4))


def drop(walk: Walk, seconds_N: Floats, leg_N: Floats) -> Floats:
    """How far the hips are below their height when standing (m): least above a standing foot."""
    half = UNDER * walk.pace(seconds_N) / walk.cadence_N
    deepest = leg_N - np.sqrt(leg_N**2 - half**2)
    rise = 0.5 * (1.0 - np.cos(4.0 * np.pi * walk.stride(seconds_N, "left")))
    return np.asarray(deepest * (1.05 - 0.55 * rise))


def swinging(walk: Walk, seconds_N: Floats, controls_NC: Floats) -> Floats:
    """Controls with what walking adds: arms against legs, hips against shoulders, a lean ahead."""
    share = walk.pace(seconds_N) / 1.3
    left = 2.0 * np.pi * walk.stride(seconds_N, "left")
    out = controls_NC.copy()
    size = share * walk.swing_N
    for side, sign in SIDES.items():
        wave = -sign * np.cos(left - 0.35)  # the left arm is behind as the left foot lands
        out[:, CONTROL[f"{side}_swing"]] += size * (0.42 * wave + 0.05)
        out[:, CONTROL[f"{side}_bend"]] += size * (0.2 + 0.18 * wave)
    out[:, CONTROL["twist"]] += 0.12 * size * np.cos(left - 0.2)
    out[:, CONTROL["lean"]] += 0.05 * share
    out[:, CONTROL["side"]] -= 0.03 * share * np.cos(left - 1.9)
    return out


def hips(walk: Walk, seconds_N: Floats) -> tuple[Floats, Floats, Floats]:
    """Turn and roll of the pelvis (radians), and its sway to the left (m)."""
    share = walk.pace(seconds_N) / 1.3
    left = 2.0 * np.pi * walk.stride(seconds_N, "left")
    return (
        -0.11 * share * np.cos(left),
        0.06 * share * np.sin(left),
        0.022 * share * np.cos(left - 1.9),
    )


RESTING = np.zeros(len(CONTROLS))
for _side in SIDES:
    RESTING[CONTROL[f"{_side}_spread"]] = 0.1
    RESTING[CONTROL[f"{_side}_bend"]] = 0.2
    RESTING[CONTROL[f"{_side}_swing"]] = -0.02
    RESTING[CONTROL[f"{_side}_turn"]] = -0.15
