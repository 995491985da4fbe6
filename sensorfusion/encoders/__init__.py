"""Encoders: one sensor's readings to Features. An encoder knows no other sensor."""
