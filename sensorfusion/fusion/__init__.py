"""Fusion: features of several sensors to features of a joint stream."""
