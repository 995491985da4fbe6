"""People who act: bodies, habits and what each does when. `pose` says how they hold themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from sensorfusion.sensors.imu import STANDARD_GRAVITY
from sensorfusion.simulation.actions import (
    CONTROL,
    CONTROLS,
    FLIGHT,
    HOP,
    NAMES,
    Gesture,
    act,
)
from sensorfusion.simulation.gait import RESTING, Walk, drop, foot, hips, swinging, take
from sensorfusion.simulation.kinematics import (
    ANKLE_HEIGHT,
    JOINT,
    SIDES,
    Chains,
    Posed,
    assemble,
    bones,
    turn_x,
    turn_y,
    turn_z,
)

Floats = npt.NDArray[np.float64]
NEVER, ALWAYS = 1e3, -1e2  # seconds at which something starts or stops


@dataclass(frozen=True, eq=False)
class People:
    """N people, each with one action.

    Args:
        size_N: height over 1.75 m. bones_NJ3: see `kinematics`.
        posture_NC: controls at rest. sway_NSC: sizes of slow unrest, and its phases and rates.
        walk: how and when they go. action_N: number in `actions.NAMES`.
        begin_N, seconds_N: when the action starts and how long it takes.
        hand_N: the acting arm's side, 1 for the left. count_N, vigour_N, fancy_N2: see `Gesture`.
    """

    size_N: Floats
    bones_NJ3: Floats
    posture_NC: Floats
    sway_NSC: Floats
    sway_phase_NSC: Floats
    sway_rate_NS: Floats
    walk: Walk
    action_N: npt.NDArray[np.int64]
    begin_N: Floats
    seconds_N: Floats
    hand_N: Floats
    count_N: Floats
    vigour_N: Floats
    fancy_N2: Floats

    def __len__(self) -> int:
        return len(self.size_N)

    def take(self, rows: npt.NDArray[np.int64]) -> People:
        """Some of the people, also one of them many times."""
        values: dict[str, Any] = {
            f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name != "walk"
        }
        return People(**values, walk=take(self.walk, rows))

    def gesture(self, seconds_N: Floats) -> Gesture:
        """How far each is with the action."""
        part = (seconds_N - self.begin_N) / self.seconds_N
        return Gesture(part, self.count_N, self.vigour_N, self.fancy_N2)


def pose(people: People, seconds_N: Floats, *, follow: bool = False) -> Posed:
    """How N people hold themselves at a time each: joints [N, 20, 3] and rotations.

    Args:
        seconds_N: one time for each row of `people` (see `People.take`).
        follow: the origin goes along with the body over the ground, instead of staying where the
            body started.
    """
    controls = people.posture_NC + _unrest(people, seconds_N)
    controls = swinging(people.walk, seconds_N, controls)
    controls = act(controls, people.action_N, people.hand_N, people.gesture(seconds_N))
    gone, heading = people.walk.place(seconds_N)
    chains = _chains(people, seconds_N, controls, gone, heading)
    posed = assemble(people.bones_NJ3, chains)
    if follow:
        posed.joints_NJ3[..., 0] -= gone[:, None]
    return posed


def _unrest(people: People, seconds_N: Floats) -> Floats:
    angle = people.sway_rate_NS * seconds_N[:, None]
    return np.asarray(
        (people.sway_NSC * np.sin(angle[:, :, None] + people.sway_phase_NSC)).sum(axis=1)
    )


def _chains(
    people: People, seconds_N: Floats, controls_NC: Floats, gone_N: Floats, heading_N: Floats
) -> Chains:
    """Rotations of the trunk and the arms, and where the feet are."""
    c = {name: controls_NC[:, number] for name, number in CONTROL.items()}
    leg = leg_length(people)
    turn, roll, sway = hips(people.walk, seconds_N)
    course = turn_z(heading_N)
    pelvis = turn_z(heading_N + turn) @ turn_y(c["tilt"]) @ turn_x(roll)
    loin = pelvis @ turn_y(0.4 * c["lean"]) @ turn_x(0.5 * c["side"] - 0.7 * roll)
    chest = loin @ turn_z(0.8 * c["twist"] - turn) @ turn_y(0.6 * c["lean"])
    chest = chest @ turn_x(0.5 * c["side"])
    head = chest @ turn_z(c["look"]) @ turn_y(c["nod"] - 0.7 * c["lean"] - 0.7 * c["tilt"])
    arms, ankles, feet = {}, {}, {}
    for side, sign in SIDES.items():
        a = {part: c[f"{side}_{part}"] for part in ("swing", "spread", "turn", "bend", "flick")}
        upper = chest @ turn_y(-a["swing"]) @ turn_x(sign * a["spread"]) @ turn_z(sign * a["turn"])
        fore = upper @ turn_y(-a["bend"])
        arms[side] = (upper, fore, fore @ turn_y(-a["flick"]))
        ankles[side], feet[side] = foot(people.walk, seconds_N, side, people.size_N)
        ankles[side][:, 2] += leg * c["hop"]
        # In the air the toes hang.
        feet[side] = feet[side] @ turn_y(1.6 * c["hop"])
    aside = (course @ np.stack([-leg * c["back"], sway, np.zeros_like(leg)], axis=1)[:, :, None])[
        :, :, 0
    ]
    down = drop(people.walk, seconds_N, leg) + leg * (c["sink"] - c["hop"])
    place = aside + np.stack([gone_N, np.zeros_like(gone_N), standing_height(people) - down], 1)
    return Chains(place, pelvis, loin, chest, head, arms, ankles, feet)


def leg_length(people: People) -> Floats:
    """Thigh and shank, metres."""
    return -(
        people.bones_NJ3[:, JOINT["left_knee"], 2] + people.bones_NJ3[:, JOINT["left_ankle"], 2]
    )


def standing_height(people: People) -> Floats:
    """Height of the hip centre above the ground when a body stands, metres."""
    hip = -people.bones_NJ3[:, JOINT["left_hip"], 2]
    return np.asarray(ANKLE_HEIGHT * people.size_N + 0.991 * leg_length(people) + hip)


def make_person(
    own: np.random.Generator,
    now: np.random.Generator,
    action: str,
    begin: float = 0.0,
    *,
    pace: float = 0.0,
    longer: float = 1.0,
) -> People:
    """A person who does one action, and stands before and after: one row.

    Args:
        own: draws what belongs to the person: body, posture, tempo, handedness.
        now: draws how the action is done this time.
        begin: when it starts, seconds. longer: factor of how long it takes.
        pace: m/s at which the person walks all the time, also during the action.
    """
    habit = _habit(own)
    size, vigour = habit.size, habit.vigour * np.exp(now.normal(0.0, 0.1))
    count, seconds = _timing(now, action, habit.tempo, vigour * size)
    walk = _way(habit, now, action, begin, pace)
    if action in ("walk", "turn"):
        seconds = float(max(walk.stop_N[0] - walk.start_N[0], walk.until_N[0] - begin))
    sway, phase, rate = _sways(habit, now)
    return People(
        size_N=np.array([size]),
        bones_NJ3=habit.bones_J3[None],
        posture_NC=habit.posture_C[None],
        sway_NSC=sway[None],
        sway_phase_NSC=phase[None],
        sway_rate_NS=rate[None],
        walk=walk,
        action_N=np.array([NAMES.index(action)]),
        begin_N=np.array([begin]),
        seconds_N=np.array([seconds * longer]),
        hand_N=np.array([-habit.hand if now.random() < 0.08 else habit.hand]),
        count_N=np.array([count * longer]),
        vigour_N=np.array([vigour]),
        fancy_N2=np.clip(habit.fancy_2 + now.uniform(-0.5, 0.5, 2), -1, 1)[None],
    )


def crowd(people: Sequence[People]) -> People:
    """Rows of several in one table."""
    first = people[0]
    joined: dict[str, Any] = {
        f.name: np.concatenate([getattr(one, f.name) for one in people])
        for f in fields(first)
        if f.name != "walk"
    }
    ways = {
        f.name: np.concatenate([getattr(one.walk, f.name) for one in people]) for f in fields(Walk)
    }
    return People(**joined, walk=Walk(**ways))


@dataclass(frozen=True, eq=False)
class _Habit:
    """What belongs to a person."""

    size: float
    bones_J3: Floats
    posture_C: Floats
    tempo: float
    vigour: float
    calm: float
    hand: float
    pace: float
    step: float
    width: float
    toes: float
    arms: float
    fancy_2: Floats


def _habit(own: np.random.Generator) -> _Habit:
    draw = own.uniform
    size = (draw(1.2, 1.5) if own.random() < 0.06 else draw(1.5, 1.95)) / 1.75
    return _Habit(
        size=size,
        bones_J3=_bones(own, size),
        posture_C=_posture(own),
        tempo=float(np.exp(own.normal(0.0, 0.13))),
        vigour=float(np.exp(own.normal(0.0, 0.14))),
        calm=draw(0.5, 1.3),
        hand=1.0 if own.random() < 0.12 else -1.0,
        pace=draw(1.0, 1.55) * size**0.5,
        step=float(np.exp(own.normal(0.0, 0.05))),
        width=size * draw(0.075, 0.13),
        toes=draw(0.02, 0.25),
        arms=draw(0.55, 1.35),
        fancy_2=own.uniform(-0.8, 0.8, 2),
    )


def _bones(own: np.random.Generator, size: float) -> Floats:
    """Bones of a body of a size: legs, arms, trunk and shoulders vary, left and right are alike."""
    table = size * bones()
    legs, arms, wide = np.exp(own.normal(0.0, (0.025, 0.03, 0.06)))
    for name, joint in JOINT.items():
        part = name.partition("_")[2]
        if part in ("knee", "ankle"):
            table[joint] *= legs
        elif part in ("elbow", "wrist"):
            table[joint] *= arms
        elif part in ("shoulder", "hip"):
            table[joint, 1] *= wide
    return np.asarray(table)


def _posture(own: np.random.Generator) -> Floats:
    """Controls at rest: stooped or upright, arms close or away."""
    posture = RESTING.copy()
    draw = own.uniform
    posture[CONTROL["lean"]] = draw(-0.04, 0.16)
    posture[CONTROL["nod"]] = draw(-0.05, 0.2)
    bent, away, turned = draw(0.08, 0.4), draw(0.04, 0.2), draw(-0.35, 0.1)
    for side in SIDES:
        posture[CONTROL[f"{side}_bend"]] = bent * draw(0.8, 1.2)
        posture[CONTROL[f"{side}_spread"]] = away
        posture[CONTROL[f"{side}_turn"]] = turned
    return posture


def _sways(habit: _Habit, now: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Sizes [S, C], phases [S, C] and rates [S] of slow unrest."""
    size = np.full(len(CONTROLS), 0.03)
    for name, radians in {"sink": 0.003, "back": 0.008, "hop": 0.0, "tilt": 0.015}.items():
        size[CONTROL[name]] = radians
    for name in ("look", "nod"):
        size[CONTROL[name]] = 0.09
    rate = (
        2.0
        * np.pi
        * np.array([now.uniform(0.08, 0.2), now.uniform(0.25, 0.5), now.uniform(0.7, 1.2)])
    )
    sizes = habit.calm * np.array([1.3, 0.7, 0.22])[:, None] * size
    return (
        sizes * np.exp(now.normal(0.0, 0.4, sizes.shape)),
        now.uniform(0, 6.28, sizes.shape),
        rate,
    )


