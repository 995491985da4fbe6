"""What people do: named actions as smooth functions of time.

A pose is a row of controls (`CONTROLS`); an action says which of them it takes over, and to which
values, while its weight goes from 0 to 1 and back. Values and weights have two continuous
derivatives in time, as what an inertial sensor measures needs them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

HOP, FLIGHT = 0.24, 0.4  # height of a jump (m for a body of 1.75 m), share of its time in the air

# Shares of the leg's length; then radians: to the front, to the left, up and outwards.
_BODY = ("sink", "back", "hop", "tilt", "lean", "side", "twist", "nod", "look")
_ARM = ("swing", "spread", "turn", "bend", "flick")
CONTROLS = (*_BODY, *(f"{side}_{part}" for side in ("left", "right") for part in _ARM))
CONTROL = {name: number for number, name in enumerate(CONTROLS)}

# Joint limits of the controls, radians or shares: what no action and no style passes.
LIMITS: dict[str, tuple[float, float]] = {
    **{"sink": (-0.2, 0.65), "back": (-0.2, 0.65), "hop": (-0.25, 0.6), "tilt": (-0.4, 1.1)},
    **{"lean": (-0.4, 1.3), "side": (-0.5, 0.5), "twist": (-0.9, 0.9), "nod": (-0.8, 0.9)},
    **{"look": (-1.3, 1.3), "swing": (-1.0, 3.1), "spread": (-0.35, 2.2), "turn": (-1.2, 2.0)},
    **{"bend": (0.0, 2.6), "flick": (-0.9, 1.2)},
}


class Gesture(NamedTuple):
    """How N people do one action at N times.

    Args:
        part_N: how much of the action is over, 0 to 1 inside, beyond it outside.
        count_N: repetitions. vigour_N: size of the movement, around 1.
        fancy_N2: two numbers from -1 to 1: which of the ways to do it.
    """

    part_N: Floats
    count_N: Floats
    vigour_N: Floats
    fancy_N2: Floats


class Moved(NamedTuple):
    """The controls that an action takes over: body and acting arm by name, and the other arm's.

    Values are [N], or numbers. `weight_N`: how far they replace what the body does anyway.
    """

    weight_N: Floats
    own: dict[str, Floats | float]
    other: dict[str, Floats | float] = {}  # noqa: RUF012


def ramp(x: Floats) -> Floats:
    """0 below 0, 1 above 1, between them a quintic with two continuous derivatives."""
    x = np.clip(x, 0.0, 1.0)
    return np.asarray(x * x * x * (10.0 + x * (6.0 * x - 15.0)))


def ramp_area(x: Floats) -> Floats:
    """The integral of `ramp` from 0 to x."""
    inner = np.clip(x, 0.0, 1.0)
    return np.asarray(inner**4 * (2.5 + inner * (inner - 3.0)) + np.maximum(x - 1.0, 0.0))


def bump(x: Floats) -> Floats:
    """1 at 0.5, 0 outside 0 to 1, with two continuous derivatives."""
    x = np.clip(x, 0.0, 1.0)
    return np.asarray(64.0 * (x * (1.0 - x)) ** 3)


def _hold(part: Floats, edge: float = 0.25) -> Floats:
    """A weight that comes in and goes out."""
    return ramp(part / edge) * (1.0 - ramp((part - 1.0 + edge) / edge))


def _stand(g: Gesture) -> Moved:
    """Nothing, but for a shift of weight."""
    return Moved(_hold(g.part_N), {"side": 0.04 * g.fancy_N2[:, 0]})


def _wave(g: Gesture) -> Moved:
    angle = 2.0 * np.pi * g.count_N * g.part_N
    high, loose = 0.5 + 0.5 * g.fancy_N2[:, 0], 0.5 + 0.5 * g.fancy_N2[:, 1]
    beat = np.sin(angle) * g.vigour_N
    return Moved(
        _hold(g.part_N),
        {
            "swing": 0.25 + 0.35 * loose,
            "spread": 0.7 + 0.75 * high + 0.1 * beat,
            "turn": 1.15 + 0.1 * high + 0.32 * beat,
            "bend": 1.9 - 0.7 * high + 0.3 * np.sin(angle + 0.6) * g.vigour_N,
            "flick": 0.25 * np.sin(angle - 0.7) * g.vigour_N,
        },
    )


def _point(g: Gesture) -> Moved:
    aside = 0.35 + 0.45 * g.fancy_N2[:, 0]
    return Moved(
        _hold(g.part_N, 0.3),
        {
            "swing": 1.4 + 0.25 * g.fancy_N2[:, 1],
            "spread": aside,
            "turn": 0.1,
            "bend": 0.15 + 0.06 * np.sin(9.0 * g.part_N),
            "flick": -0.1,
            "twist": 0.3 * aside,
            "look": 0.5 * aside,
        },
    )


def _phone(g: Gesture) -> Moved:
    sway = np.sin(2.0 * np.pi * g.count_N * g.part_N)
    return Moved(
        _hold(g.part_N, 0.22),
        {
            "swing": 1.42 + 0.1 * g.fancy_N2[:, 0],
            "spread": -0.02 + 0.14 * g.fancy_N2[:, 1],
            "turn": -0.26 + 0.04 * sway,
            "bend": 2.4 + 0.02 * sway,
            "flick": 0.2,
            "nod": 0.12,
            "side": 0.03,
            "look": -0.15 + 0.12 * sway,
        },
    )


def _drink(g: Gesture) -> Moved:
    lift = bump(g.part_N)
    return Moved(
        _hold(g.part_N, 0.35),
        {
            "swing": 0.6 + 0.6 * lift + 0.08 * g.fancy_N2[:, 0],
            "spread": -0.02 + 0.1 * g.fancy_N2[:, 1],
            "turn": -0.5,
            "bend": 1.9 + 0.25 * lift,
            "flick": 0.3 * lift,
            "nod": -0.35 * lift * g.vigour_N,
        },
    )


def _pick_up(g: Gesture) -> Moved:
    knees = 0.5 + 0.5 * g.fancy_N2[:, 0]  # from the back, or from the knees
    beside = 0.25 * g.fancy_N2[:, 1]
    return Moved(
        ramp(g.part_N / 0.5) * (1.0 - ramp((g.part_N - 0.55) / 0.45)),
        {
            "sink": 0.24 + 0.24 * knees,
            "back": 0.2 + 0.1 * knees,
            "tilt": 0.95 - 0.35 * knees,
            "lean": 0.8,
            "nod": -0.25,
            "twist": beside,
            "swing": 1.8,
            "spread": 0.05 + 0.1 * g.fancy_N2[:, 1],
            "turn": 0.0,
            "bend": 0.15,
            "flick": 0.2,
        },
        {"swing": 0.9, "spread": 0.15, "bend": 0.9},
    )


def _seated(g: Gesture, weight: Floats, moving: Floats) -> Moved:
    rest = 0.5 + 0.5 * g.fancy_N2[:, 1]
    hands: dict[str, Floats | float] = {
        "swing": 0.5 + 0.1 * rest + 0.25 * moving,
        "spread": 0.08,
        "turn": -0.25,
        "bend": 0.75 + 0.2 * rest,
    }
    return Moved(
        weight,
        {
            "sink": 0.44 + 0.03 * g.fancy_N2[:, 0],
            "back": 0.46,
            "tilt": 0.5 * moving - 0.08,
            "lean": 0.08 + 0.45 * moving * g.vigour_N,
            "nod": 0.1 - 0.35 * moving,
            **hands,
        },
        hands,
    )


def _sit_down(g: Gesture) -> Moved:
    return _seated(g, ramp(g.part_N), bump(g.part_N * 0.95))


def _stand_up(g: Gesture) -> Moved:
    return _seated(g, 1.0 - ramp(g.part_N), bump(g.part_N * 1.05))


def _jump(g: Gesture) -> Moved:
    count = np.rint(g.count_N)
    part = np.mod(g.part_N * count, 1.0)
    inside = (g.part_N > 0.0) & (g.part_N < 1.0)
    flight, crouch = bump((part - 0.34) / FLIGHT), bump(part / 0.5) + 0.8 * bump((part - 0.6) / 0.4)
    arms = 0.35 + 0.65 * (0.5 + 0.5 * g.fancy_N2[:, 0])
    reach: dict[str, Floats | float] = {
        "swing": arms * (1.9 * flight - 0.5 * bump(part / 0.5)),
        "spread": 0.12 + 0.2 * flight * arms,
        "bend": 0.35 + 0.4 * flight,
    }
    return Moved(
        _hold(g.part_N, 0.12) * inside,
        {
            "sink": 0.21 * crouch * g.vigour_N,
            "back": 0.1 * crouch,
            "tilt": 0.3 * crouch,
            "lean": 0.3 * crouch,
            "hop": HOP / 0.85 * flight * g.vigour_N,
            **reach,
        },
        reach,
    )


def _look_around(g: Gesture) -> Moved:
    angle = np.pi * (g.count_N + 1.0) * g.part_N
    wide = np.sin(angle) * g.vigour_N * np.where(g.fancy_N2[:, 0] < 0, -1.0, 1.0)
    return Moved(
        _hold(g.part_N),
        {
            "look": 0.85 * wide,
            "twist": (0.55 + 0.15 * g.fancy_N2[:, 1]) * wide,
            "nod": 0.1 * np.sin(0.7 * angle + 1.0),
        },
    )


def _only_legs(g: Gesture) -> Moved:
    """Walking and turning: the way through space does it all."""
    return Moved(np.zeros(len(g.part_N)), {})


ACTIONS: dict[str, Callable[[Gesture], Moved]] = {
    "stand": _stand,
    "walk": _only_legs,
    "turn": _only_legs,
    "wave": _wave,
    "point": _point,
    "phone": _phone,
    "drink": _drink,
    "pick_up": _pick_up,
    "sit_down": _sit_down,
    "stand_up": _stand_up,
    "jump": _jump,
    "look_around": _look_around,
}
NAMES = tuple(ACTIONS)


def act(controls_NC: Floats, action_N: Ints, hand_N: Floats, gesture: Gesture) -> Floats:
    """Controls [N, C] of bodies that do what they do anyway and an action each.

    Args:
        action_N: number of the action in `NAMES`. hand_N: side of the acting arm, 1 for the left.
    """
    out = controls_NC.copy()
    for number in np.unique(action_N):
        mine = np.nonzero(action_N == number)[0]
        moved = ACTIONS[NAMES[number]](Gesture(*(field[mine] for field in gesture)))
        hand = hand_N[mine]
        for values, arm_side in ((moved.own, hand), (moved.other, -hand)):
            for name, value in values.items():
                column, sign = _column(name, arm_side)
                now = out[mine, column]
                out[mine, column] = now + moved.weight_N * (sign * value - now)
    return within_limits(out)


def within_limits(controls_NC: Floats) -> Floats:
    """Controls that do not pass `LIMITS`; near a limit they bend smoothly."""
    slack = 0.04 * (_HIGH - _LOW)
    low = _LOW + slack * np.logaddexp(0.0, (controls_NC - _LOW) / slack)
    return np.asarray(_HIGH - slack * np.logaddexp(0.0, (_HIGH - low) / slack))


def _column(name: str, side_N: Floats) -> tuple[Ints | int, Floats | float]:
    """Where a control is, and the sign with which the acting arm's side enters."""
    if name in _ARM:
        return np.where(side_N > 0, CONTROL[f"left_{name}"], CONTROL[f"right_{name}"]), 1.0
    return CONTROL[name], (side_N if name in ("side", "twist", "look") else 1.0)


_LOW, _HIGH = (
    np.array([LIMITS[name.partition("_")[2] or name][end] for name in CONTROLS]) for end in (0, 1)
)
