"""Buildings, walls and fences: the man-made sides of a street."""

from __future__ import annotations

from typing import Any

import numpy as np

from sensorfusion.simulation.colours import DARK, GLASS, STEEL, earthy, leafy, muted, vivid
from sensorfusion.simulation.shapes import Sketch, Texture

FACADES = (Texture.FACADE, Texture.BRICK, Texture.PANES, Texture.FACADE)


def building(generator: np.random.Generator, width: float, depth: float, storeys: int) -> Sketch:
    """A building whose front is at x = depth / 2, `width` along y.

    It has a plinth, storeys with windows, a flat or gabled roof, and things that jut out.
    """
    sketch, draw = Sketch(), generator.uniform
    wall = leafy(generator) if generator.random() < 0.08 else muted(generator)
    if generator.random() < 0.2:
        wall = vivid(generator)
    texture = FACADES[generator.integers(len(FACADES))]
    height = 3.1 * storeys + 0.6
    look: dict[str, Any] = {
        "texture": texture,
        "reflectance": draw(0.15, 0.7),
        "second": muted(generator),
    }
    sketch.box((0, 0, height / 2 - 0.5), (depth / 2, width / 2, height / 2 + 0.5), wall, **look)
    plinth = muted(generator)
    sketch.box(
        (0, 0, 0.2), (depth / 2 + 0.06, width / 2 + 0.06, 0.5), plinth, texture=Texture.CONCRETE
    )
    if storeys <= 3 and generator.random() < 0.75:
        _gable(sketch, generator, width, depth, height)
    else:
        _flat_roof(sketch, generator, width, depth, height)
    front = depth / 2
    if generator.random() < 0.45:
        _shop(sketch, generator, front, width)
    for storey in range(1, storeys):
        if generator.random() < 0.35:
            _balconies(sketch, generator, front, width, 3.1 * storey)
    if generator.random() < 0.5:
        place = draw(-0.4, 0.4) * width
        sketch.box((front + 0.5, place, 0.12), (0.6, 0.9, 0.14), plinth, texture=Texture.CONCRETE)
        sketch.box((front + 0.5, place, 2.7), (0.6, 0.9, 0.06), wall)
    if generator.random() < 0.5:
        pipe = draw(-0.48, 0.48) * width
        sketch.rod((front + 0.08, pipe, 0), (front + 0.08, pipe, height), 0.06, STEEL)
    return sketch


def _gable(
    sketch: Sketch, generator: np.random.Generator, width: float, depth: float, height: float
) -> None:
    rise, tiles = generator.uniform(1.2, 3.2), earthy(generator)
    if generator.random() < 0.5:
        tiles = vivid(generator)
    along = generator.random() < 0.6
    sketch.box(
        (0, 0, height + rise / 2 - 0.05),
        (depth / 2 + 0.4, width / 2 + 0.35, rise / 2),
        tiles,
        taper=(0.98, 0.15) if along else (0.15, 0.98),
        texture=Texture.ROOF,
    )
    place = (0.2 * depth, generator.uniform(-0.3, 0.3) * width, height + rise * 0.7)
    sketch.box(place, (0.3, 0.3, 0.8), earthy(generator), texture=Texture.BRICK)


def _flat_roof(
    sketch: Sketch, generator: np.random.Generator, width: float, depth: float, height: float
) -> None:
    edge = muted(generator)
    sketch.box((0, 0, height + 0.1), (depth / 2 + 0.2, width / 2 + 0.2, 0.25), edge)
    for _ in range(generator.integers(0, 4)):
        x, y = generator.uniform(-0.3, 0.3, 2) * (depth, width)
        half = generator.uniform(0.4, 1.6, 3)
        sketch.box(
            (x, y, height + half[2]), half, muted(generator), texture=Texture.RIBBED, second=DARK
        )


def _shop(sketch: Sketch, generator: np.random.Generator, front: float, width: float) -> None:
    """A glazed ground floor under a sign and an awning."""
    share, place = generator.uniform(0.4, 0.9), generator.uniform(-0.05, 0.05) * width
    half = share * width / 2
    sketch.box(
        (front, place, 1.45),
        (0.07, half, 1.15),
        muted(generator),
        texture=Texture.PANES,
        second=GLASS,
        gloss=0.2,
    )
    sketch.box(
        (front + 0.1, place, 2.95),
        (0.1, half, 0.28),
        vivid(generator),
        texture=Texture.SIGN,
        second=muted(generator),
        reflectance=0.5,
    )
    if generator.random() < 0.6:
        sketch.box(
            (front + 0.7, place, 2.62),
            (0.7, half, 0.12),
            vivid(generator),
            taper=(0.9, 0.0),
            texture=Texture.BANDS,
            second=muted(generator),
        )


def _balconies(
    sketch: Sketch, generator: np.random.Generator, front: float, width: float, floor: float
) -> None:
    count = max(1, int(width / generator.uniform(5, 8)))
    rail = vivid(generator)
    for n in range(count):
        place = ((n + 0.5) / count - 0.5) * width
        sketch.box((front + 0.55, place, floor), (0.6, 1.3, 0.09), muted(generator))
        sketch.box(
            (front + 1.12, place, floor + 0.5),
            (0.03, 1.3, 0.45),
            rail,
            texture=Texture.RIBBED,
            second=DARK,
        )


def wall(generator: np.random.Generator, length: float) -> Sketch:
    """A garden wall along x."""
    sketch = Sketch()
    height = generator.uniform(0.5, 1.1)
    texture = Texture.BRICK if generator.random() < 0.5 else Texture.CONCRETE
    colour = earthy(generator) if texture == Texture.BRICK else muted(generator)
    look: dict[str, Any] = {"texture": texture, "second": muted(generator), "reflectance": 0.4}
    sketch.box((0, 0, height - 0.3), (length / 2, 0.14, height + 0.3), colour, **look)
    sketch.box((0, 0, 2 * height + 0.02), (length / 2, 0.19, 0.05), muted(generator))
    return sketch


def fence(generator: np.random.Generator, length: float) -> Sketch:
    """A wire or bar fence with posts, or wooden boards, along x."""
    sketch = Sketch()
    height, colour = generator.uniform(1.0, 2.0), vivid(generator)
    boards = generator.random() < 0.35
    panel: dict[str, Any] = (
        {"texture": Texture.RIBBED} if boards else {"texture": Texture.MESH, "holes": 0.7}
    )
    colour = earthy(generator) if boards else colour
    sketch.box((0, 0, height / 2), (length / 2, 0.02, height / 2), colour, second=DARK, **panel)
    for n in range(int(length / 2.5) + 1):
        place = -length / 2 + n * 2.5
        sketch.rod((place, 0, -0.2), (place, 0, height + 0.06), 0.05, colour)
    return sketch
