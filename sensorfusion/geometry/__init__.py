"""Pure functions of space and time."""
