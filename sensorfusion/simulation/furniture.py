"""What stands in streets: lamps, signs, signals, benches; and what grows there."""

from __future__ import annotations

from typing import Any

import numpy as np

from sensorfusion.simulation.colours import (
    DARK,
    GLASS,
    STEEL,
    WHITE,
    earthy,
    leafy,
    muted,
    vivid,
)
from sensorfusion.simulation.shapes import Colour, Sketch, Texture

LAMPS: tuple[Colour, ...] = ((0.8, 0.05, 0.03), (0.8, 0.45, 0.03), (0.05, 0.7, 0.2))


def lamp_post(generator: np.random.Generator) -> Sketch:
    """A street lamp whose arm reaches ahead, or a plain mast."""
    sketch, colour = Sketch(), _post_colour(generator)
    height, reach = generator.uniform(4.5, 8.5), generator.uniform(0.6, 1.8)
    sketch.add(2, (0, 0, height / 2), (0.1, 0.1, height / 2), colour, taper=(0.4, 0.0))
    sketch.rod((0, 0, 0), (0, 0, 0.9), 0.14, colour)
    if generator.random() < 0.75:
        sketch.rod((0, 0, height - 0.1), (reach, 0, height + 0.15), 0.04, colour)
        sketch.box((reach, 0, height + 0.13), (0.35, 0.13, 0.06), colour, reflectance=0.5)
    else:
        sketch.ball((0, 0, height + 0.15), (0.24, 0.24, 0.24), WHITE, gloss=0.1)
    if generator.random() < 0.3:
        sketch.box(
            (0, 0.5, 3.2),
            (0.03, 0.35, 0.8),
            vivid(generator),
            texture=Texture.SIGN,
            second=muted(generator),
        )
    return sketch


def sign(generator: np.random.Generator) -> Sketch:
    """A traffic sign that faces back along x: round, square or long."""
    sketch, colour = Sketch(), vivid(generator)
    height, size = generator.uniform(2.1, 2.7), generator.uniform(0.26, 0.42)
    sketch.rod((0, 0, 0), (0, 0, height + size), 0.035, _post_colour(generator))
    look: dict[str, Any] = {"texture": Texture.SIGN, "second": WHITE, "reflectance": 1.0}
    if generator.random() < 0.5:
        sketch.rod((-0.06, 0, height), (-0.03, 0, height), size, colour, **look)
    else:
        sketch.box(
            (-0.05, 0, height), (0.015, size * generator.uniform(0.8, 1.6), size), colour, **look
        )
    return sketch


def signal(generator: np.random.Generator) -> Sketch:
    """A traffic light on a pole, sometimes on an arm over the street."""
    sketch, colour = Sketch(), _post_colour(generator)
    arm = generator.random() < 0.5
    height = 5.4 if arm else 3.2
    sketch.rod((0, 0, 0), (0, 0, height), 0.08, colour)
    heads = [(0.0, 2.6)]
    if arm:
        reach = generator.uniform(2.5, 4.5)
        sketch.rod((0, 0, height - 0.1), (0, reach, height), 0.05, colour)
        heads.append((reach, height - 0.1))
    lit = generator.integers(3)
    for place, level in heads:
        sketch.box((-0.1, place, level), (0.1, 0.15, 0.45), DARK, reflectance=0.3)
        for n in range(3):
            lamp: Colour = LAMPS[n] if n == lit else (0.05, 0.05, 0.05)
            sketch.ball((-0.19, place, level + 0.28 - 0.28 * n), (0.06, 0.1, 0.1), lamp)
    return sketch


def bench(generator: np.random.Generator) -> Sketch:
    """A bench, a bin, a post box, a cabinet or a planter."""
    sketch, draw = Sketch(), generator.uniform
    kind, colour = generator.integers(4), vivid(generator)
    if kind == 0:
        wood = earthy(generator)
        sketch.box((0, 0, 0.45), (0.8, 0.22, 0.04), wood)
        sketch.box((0, 0.22, 0.72), (0.8, 0.03, 0.2), wood)
        for side in (-1, 1):
            sketch.box((side * 0.62, 0, 0.22), (0.04, 0.2, 0.22), DARK)
    elif kind == 1:
        sketch.rod(
            (0, 0, 0),
            (0, 0, draw(0.8, 1.1)),
            draw(0.2, 0.3),
            colour,
            texture=Texture.RIBBED,
            second=DARK,
        )
    elif kind == 2:
        half = (draw(0.2, 0.35), draw(0.35, 0.8), draw(0.5, 0.8))
        sketch.box((0, 0, half[2]), half, colour, texture=Texture.SIGN, second=muted(generator))
    else:
        edge = draw(0.3, 0.7)
        sketch.box((0, 0, 0.28), (edge, edge, 0.28), muted(generator), texture=Texture.CONCRETE)
    return sketch


