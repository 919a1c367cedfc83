"""Shared phantoms for the tests, as nouns. All are made in memory, lopsided on purpose and small."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from TomoRayLib.geometry import Grid
from TomoRayLib.image_types import Volume

BLOB_MM = (12.0, -25.0, 40.0)  # LPS centre of the bright blob in ``a_ct``


def _rotation(x_deg: float, y_deg: float, z_deg: float) -> np.ndarray:
    cx, cy, cz = np.cos(np.deg2rad((x_deg, y_deg, z_deg)))
    sx, sy, sz = np.sin(np.deg2rad((x_deg, y_deg, z_deg)))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def grid_around(center_mm: tuple[float, float, float], direction: np.ndarray) -> Grid:
    """44 x 61 x 97 voxels of 2 x 1 x 0.5 mm whose middle lies 3, -2, 4 mm off ``center_mm``."""
    size, spacing = (44, 61, 97), np.array((2.0, 1.0, 0.5))
    middle = direction @ (spacing * (np.array(size) - 1) / 2)
    origin = np.add(center_mm, (3.0, -2.0, 4.0)) - middle
    return Grid(size, tuple(spacing), tuple(origin), tuple(direction.ravel()))


def blob_on(grid: Grid, center_mm: tuple[float, float, float], sigma_mm: tuple[float, float, float]) -> np.ndarray:
    """(z, y, x) Gaussian of height 1 around ``center_mm``, with ``sigma_mm`` along LPS x, y, z."""
    k, j, i = np.indices(grid.shape)
    world = np.stack([i, j, k, np.ones_like(i)], axis=-1) @ grid.index_to_world.T
    away = (world[..., :3] - center_mm) / sigma_mm
    return np.exp(-0.5 * (away**2).sum(axis=-1))


def ct_on(grid: Grid) -> Volume:
    """Air at -1000 HU and a blob of 2000 HU above it, different widths along x, y, z, as int16."""
    return Volume(np.rint(blob_on(grid, BLOB_MM, (6.0, 4.0, 3.0)) * 2000 - 1000).astype(np.int16), grid)


@pytest.fixture(params=["straight", "oblique", "left-handed", "oblique left-handed", "permuted"])
def a_grid(request: pytest.FixtureRequest) -> Grid:
    """Lopsided grids around the blob, one per kind of direction cosines."""
    oblique = _rotation(12, -20, 35)
    mirrored = np.diag([1.0, 1.0, -1.0])
    directions = {
        "straight": np.eye(3),
        "oblique": oblique,
        "left-handed": mirrored,
        "oblique left-handed": oblique @ mirrored,
        "permuted": np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
    }
    return grid_around(BLOB_MM, directions[request.param])


@pytest.fixture
def a_ct(a_grid: Grid) -> Volume:
    return ct_on(a_grid)


@pytest.fixture
def a_straight_ct() -> Volume:
    return ct_on(grid_around(BLOB_MM, np.eye(3)))


@pytest.fixture(scope="session")
def slicer_host():
    """The stand-in for Slicer's application, one for all tests."""
    pytest.importorskip("slicer", reason="needs slicer-core")
    pytest.importorskip("PySide6.QtWidgets", reason="needs PySide6")
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from host.application import SlicerHost

    return SlicerHost.start()


@pytest.fixture
def scene(slicer_host):
    """Slicer's scene, empty before and after a test."""
    import slicer

    slicer_host.clear_scene()
    yield slicer.mrmlScene
    slicer_host.clear_scene()


@pytest.fixture
def panel(slicer_host, scene):
    """The open panel of the module TomoRay on an empty scene. Nothing may have been raised into the console."""
    slicer_host.errors.clear()
    slicer_host.dialogs.forget()
    slicer_host.window.show()
    widget = slicer_host.open_module("TomoRay")
    yield widget
    slicer_host.close_module("TomoRay")
    assert not slicer_host.errors, slicer_host.errors.text()


@pytest.fixture
def ready(panel):
    """The panel with a CT and its vertebrae chosen."""
    import panel_driver as drive
    from slicer_data import add_segmentation, add_volume, oblique_case

    ct, labels = oblique_case()
    node = add_volume(ct, "CT")
    drive.choose_ct(panel, node, add_segmentation(labels, node))
    assert drive.status(panel) == "Ready."
    return panel
