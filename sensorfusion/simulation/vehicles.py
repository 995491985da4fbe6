"""Vehicles of the town, each drawn with its own size, shape and paint."""

from __future__ import annotations

from typing import Any

import numpy as np

from sensorfusion.geometry.rotation import rotation_about
from sensorfusion.simulation.colours import (
    DARK,
    GLASS,
    ORANGE,
    RUBBER,
    SKIN,
    STEEL,
    WHITE,
    earthy,
    muted,
    vivid,
)
from sensorfusion.simulation.shapes import Colour, Sketch, Texture

LEAN = rotation_about((1, 0, 0), np.pi / 2)  # cylinders along y


def car(generator: np.random.Generator) -> Sketch:
    """A saloon, hatchback, estate or van, 3.6 to 5.2 m long."""
    sketch, draw = Sketch(), generator.uniform
    van = generator.random() < 0.2
    length, width = (draw(4.4, 5.2), draw(1.8, 2.0)) if van else (draw(3.7, 4.8), draw(1.65, 1.9))
    waist = draw(0.95, 1.15) if van else draw(0.8, 0.95)
    height = draw(1.85, 2.2) if van else draw(1.4, 1.65)
    paint, low = vivid(generator), draw(0.2, 0.28)
    shine: dict[str, Any] = {"reflectance": draw(0.15, 0.8), "gloss": 0.25}
    body: dict[str, Any] = {"texture": Texture.BODYWORK, "second": DARK, **shine}
    middle = (low + waist) / 2
    sketch.box(
        (0, 0, middle),
        (length / 2, width / 2, (waist - low) / 2),
        paint,
        taper=(0.03, 0.08),
        **body,
    )
    sketch.box((0, 0, low - 0.04), (length * 0.46, width * 0.46, 0.1), DARK, reflectance=0.1)
    back, front = (-0.48, 0.32) if van else (draw(-0.47, -0.33), draw(0.16, 0.24))
    cabin = ((back + front) / 2 * length, 0, (waist + height) / 2)
    half = ((front - back) / 2 * length, width * 0.46, (height - waist) / 2)
    sketch.box(
        cabin,
        half,
        paint,
        taper=(0.14 if van else draw(0.28, 0.42), 0.2),
        texture=Texture.CABIN,
        second=GLASS,
        reflectance=draw(0.1, 0.4),
        gloss=0.3,
    )
    _lamps(sketch, length, width, (low + waist) / 2 + 0.12)
    _wheels(sketch, (-0.31 * length, 0.31 * length), width, draw(0.29, 0.36))
    for side in (-1, 1):
        sketch.box(
            (0.17 * length, side * (width / 2 + 0.06), waist), (0.06, 0.09, 0.06), paint, **shine
        )
    return sketch


def truck(generator: np.random.Generator) -> Sketch:
    """A lorry with a box, a flat bed or a tank behind its cab."""
    sketch, draw = Sketch(), generator.uniform
    length, width, height = draw(6.0, 9.5), draw(2.2, 2.5), draw(2.6, 3.6)
    paint, load, cab = vivid(generator), vivid(generator), draw(1.6, 2.1)
    shine: dict[str, Any] = {"reflectance": draw(0.2, 0.7), "gloss": 0.12}
    sketch.box((0, 0, 0.75), (length / 2, 0.42, 0.16), DARK, reflectance=0.12)
    front = length / 2 - cab / 2
    sketch.box(
        (front, 0, 1.05),
        (cab / 2, width / 2, 0.6),
        paint,
        texture=Texture.BODYWORK,
        second=DARK,
        **shine,
    )
    top = draw(2.3, 2.8)
    sketch.box(
        (front, 0, (1.6 + top) / 2),
        (cab / 2, width / 2, (top - 1.6) / 2),
        paint,
        taper=(draw(0.08, 0.25), 0.1),
        texture=Texture.CABIN,
        second=GLASS,
        **shine,
    )
    _cargo(sketch, generator, length - cab - 0.25, width, height, load, -(cab + 0.25) / 2)
    _lamps(sketch, length, width, 0.85)
    _wheels(sketch, (-0.36 * length, -0.22 * length, front), width, 0.48)
    return sketch


