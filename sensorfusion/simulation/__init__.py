"""A simulated town that every sensor sees: pure functions of (seed, scene, time)."""

WORLD_VERSION = 2  # rises when the same (seed, scene, time) measures something else
