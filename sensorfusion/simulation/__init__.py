"""A simulated town that every sensor sees: pure functions of (seed, scene, time)."""

WORLD_VERSION = 1  # rises when the same (seed, scene, time) measures something else
