"""Flat pictures (PNG, TIFF, JPEG, BMP) and one-slice volumes as radiographs."""
