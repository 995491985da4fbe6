"""Optical satellites: Sentinel-2's bands, product scaling and statistics.

Reading: `sensorfusion.sensors.raster.Raster`.
"""

from __future__ import annotations

import numpy as np

from sensorfusion.sample import Array
from sensorfusion.sensors.raster import REFLECTANCE
from sensorfusion.sensors.raster_prepare import BandStatistics

# Of an L2A product: all but B10, whose light does not reach the ground. Centres in nm.
SENTINEL2 = {
    "B01": 443,
    "B02": 490,
    "B03": 560,
    "B04": 665,
    "B05": 705,
    "B06": 740,
    "B07": 783,
    "B08": 842,
    "B8A": 865,
    "B09": 945,
    "B11": 1610,
    "B12": 2190,
}
L2A_BANDS = tuple(SENTINEL2)
L2A = "L2A"
# Since processing baseline 04.00 (January 2022): reflectance = (DN - 1000) / 10000, 0 is nodata.
L2A_SCALE, L2A_OFFSET, L2A_NODATA = 1e-4, -0.1, 0

# Statistics of SSL4EO-S12's L2A chips (Wang et al., 2023), in reflectance.
SSL4EO_L2A = BandStatistics(
    name="SSL4EO-S12 L2A, standardised",
    unit=REFLECTANCE,
    bands=L2A_BANDS,
    mean=(
        *(0.07524, 0.08843, 0.11442, 0.12975, 0.16249, 0.21946),
        *(0.24222, 0.25178, 0.25816, 0.26455, 0.23685, 0.18051),
    ),
    deviation=(
        *(0.11080, 0.11552, 0.11836, 0.13681, 0.13703, 0.13556),
        *(0.14165, 0.14748, 0.14393, 0.15823, 0.14555, 0.13435),
    ),
)  # fmt: skip


def reflectance_of(numbers: Array) -> Array:
    """Surface reflectance of an L2A product's digital numbers: float32."""
    return np.asarray(numbers.astype(np.float64) * L2A_SCALE + L2A_OFFSET, np.float32)


def numbers_of(reflectance: Array) -> Array:
    """An L2A product's digital numbers of reflectances, at least 1 (0 is nodata): uint16."""
    numbers = np.rint((reflectance.astype(np.float64) - L2A_OFFSET) / L2A_SCALE)
    return np.asarray(numbers.clip(1, 65535), np.uint16)