def trailer(generator: np.random.Generator) -> Sketch:
    """A trailer without its tractor: a long box on rear axles and legs, or a small one."""
    sketch, draw = Sketch(), generator.uniform
    large = generator.random() < 0.6
    length = draw(7.0, 10.0) if large else draw(2.6, 4.0)
    width, height = (draw(2.3, 2.5), draw(2.8, 3.7)) if large else (draw(1.6, 2.0), draw(1.2, 2.3))
    wheel = 0.48 if large else 0.3
    sketch.box((0, 0, wheel + 0.22), (length / 2, 0.4, 0.1), DARK, reflectance=0.12)
    _cargo(sketch, generator, length, width, height, vivid(generator), 0.0, wheel + 0.35)
    sketch.rod(
        (length / 2, 0, wheel + 0.2), (length / 2 + draw(0.8, 1.2), 0, wheel + 0.1), 0.07, STEEL
    )
    axles = (-0.42 * length, -0.28 * length) if large else (-0.05 * length,)
    _wheels(sketch, axles, width, wheel)
    for side in (-1, 1):
        sketch.rod((0.32 * length, side * 0.5, 0), (0.32 * length, side * 0.5, 0.7), 0.06, STEEL)
    return sketch


def bus(generator: np.random.Generator) -> Sketch:
    """A city bus, sometimes a double-decker."""
    sketch, draw = Sketch(), generator.uniform
    length, width = draw(9.0, 12.0), draw(2.45, 2.55)
    height = 4.2 if generator.random() < 0.2 else draw(2.9, 3.2)
    paint, second = vivid(generator), vivid(generator)
    shine: dict[str, Any] = {"reflectance": draw(0.2, 0.7), "gloss": 0.2}
    sketch.box(
        (0, 0, 0.65),
        (length / 2, width / 2, 0.4),
        paint,
        texture=Texture.BODYWORK,
        second=second,
        **shine,
    )
    sketch.box(
        (0, 0, (1.05 + height) / 2),
        (length / 2, width / 2, (height - 1.05) / 2),
        paint,
        texture=Texture.PANES,
        second=GLASS,
        taper=(0.01, 0.03),
        **shine,
    )
    sketch.box((-0.15 * length, 0, height + 0.12), (0.16 * length, 0.8, 0.14), muted(generator))
    _lamps(sketch, length, width, 0.7)
    _wheels(sketch, (-0.28 * length, 0.34 * length), width, 0.48)
    for side in (-1, 1):
        sketch.box((length / 2 + 0.15, side * width * 0.5, 2.2), (0.12, 0.1, 0.22), DARK)
    return sketch


def construction(generator: np.random.Generator) -> Sketch:
    """An excavator on tracks, or a wheel loader."""
    sketch, draw = Sketch(), generator.uniform
    paint: Colour = (0.6, 0.38, 0.04) if generator.random() < 0.5 else vivid(generator)
    tracked = generator.random() < 0.6
    length = draw(3.0, 4.0)
    if tracked:
        for side in (-1, 1):
            sketch.box((0, side * 1.0, 0.42), (length / 2, 0.28, 0.42), DARK, taper=(0.25, 0.0))
    else:
        _wheels(sketch, (-0.3 * length, 0.33 * length), 2.1, 0.62)
        sketch.box((0, 0, 0.75), (length * 0.45, 0.5, 0.2), DARK)
    base = 0.85
    shine: dict[str, Any] = {"reflectance": draw(0.25, 0.6), "gloss": 0.08}
    sketch.box((-0.35, 0, base + 0.5), (1.45, 1.1, 0.45), paint, taper=(0.1, 0.06), **shine)
    sketch.box(
        (0.35, 0.55, base + 1.45),
        (0.65, 0.5, 0.75),
        paint,
        texture=Texture.CABIN,
        second=GLASS,
        taper=(0.2, 0.05),
        **shine,
    )
    lift = draw(0.3, 1.1)
    elbow = np.array([2.6 + 0.6 * (1 - lift), -0.35, base + 1.2 + 1.6 * lift])
    wrist = elbow + np.array([draw(1.0, 1.9), 0, -draw(1.2, 2.2)])
    wrist[2] = max(wrist[2], 0.5)
    sketch.rod((0.9, -0.35, base + 0.6), elbow, 0.2, paint, **shine)
    sketch.rod(elbow, wrist, 0.15, paint, **shine)
    sketch.box(wrist, (0.4, 0.55, 0.38), earthy(generator), taper=(0.5, 0.0), reflectance=0.2)
    sketch.rod((0.0, -0.8, base + 0.9), (0.0, -0.8, base + 1.6), 0.05, DARK)
    return sketch


