"""Shared phantoms for the tests, as nouns. All are made in memory, lopsided on purpose and small."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from support.volumes import BLOB_MM, ct_on, grid_around
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.types import Volume


def _rotation(x_deg: float, y_deg: float, z_deg: float) -> np.ndarray:
    cx, cy, cz = np.cos(np.deg2rad((x_deg, y_deg, z_deg)))
    sx, sy, sz = np.sin(np.deg2rad((x_deg, y_deg, z_deg)))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


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
    from support import panel_driver as drive
    from support.slicer_data import add_segmentation, add_volume, oblique_case

    ct, labels = oblique_case()
    node = add_volume(ct, "CT")
    drive.choose_ct(panel, node, add_segmentation(labels, node))
    assert drive.status(panel) == "Ready."
    return panel
