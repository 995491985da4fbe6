"""Pedestrians: bodies of ellipsoids that stand or stride."""

from __future__ import annotations

from typing import Any

import numpy as np

from sensorfusion.simulation.colours import DARK, SKIN, vivid
from sensorfusion.simulation.shapes import Sketch, Texture


def pedestrian(generator: np.random.Generator, walking: bool) -> Sketch:
    """A person of 1.2 to 1.95 m, arms and legs as in one moment of a step."""
    sketch, draw = Sketch(), generator.uniform
    size = draw(1.2, 1.5) / 1.75 if generator.random() < 0.12 else draw(1.55, 1.95) / 1.75
    coat, trousers, hair = vivid(generator), vivid(generator), vivid(generator)
    skin = SKIN[generator.integers(3)]
    cloth: dict[str, Any] = {"texture": Texture.CLOTH, "reflectance": draw(0.1, 0.7)}
    girth = draw(0.85, 1.25)
    stride = draw(-0.32, 0.32) if walking else draw(-0.05, 0.05)
    sketch.ball((0, 0, 1.2), (0.13 * girth, 0.21 * girth, 0.34), coat, **cloth)
    sketch.ball((0, 0, 0.92), (0.13 * girth, 0.17 * girth, 0.16), trousers, **cloth)
    sketch.rod((0, 0, 1.42), (0.01, 0, 1.55), 0.055, skin)
    sketch.ball((0.01, 0, 1.64), (0.1, 0.085, 0.12), skin)
    sketch.ball((-0.015, 0, 1.69), (0.105, 0.095, 0.095), hair, texture=Texture.CLOTH)
    for side in (-1, 1):
        swing = side * stride
        knee = (0.55 * swing + 0.05, side * 0.09, 0.5)
        ankle = (swing - 0.04, side * 0.09, 0.08)
        sketch.limb((0, side * 0.09, 0.9), knee, 0.085 * girth, trousers, **cloth)
        sketch.limb(knee, ankle, 0.062 * girth, trousers, **cloth)
        sketch.ball((ankle[0] + 0.06, side * 0.09, 0.05), (0.13, 0.05, 0.05), DARK)
        elbow = (-0.4 * swing - 0.03, side * 0.24 * girth, 1.13)
        hand = (-0.8 * swing + 0.1, side * 0.25 * girth, draw(0.86, 1.15))
        sketch.limb((0, side * 0.2 * girth, 1.42), elbow, 0.055 * girth, coat, **cloth)
        sketch.limb(elbow, hand, 0.045, coat, **cloth)
        sketch.ball(hand, (0.05, 0.04, 0.06), skin)
    _carried(sketch, generator)
    return Sketch(sketch.moved((0, 0, 0), scale=size))


def _carried(sketch: Sketch, generator: np.random.Generator) -> None:
    """A backpack, a bag, a skirt, or nothing."""
    colour = vivid(generator)
    kind = generator.random()
    if kind < 0.2:
        sketch.ball((-0.2, 0, 1.25), (0.12, 0.16, 0.23), colour, texture=Texture.CLOTH)
    elif kind < 0.35:
        sketch.box((0.02, 0.33, 0.72), (0.16, 0.06, 0.14), colour, texture=Texture.CLOTH)
    elif kind < 0.5:
        sketch.add(
            2, (0, 0, 0.74), (0.26, 0.26, 0.24), colour, taper=(0.4, 0), texture=Texture.CLOTH
        )
    elif kind < 0.56:
        sketch.ball((0, 0, 2.0), (0.5, 0.5, 0.14), colour)
        sketch.rod((0.1, 0.1, 1.1), (0, 0, 2.0), 0.015, DARK)
