"""Superpixels: segments of camera images, made here or elsewhere, kept in a folder, looked up."""