def motorcycle(generator: np.random.Generator, rider: bool = False) -> Sketch:
    """A motorcycle or scooter."""
    sketch, draw = Sketch(), generator.uniform
    paint, size = vivid(generator), draw(0.9, 1.1)
    shine: dict[str, Any] = {"reflectance": draw(0.15, 0.7), "gloss": 0.25}
    for place in (-0.68, 0.7):
        sketch.add(
            2,
            (place, 0, 0.31),
            (0.31, 0.31, 0.07),
            RUBBER,
            rotation=LEAN,
            texture=Texture.WHEEL,
            second=STEEL,
        )
    sketch.box((0, 0, 0.42), (0.36, 0.14, 0.18), DARK, reflectance=0.25)
    sketch.ball((0.16, 0, 0.78), (0.33, 0.17, 0.16), paint, **shine)
    sketch.ball((-0.42, 0, 0.76), (0.42, 0.15, 0.09), DARK)
    sketch.box((-0.75, 0, 0.82), (0.16, 0.16, 0.15), paint, **shine)
    sketch.rod((0.72, 0, 0.32), (0.42, 0, 1.02), 0.05, STEEL)
    sketch.rod((0.4, -0.36, 1.04), (0.4, 0.36, 1.04), 0.03, DARK)
    sketch.box((0.55, 0, 0.9), (0.1, 0.17, 0.2), paint, taper=(0.5, 0.2), **shine)
    if rider:
        _rider(sketch, generator, 0.82, -0.25, 0.38)
    return _scaled(sketch, size)


def bicycle(generator: np.random.Generator, rider: bool = False) -> Sketch:
    """A bicycle of thin tubes, with or without a rider."""
    sketch, draw = Sketch(), generator.uniform
    paint, size = vivid(generator), draw(0.92, 1.08)
    for place in (-0.52, 0.54):
        sketch.add(
            2,
            (place, 0, 0.34),
            (0.34, 0.34, 0.025),
            RUBBER,
            rotation=LEAN,
            texture=Texture.SPOKES,
            holes=0.8,
        )
    tubes = (
        ((-0.52, 0.34), (-0.05, 0.3)),
        ((-0.05, 0.3), (0.36, 0.82)),
        ((-0.05, 0.3), (-0.2, 0.9)),
        ((-0.17, 0.8), (0.36, 0.8)),
        ((-0.52, 0.34), (-0.17, 0.8)),
        ((0.54, 0.34), (0.34, 0.98)),
    )
    for (x0, z0), (x1, z1) in tubes:
        sketch.rod((x0, 0, z0), (x1, 0, z1), 0.024, paint, reflectance=0.4, gloss=0.2)
    sketch.rod((0.34, -0.28, 0.99), (0.34, 0.28, 0.99), 0.02, DARK)
    sketch.ball((-0.2, 0, 0.92), (0.14, 0.07, 0.045), DARK)
    if generator.random() < 0.4:
        sketch.box((0.5, 0, 0.85), (0.14, 0.17, 0.12), muted(generator))
    if rider:
        _rider(sketch, generator, 0.92, -0.18, 0.2)
    return _scaled(sketch, size)


def _cargo(
    sketch: Sketch,
    generator: np.random.Generator,
    length: float,
    width: float,
    height: float,
    colour: Colour,
    place: float,
    floor: float = 0.95,
) -> None:
    """What a lorry or trailer carries: a box, a flat bed with crates, a tank."""
    kind = generator.random()
    shine: dict[str, Any] = {"reflectance": generator.uniform(0.2, 0.7), "gloss": 0.08}
    if kind < 0.6:
        half = (length / 2, width / 2, (height - floor) / 2)
        middle = (place, 0, (height + floor) / 2)
        sketch.box(middle, half, colour, texture=Texture.RIBBED, second=muted(generator), **shine)
    elif kind < 0.8:
        sketch.box((place, 0, floor + 0.08), (length / 2, width / 2, 0.1), earthy(generator))
        for side in (-1, 1):
            sketch.box((place, side * width * 0.48, floor + 0.45), (length / 2, 0.04, 0.3), colour)
        for n in range(3):
            sketch.box(
                (place + (n - 1) * length / 3.2, 0, floor + 0.55),
                (length * 0.13, width * 0.36, generator.uniform(0.25, 0.7)),
                muted(generator),
            )
    else:
        radius = min(width / 2, (height - floor) / 2)
        turn = rotation_about((0, 1, 0), np.pi / 2)
        sketch.add(
            2,
            (place, 0, floor + radius),
            (radius, radius, length / 2),
            colour,
            rotation=turn,
            **shine,
        )


