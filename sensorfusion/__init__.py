"""Sensor-fusion pretraining: contrast any set of sensors registered in time and space."""

__version__ = "0.1.0"
