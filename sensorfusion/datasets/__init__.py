"""Data sets: one file each: an index and __getitem__ -> Sample. Input and output only."""
