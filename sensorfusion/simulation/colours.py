"""Colours of materials, in linear RGB. Classes share them: a colour must not give away a class."""

from __future__ import annotations

import numpy as np

from sensorfusion.simulation.shapes import Colour

DARK: Colour = (0.025, 0.025, 0.028)
RUBBER: Colour = (0.03, 0.03, 0.032)
STEEL: Colour = (0.32, 0.33, 0.34)
GLASS: Colour = (0.04, 0.05, 0.06)
WHITE: Colour = (0.75, 0.75, 0.73)
RED: Colour = (0.5, 0.04, 0.03)
ORANGE: Colour = (0.75, 0.2, 0.03)
SKIN = ((0.55, 0.34, 0.24), (0.36, 0.2, 0.13), (0.16, 0.08, 0.05))


def muted(generator: np.random.Generator) -> Colour:
    """Plaster, stone, paving, wood: greys and earths, now and then a pastel."""
    grey = generator.uniform(0.12, 0.6)
    warm = generator.uniform(-0.05, 0.22)
    tint = generator.normal(0.0, 0.09, 3)
    return _clipped(grey * (np.array([1 + warm, 1.0, 1 - warm]) + tint))


def vivid(generator: np.random.Generator) -> Colour:
    """Paint and cloth: mostly white, grey, black; else any hue."""
    if generator.random() < 0.5:
        grey = float(generator.choice([0.02, 0.06, 0.2, 0.45, 0.75])) * generator.uniform(0.8, 1.2)
        return _clipped(np.full(3, grey) * generator.uniform(0.93, 1.07, 3))
    hue = generator.uniform(0.0, 1.0)
    wheel = 0.5 + 0.5 * np.cos(2 * np.pi * (hue - np.array([0.0, 1 / 3, 2 / 3])))
    return _clipped((0.06 + 0.94 * wheel**2) * generator.uniform(0.12, 0.6))


def leafy(generator: np.random.Generator) -> Colour:
    """Leaves and grass: greens, yellow, autumn brown and red, dry straw."""
    kind = generator.random()
    if kind < 0.55:
        base = np.array([0.07, 0.15, 0.035])
    elif kind < 0.75:
        base = np.array([0.2, 0.21, 0.05])
    elif kind < 0.9:
        base = np.array([0.26, 0.13, 0.05])
    else:
        base = np.array([0.17, 0.15, 0.11])
    return _clipped(base * generator.uniform(0.6, 1.5) * generator.uniform(0.85, 1.15, 3))


def earthy(generator: np.random.Generator) -> Colour:
    """Bark, soil, rust."""
    return _clipped(np.array([0.13, 0.1, 0.075]) * generator.uniform(0.5, 1.8, 3))


def _clipped(rgb: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Colour:
    red, green, blue = np.clip(rgb, 0.015, 0.85).tolist()
    return red, green, blue