# Seconds of an action at rest pace, from and to; repetitions per second, from and to.
_TIMES = {
    "stand": (2.0, 4.0, 1.0, 1.0),
    "walk": (2.0, 3.5, 1.0, 1.0),
    "turn": (1.5, 2.5, 1.0, 1.0),
    "wave": (1.8, 3.5, 0.9, 1.7),
    "point": (1.6, 3.0, 0.3, 0.6),
    "phone": (3.0, 5.0, 0.1, 0.4),
    "drink": (2.2, 3.8, 1.0, 1.0),
    "pick_up": (1.8, 3.0, 1.0, 1.0),
    "sit_down": (1.3, 2.2, 1.0, 1.0),
    "stand_up": (1.2, 2.0, 1.0, 1.0),
    "jump": (1.0, 1.0, 1.0, 1.0),
    "look_around": (2.0, 4.0, 0.3, 0.7),
}


def _timing(
    now: np.random.Generator, action: str, tempo: float, height: float
) -> tuple[float, float]:
    """Repetitions and seconds of an action; what flies falls as fast as gravity lets it."""
    if action == "jump":
        count = float(now.integers(1, 4))
        flight = np.sqrt(24.0 * HOP * height / STANDARD_GRAVITY)
        return count, count * float(flight) / FLIGHT * now.uniform(0.95, 1.1)
    short, long, slow, fast = _TIMES[action]
    seconds = now.uniform(short, long) / tempo
    per_second = slow == fast == 1.0
    return (1.0 if per_second else max(1.0, now.uniform(slow, fast) * tempo * seconds)), seconds


def _way(habit: _Habit, now: np.random.Generator, action: str, begin: float, pace: float) -> Walk:
    """Where the person goes: always, during the action, or nowhere."""
    speed, start, stop, angle, until = pace, ALWAYS, NEVER, 0.0, begin + 1.0
    if pace == 0.0:
        start = stop = NEVER
    if action == "walk":
        speed = habit.pace * now.uniform(0.8, 1.2)
        start, stop = begin - now.uniform(0.0, 1.0), begin + now.uniform(1.2, 2.4)
    elif action == "turn":
        angle = now.choice([-1.0, 1.0]) * now.uniform(1.0, 3.1)
        until = begin + 0.5 + abs(angle) / (1.7 * habit.tempo * now.uniform(0.8, 1.2))
    stride = 1.38 * habit.step * habit.size * max(speed / 1.3, 0.3) ** 0.5
    values = (
        *(speed, start, stop, angle, begin, until),
        *(speed / stride if speed else 0.85 * habit.tempo, now.uniform(0.0, 1.0)),
        *(habit.width, habit.toes, habit.arms),
    )
    return Walk(*(np.array([value]) for value in values))
