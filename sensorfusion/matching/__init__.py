"""Matching: features and geometry to correspondences."""
