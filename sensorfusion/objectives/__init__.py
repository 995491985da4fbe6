"""Objectives: features and correspondences to named losses."""
