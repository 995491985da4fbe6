"""Protocols that turn frozen encoders into numbers."""
