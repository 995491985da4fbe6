"""Imaging radar from above: Sentinel-1's bands and statistics.

Reading: `sensorfusion.sensors.raster.Raster`.
"""

from __future__ import annotations

from sensorfusion.sensors.raster import DECIBEL
from sensorfusion.sensors.raster_prepare import BandStatistics

SENTINEL1_BANDS = ("VV", "VH")
GRD = "GRD"  # ground range detected, corrected for terrain: sigma nought

# Statistics of SSL4EO-S12's GRD chips (Wang et al., 2023), in dB.
SSL4EO_GRD = BandStatistics(
    name="SSL4EO-S12 GRD, standardised",
    unit=DECIBEL,
    bands=SENTINEL1_BANDS,
    mean=(-12.548, -20.192),
    deviation=(5.257, 5.912),
)
