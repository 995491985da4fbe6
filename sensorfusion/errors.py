"""The errors that users meet: each says what was found, where, and what to do next."""

from __future__ import annotations

from typing import Any


class SensorFusionError(Exception):
    """Base of every error that the package raises on purpose.

    Args:
        what: what was found, in one sentence, with the offending value.
        where: the place: file, sample index, sensor name, config key, tensor name.
        remedy: what the user can do next.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, where, remedy
        lines = [what]
        if where:
            lines.append(f"  where: {where}")
        if remedy:
            lines.append(f"  what to do: {remedy}")
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[Any, ...]:
        # Loader workers send errors by pickle, which does not call keyword-only constructors.
        return _rebuild, (type(self), self.what, self.where, self.remedy)


def _rebuild(
    kind: type[SensorFusionError], what: str, where: str, remedy: str
) -> SensorFusionError:
    return kind(what, where=where, remedy=remedy)


class DataError(SensorFusionError):
    """A file, sample or reading that cannot be used: missing, truncated, non-finite, misshapen."""


class PreparationError(SensorFusionError):
    """Files that `tools/prepare.py` makes before a training, and that are missing or damaged."""


class UnitError(SensorFusionError):
    """Values in another unit, frame of axes or band than the consumer was made for."""


class ClockError(SensorFusionError):
    """Times of different kinds, or times that do not increase."""


class ConfigError(SensorFusionError):
    """A config that names something unknown, or combines settings that exclude each other."""


class CheckpointError(SensorFusionError):
    """A checkpoint that is missing, damaged, unsafe, or of another architecture or config."""


class NonFiniteError(SensorFusionError):
    """A loss or gradient that is NaN or infinite; raised before any weight is changed."""


class MissingDependencyError(SensorFusionError):
    """An optional package that is not installed."""
