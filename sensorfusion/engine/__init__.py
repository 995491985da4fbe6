"""The engine: all that touches mmengine."""
