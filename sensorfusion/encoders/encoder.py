"""What every encoder promises."""

from __future__ import annotations

import abc
from typing import ClassVar

from torch import nn

from sensorfusion.sample import Features, Reading, SensorBatch


class Encoder(nn.Module, abc.ABC):
    """Maps the packed readings of one sensor to Features.

    A subclass names the reading type that it takes and the units that it was made for, calls
    `batch.require` first, and handles a single present reading; it is not called with none.
    Its constructor keeps every argument in an attribute of the same name, from which `export`
    writes down how to build it again.

    Attributes:
        reading: the type of reading.
        width: D, the width of its tokens.
        units: the units it accepts; empty: any.
    """

    reading: ClassVar[type[Reading]]
    width: int
    units: tuple[str, ...] = ()

    @abc.abstractmethod
    def forward(self, batch: SensorBatch) -> Features:
        """Encode P >= 1 readings.

        Raises:
            UnitError: when the readings are of another type or unit.
        """
