"""Directions of grids that tests share: straight and oblique."""

from __future__ import annotations

from scipy.spatial.transform import Rotation

OBLIQUE = tuple(Rotation.from_euler("xyz", (8, -11, 17), degrees=True).as_matrix().ravel().tolist())
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