def _lamps(sketch: Sketch, length: float, width: float, height: float) -> None:
    for side in (-1, 1):
        for end, colour in ((1, WHITE), (-1, (0.55, 0.02, 0.02))):
            place = (end * length / 2 * 0.985, side * width * 0.38, height)
            sketch.box(place, (0.05, width * 0.09, 0.07), colour, reflectance=0.9, gloss=0.3)
    sketch.box((-length / 2, 0, height - 0.14), (0.02, 0.26, 0.06), WHITE, reflectance=1.0)


def _wheels(sketch: Sketch, axles: tuple[float, ...], width: float, radius: float) -> None:
    for place in axles:
        for side in (-1, 1):
            sketch.add(
                2,
                (place, side * (width / 2 - 0.1), radius),
                (radius, radius, 0.12),
                RUBBER,
                rotation=LEAN,
                texture=Texture.WHEEL,
                second=STEEL,
                reflectance=0.08,
            )


def _rider(
    sketch: Sketch, generator: np.random.Generator, seat: float, back: float, foot: float
) -> None:
    """A person who sits at (back, seat) and holds the bar ahead."""
    coat, trousers = vivid(generator), vivid(generator)
    skin = SKIN[generator.integers(3)]
    cloth: dict[str, Any] = {"texture": Texture.CLOTH, "reflectance": generator.uniform(0.1, 0.6)}
    hip, neck = (back, seat + 0.1), (back + 0.28, seat + 0.6)
    sketch.limb((hip[0], 0, hip[1]), (neck[0], 0, neck[1]), 0.19, coat, **cloth)
    sketch.ball((neck[0] + 0.08, 0, neck[1] + 0.22), (0.11, 0.1, 0.13), skin)
    sketch.ball(
        (neck[0] + 0.06, 0, neck[1] + 0.28), (0.14, 0.12, 0.11), vivid(generator), gloss=0.2
    )
    for side in (-1, 1):
        knee = (back + 0.42, side * 0.16, seat - 0.12)
        sketch.limb((hip[0], side * 0.1, hip[1] - 0.04), knee, 0.085, trousers, **cloth)
        sketch.limb(knee, (back + 0.25, side * 0.14, foot), 0.065, trousers, **cloth)
        grip = (back + 0.62, side * 0.27, seat + 0.2)
        sketch.limb((neck[0], side * 0.2, neck[1] - 0.05), grip, 0.06, coat, **cloth)


def _scaled(sketch: Sketch, size: float) -> Sketch:
    return Sketch(sketch.moved((0, 0, 0), scale=size))


def barrier(generator: np.random.Generator) -> Sketch:
    """Concrete or plastic barriers, or a striped board on feet."""
    sketch, draw = Sketch(), generator.uniform
    kind, length = generator.random(), draw(1.6, 2.4)
    if kind < 0.5:
        colour = muted(generator) if generator.random() < 0.5 else vivid(generator)
        look: dict[str, Any] = {"texture": Texture.CONCRETE, "reflectance": draw(0.2, 0.6)}
        sketch.box((0, 0, 0.2), (length / 2, 0.3, 0.2), colour, taper=(0.0, 0.45), **look)
        sketch.box((0, 0, 0.62), (length / 2, 0.16, 0.24), colour, taper=(0.0, 0.3), **look)
    else:
        bands: dict[str, Any] = {"texture": Texture.BANDS, "second": WHITE, "reflectance": 0.7}
        colour = vivid(generator) if kind < 0.7 else ORANGE
        for height in (0.55, 0.95):
            sketch.box((0, 0, height), (length / 2, 0.03, 0.12), colour, **bands)
        for side in (-1, 1):
            sketch.box((side * length * 0.4, 0, 0.53), (0.04, 0.04, 0.53), DARK)
            sketch.box((side * length * 0.4, 0, 0.04), (0.08, 0.35, 0.04), DARK)
    return sketch


def cone(generator: np.random.Generator) -> Sketch:
    """A traffic cone or a bollard-like drum."""
    sketch, draw = Sketch(), generator.uniform
    colour = ORANGE if generator.random() < 0.7 else vivid(generator)
    height = draw(0.5, 0.95)
    sketch.box((0, 0, 0.03), (0.22, 0.22, 0.03), DARK)
    sketch.add(
        2,
        (0, 0, height / 2),
        (0.19, 0.19, height / 2),
        colour,
        taper=(0.8, 0.0),
        texture=Texture.BANDS,
        second=WHITE,
        reflectance=draw(0.4, 0.9),
    )
    return sketch
