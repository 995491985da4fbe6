"""The simulated world written out as data sets of known formats."""
