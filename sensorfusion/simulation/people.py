"""Pedestrians: ellipsoids on the segments of a body, dressed, and what they do in the street."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sensorfusion.simulation.body import People, make_person
from sensorfusion.simulation.colours import DARK, SKIN, vivid
from sensorfusion.simulation.kinematics import ANKLE_HEIGHT, JOINT, SIDES, Posed
from sensorfusion.simulation.shapes import BALL, Sketch, Texture

Floats = npt.NDArray[np.float64]
SEGMENTS = tuple(
    joint for name, joint in JOINT.items() if not name.endswith(("_shoulder", "_hip"))
)  # the segments that carry shapes: shoulders belong to the chest, hips to the pelvis


def segment_poses(posed: Posed, bones_NJ3: Floats) -> Floats:
    """Poses [N, S, 4, 4] of `SEGMENTS`: each in the middle of its bone."""
    rows = list(SEGMENTS)
    out = np.zeros((len(posed.joints_NJ3), len(rows), 4, 4))
    out[:, :, :3, :3] = posed.rotation_NJ33[:, rows]
    middle = (out[:, :, :3, :3] @ bones_NJ3[:, rows, :, None])[..., 0] / 2.0
    out[:, :, :3, 3] = posed.joints_NJ3[:, rows] - middle
    out[:, :, 3, 3] = 1.0
    return out


def dressed(generator: np.random.Generator, bones_J3: Floats, size: float) -> list[Sketch]:
    """The shapes of a body on each of its `SEGMENTS`, in their axes.

    Args:
        bones_J3: see `kinematics`. size: the body's height over 1.75 m.
    """
    draw = generator.uniform
    coat, trousers, hair = vivid(generator), vivid(generator), vivid(generator)
    skin = SKIN[generator.integers(3)]
    cloth: dict[str, Any] = {"texture": Texture.CLOTH, "reflectance": draw(0.1, 0.7)}
    girth = draw(0.85, 1.25) * size
    short = generator.random() < 0.35  # sleeves
    wide = bones_J3[JOINT["left_shoulder"], 1]
    parts = {joint: Sketch() for joint in SEGMENTS}
    trunk = [parts[JOINT[name]] for name in ("hip_centre", "spine", "shoulder_centre", "head")]
    trunk[0].ball(
        (0, 0, -0.03 * size), (0.125 * girth, 0.17 * girth, 0.14 * size), trousers, **cloth
    )
    trunk[1].ball((0, 0, 0.02 * size), (0.12 * girth, 0.16 * girth, 0.17 * size), coat, **cloth)
    trunk[2].ball((0, 0, 0.02 * size), (0.125 * girth, 0.18 * girth, 0.25 * size), coat, **cloth)
    trunk[2].ball((0, 0, 0.14 * size), (0.085 * girth, wide + 0.03, 0.075 * size), coat, **cloth)
    _head(trunk[3], bones_J3[JOINT["head"]], size, skin, hair)
    for side in SIDES:
        bone = {part: bones_J3[JOINT[f"{side}_{part}"]] for part in _THICK}
        for part, thick in _THICK.items():
            leg = part in ("knee", "ankle")
            colour = trousers if leg else skin if short and part == "wrist" else coat
            width = girth if part in ("elbow", "knee") else 0.5 * (girth + size)
            sketch = parts[JOINT[f"{side}_{part}"]]
            sketch.limb(-0.5 * bone[part], 0.5 * bone[part], thick * width, colour, **cloth)
        hand = parts[JOINT[f"{side}_hand"]]
        hand.ball((0, 0, 0), (0.042 * size, 0.03 * size, 0.075 * size), skin)
        foot = parts[JOINT[f"{side}_foot"]]
        sole = 0.5 * bones_J3[JOINT[f"{side}_foot"], 2] + ANKLE_HEIGHT * size
        foot.ball((0, 0, 0.045 * size - sole), (0.135 * size, 0.05 * size, 0.045 * size), DARK)
    _carried(parts, generator, size)
    return [parts[joint] for joint in SEGMENTS]


# Half the thickness of arms and legs of a body of 1.75 m, metres: at their middle.
_THICK = {"elbow": 0.055, "wrist": 0.043, "knee": 0.085, "ankle": 0.06}


def _head(sketch: Sketch, bone_3: Floats, size: float, skin: Any, hair: Any) -> None:
    """Neck, face and hair; the head's joint is in its middle."""
    sketch.rod(-0.6 * bone_3, 0.3 * bone_3, 0.055 * size, skin)
    x, _, z = 0.5 * bone_3
    sketch.ball((x, 0, z), (0.1 * size, 0.08 * size, 0.125 * size), skin)
    above = (x - 0.022 * size, 0, z + 0.04 * size)
    sketch.ball(above, (0.1 * size, 0.09 * size, 0.1 * size), hair, texture=Texture.CLOTH)


def _carried(parts: dict[int, Sketch], generator: np.random.Generator, size: float) -> None:
    """A backpack, a bag, a skirt, a hat, or nothing."""
    colour, kind = vivid(generator), generator.random()
    chest, pelvis = parts[JOINT["shoulder_centre"]], parts[JOINT["hip_centre"]]
    if kind < 0.2:
        place = (-0.19 * size, 0, 0.02 * size)
        chest.ball(place, (0.12 * size, 0.15 * size, 0.22 * size), colour, texture=Texture.CLOTH)
    elif kind < 0.3:
        half = (0.15 * size, 0.05 * size, 0.13 * size)
        parts[JOINT["left_hand"]].box((0, 0, -0.19 * size), half, colour, texture=Texture.CLOTH)
    elif kind < 0.45:
        half = (0.22 * size, 0.24 * size, 0.2 * size)
        place = (0, 0, -0.16 * size)
        pelvis.add(2, place, half, colour, taper=(0.4, 0), texture=Texture.CLOTH)
    elif kind < 0.55:
        head = parts[JOINT["head"]]
        head.add(BALL, (0.02, 0, 0.19 * size), (0.15 * size, 0.14 * size, 0.035 * size), colour)
        head.add(BALL, (0, 0, 0.21 * size), (0.1 * size, 0.09 * size, 0.07 * size), colour)


# What pedestrians do while they walk, and while they stand: shares, and how long they take.
_UNDERWAY = (
    ("stand", 0.55, 1.0),
    ("phone", 0.2, 6.0),
    ("look_around", 0.17, 1.0),
    ("wave", 0.08, 1.0),
)
_WAITING = (
    *(("stand", 0.2, 1.0), ("phone", 0.25, 6.0), ("look_around", 0.2, 2.0), ("wave", 0.1, 1.5)),
    *(("point", 0.1, 1.5), ("drink", 0.08, 1.0), ("pick_up", 0.07, 1.0)),
)


def passer_by(generator: np.random.Generator, pace: float, seconds: float) -> People:
    """A person with something to do at some time of a scene of `seconds`, who walks at `pace`."""
    table = _UNDERWAY if pace > 0.0 else _WAITING
    chances = np.cumsum([share for _, share, _ in table])
    action, _, longer = table[int(np.searchsorted(chances, generator.random()))]
    begin = generator.uniform(-4.0 * longer, seconds - 2.0)
    own, now = generator.spawn(2)
    return make_person(own, now, action, begin, pace=pace, longer=longer)