def bollard(generator: np.random.Generator) -> Sketch:
    """A short post: its size is that of a traffic cone."""
    sketch, height = Sketch(), generator.uniform(0.6, 1.1)
    colour = vivid(generator)
    look: dict[str, Any] = (
        {"texture": Texture.BANDS, "second": WHITE} if generator.random() < 0.4 else {}
    )
    sketch.rod((0, 0, 0), (0, 0, height), generator.uniform(0.06, 0.14), colour, **look)
    return sketch


def shelter(generator: np.random.Generator) -> Sketch:
    """A bus stop: a roof, panes, a bench."""
    sketch, colour = Sketch(), vivid(generator)
    sketch.box((0, 0, 2.45), (2.0, 0.75, 0.07), colour)
    sketch.box(
        (0, 0.68, 1.25),
        (1.9, 0.03, 1.05),
        muted(generator),
        texture=Texture.PANES,
        second=GLASS,
        gloss=0.3,
        reflectance=0.15,
    )
    for x in (-1.9, 1.9):
        for y in (-0.6, 0.68):
            sketch.rod((x, y, 0), (x, y, 2.4), 0.05, STEEL)
    sketch.box((0.2, 0.4, 0.5), (1.2, 0.2, 0.04), earthy(generator))
    sketch.box(
        (1.93, 0.05, 1.3),
        (0.05, 0.55, 0.85),
        vivid(generator),
        texture=Texture.SIGN,
        second=muted(generator),
    )
    return sketch


def tree(generator: np.random.Generator) -> Sketch:
    """A trunk with boughs and a crown of ragged ellipsoids; some are firs, some are bare below."""
    sketch, draw = Sketch(), generator.uniform
    height, leaves, bark = draw(4.0, 10.0), leafy(generator), earthy(generator)
    crown: dict[str, Any] = {
        "texture": Texture.FOLIAGE,
        "holes": draw(0.45, 0.62),
        "reflectance": draw(0.25, 0.7),
    }
    trunk = draw(0.25, 0.45) * height
    girth = draw(0.1, 0.26)
    wood: dict[str, Any] = {
        "texture": Texture.BARK,
        "second": earthy(generator),
        "reflectance": draw(0.15, 0.6),
    }
    sketch.add(
        2, (0, 0, 0.4 * height), (girth, girth, 0.4 * height + 0.2), bark, taper=(0.6, 0), **wood
    )
    if generator.random() < 0.2:
        for n in range(4):
            level = trunk * 0.6 + (height - trunk * 0.6) * (n + 0.4) / 4
            wide = (0.28 - 0.055 * n) * height * 0.8
            sketch.ball(
                (0, 0, level), (wide, wide, 0.16 * height), leaves, second=leafy(generator), **crown
            )
        return sketch
    for _ in range(int(draw(4, 8))):
        turn, out = draw(0, 2 * np.pi), draw(0.0, 0.2) * height
        x, y, z = out * np.cos(turn), out * np.sin(turn), draw(trunk + 0.1 * height, 0.9 * height)
        half = height * draw(0.1, 0.2) * draw(0.8, 1.25, 3)
        sketch.ball((x, y, z), half, leaves, second=leafy(generator), **crown)
        if out > 0.08 * height:
            sketch.rod((0, 0, 0.8 * trunk), (x, y, z), 0.3 * girth, bark, **wood)
    return sketch


def bush(generator: np.random.Generator) -> Sketch:
    """A shrub of a few ellipsoids."""
    sketch, draw, leaves = Sketch(), generator.uniform, leafy(generator)
    crown: dict[str, Any] = {
        "texture": Texture.FOLIAGE,
        "holes": draw(0.3, 0.5),
        "reflectance": draw(0.25, 0.7),
    }
    for _ in range(generator.integers(1, 4)):
        half = draw(0.35, 0.9) * draw(0.8, 1.2, 3)
        x, y = draw(-0.6, 0.6, 2)
        sketch.ball((x, y, 0.7 * half[2]), half, leaves, second=leafy(generator), **crown)
    return sketch


def hedge(generator: np.random.Generator, length: float) -> Sketch:
    """A cut hedge along x: a ragged box."""
    sketch, leaves = Sketch(), leafy(generator)
    half = (length / 2, generator.uniform(0.3, 0.5), generator.uniform(0.35, 0.95))
    sketch.box(
        (0, 0, half[2] - 0.1),
        half,
        leaves,
        second=leafy(generator),
        texture=Texture.FOLIAGE,
        holes=0.22,
        reflectance=generator.uniform(0.25, 0.6),
    )
    inner = (half[0] - 0.1, half[1] - 0.12, half[2] - 0.12)
    sketch.box(
        (0, 0, half[2] - 0.1), inner, leaves, second=leafy(generator), texture=Texture.FOLIAGE
    )
    return sketch


def _post_colour(generator: np.random.Generator) -> Colour:
    return STEEL if generator.random() < 0.4 else vivid(generator)
