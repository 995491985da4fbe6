"""Data sets written out in the formats of the field."""
