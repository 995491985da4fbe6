"""The region around a simulated town from above: land, its changes, and what satellites see."""
