"""Bodies of 20 joints: rigid segments that hang together, and legs that reach for their feet.

Body axes: x ahead, y left, z up. Segment j ends in joint j and starts in its parent:

    joint[j] = joint[parent] + rotation[j] @ bone[j]

so bones keep their lengths whatever the pose. Shape letters: N poses, J = 20 joints.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sensorfusion.sensors.skeleton import KINECT_V1

Floats = npt.NDArray[np.float64]
SIDES = {"left": 1.0, "right": -1.0}  # the sign of y
JOINT = {name: number for number, name in enumerate(KINECT_V1.names)}

# Bones of a body of 1.75 m in the axes of their segments, metres; sides have the sign of y.
ANKLE_HEIGHT, HEEL, BALL = 0.08, 0.05, 0.13  # of a foot on the ground, from the ankle
_MIDDLE = {
    "hip_centre": (0.0, 0.0, 0.0),
    "spine": (0.0, 0.0, 0.09),
    "shoulder_centre": (-0.01, 0.0, 0.39),
    "head": (0.03, 0.0, 0.2),
}
_PAIRED = {
    "shoulder": (0.0, 0.18, -0.05),
    "elbow": (0.0, 0.0, -0.285),
    "wrist": (0.0, 0.0, -0.245),
    "hand": (0.0, 0.0, -0.08),
    "hip": (0.0, 0.09, -0.05),
    "knee": (0.0, 0.0, -0.43),
    "ankle": (0.0, 0.0, -0.415),
    "foot": (BALL, 0.0, -0.055),
}


class Chains(NamedTuple):
    """What the pose of a body is worked out from; N poses.

    Args:
        place_N3: the hip centre. pelvis_N33: its rotation.
        loin_N33, chest_N33, head_N33: rotations of the trunk's other segments.
        arms: per side, rotations of upper arm, forearm and hand.
        ankles: per side, where the ankle is to be [N, 3]. feet: per side, the foot's rotation.
    """

    place_N3: Floats
    pelvis_N33: Floats
    loin_N33: Floats
    chest_N33: Floats
    head_N33: Floats
    arms: dict[str, tuple[Floats, Floats, Floats]]
    ankles: dict[str, Floats]
    feet: dict[str, Floats]


class Posed(NamedTuple):
    """Joints [N, J, 3], and the rotation [N, J, 3, 3] of the segment that ends in each."""

    joints_NJ3: Floats
    rotation_NJ33: Floats


def bones() -> Floats:
    """Bones of a body of 1.75 m: float64 [J, 3]."""
    table = np.zeros((len(KINECT_V1), 3))
    for number, name in enumerate(KINECT_V1.names):
        side, _, part = name.partition("_")
        if side in SIDES:
            x, y, z = _PAIRED[part]
            table[number] = (x, SIDES[side] * y, z)
        else:
            table[number] = _MIDDLE[name]
    return table


def turn_x(angle: Floats) -> Floats:
    """Rotations about x by [...] radians: [..., 3, 3]; y goes to z."""
    return _turn(angle, 1, 2)


def turn_y(angle: Floats) -> Floats:
    """Rotations about y by [...] radians: [..., 3, 3]; z goes to x."""
    return _turn(angle, 2, 0)


def turn_z(angle: Floats) -> Floats:
    """Rotations about z by [...] radians: [..., 3, 3]; x goes to y."""
    return _turn(angle, 0, 1)


def _turn(angle: Floats, first: int, second: int) -> Floats:
    out = np.zeros((*np.shape(angle), 3, 3))
    cosine, sine = np.cos(angle), np.sin(angle)
    out[..., first, first] = out[..., second, second] = cosine
    out[..., second, first], out[..., first, second] = sine, -sine
    out[..., 3 - first - second, 3 - first - second] = 1.0
    return out


def assemble(bones_NJ3: Floats, chains: Chains) -> Posed:
    """Joints and rotations of bodies whose trunks and arms are turned and whose feet are placed."""
    count = len(bones_NJ3)
    joints, turns = np.empty((count, 20, 3)), np.empty((count, 20, 3, 3))
    joints[:, JOINT["hip_centre"]], turns[:, JOINT["hip_centre"]] = (
        chains.place_N3,
        chains.pelvis_N33,
    )

    def extend(name: str, rotation_N33: Floats) -> None:
        j = JOINT[name]
        turns[:, j] = rotation_N33
        joints[:, j] = joints[:, KINECT_V1.parents[j]] + _apply(rotation_N33, bones_NJ3[:, j])

    extend("spine", chains.loin_N33)
    extend("shoulder_centre", chains.chest_N33)
    extend("head", chains.head_N33)
    for side in SIDES:
        extend(f"{side}_shoulder", chains.chest_N33)
        for part, rotation in zip(("elbow", "wrist", "hand"), chains.arms[side], strict=True):
            extend(f"{side}_{part}", rotation)
        extend(f"{side}_hip", chains.pelvis_N33)
        hip = joints[:, JOINT[f"{side}_hip"]]
        lengths = [-bones_NJ3[:, JOINT[f"{side}_{part}"], 2] for part in ("knee", "ankle")]
        ahead = chains.pelvis_N33[:, :, 0] + chains.feet[side][:, :, 0]
        thigh, shank = reach(hip, chains.ankles[side], lengths[0], lengths[1], ahead)
        for part, rotation in zip(
            ("knee", "ankle", "foot"), (thigh, shank, chains.feet[side]), strict=True
        ):
            extend(f"{side}_{part}", rotation)
    return Posed(joints, turns)


def reach(
    hip_N3: Floats, ankle_N3: Floats, thigh_N: Floats, shank_N: Floats, ahead_N3: Floats
) -> tuple[Floats, Floats]:
    """Rotations of thighs and shanks [N, 3, 3] that bring ankles to a place, knees to the front.

    A leg is never quite straight: close to its length the ankle smoothly stays behind.
    """
    span = ankle_N3 - hip_N3
    distance = np.sqrt((span**2).sum(axis=1))
    down = span / distance[:, None]
    distance = _short_of(distance, thigh_N + shank_N)
    cosine = (thigh_N**2 + distance**2 - shank_N**2) / (2.0 * thigh_N * distance)
    sine = np.sqrt(1.0 - cosine**2)
    front = ahead_N3 - (ahead_N3 * down).sum(axis=1)[:, None] * down
    front = front / np.sqrt((front**2).sum(axis=1))[:, None]
    knee = thigh_N[:, None] * (cosine[:, None] * down + sine[:, None] * front)
    foot = distance[:, None] * down
    hinge = np.cross(front, down)  # towards the left
    return _hinged(-knee / thigh_N[:, None], hinge), _hinged(
        (knee - foot) / shank_N[:, None], hinge
    )


def _short_of(distance_N: Floats, length_N: Floats) -> Floats:
    """Distances that smoothly stay below its length of the leg's length."""
    most, soft = 0.999 * length_N, 0.007 * length_N
    return np.asarray(most - soft * np.logaddexp(0.0, (most - distance_N) / soft))


def _hinged(up_N3: Floats, hinge_N3: Floats) -> Floats:
    """Rotations whose z axis is `up` and whose y axis is the hinge."""
    return np.stack([np.cross(hinge_N3, up_N3), hinge_N3, up_N3], axis=2)


def _apply(rotation_N33: Floats, vector_N3: Floats) -> Floats:
    return np.asarray((rotation_N33 @ vector_N3[:, :, None])[:, :, 0])
