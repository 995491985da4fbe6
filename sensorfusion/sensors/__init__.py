"""Sensors: one file each: the reading, its normalisers, augmentations and drawing."""
