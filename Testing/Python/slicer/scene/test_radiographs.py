"""A radiograph node is read as its slice view shows it, whatever way its axes run; views show it upright."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from support.slicer_data import add_radiograph

pytestmark = pytest.mark.usefixtures("scene")
AXIAL = {"right": (-1, 0, 0), "down": (0, -1, 0)}
CORONAL = {"right": (-1, 0, 0), "down": (0, 0, -1)}
SAGITTAL = {"right": (0, -1, 0), "down": (0, 0, -1)}


def a_lopsided_picture() -> np.ndarray:
    return np.arange(70 * 90, dtype=np.float32).reshape(70, 90)


@pytest.mark.parametrize("plane", [AXIAL, CORONAL, SAGITTAL], ids=["axial", "coronal", "sagittal"])
@pytest.mark.parametrize(("flip_columns", "flip_rows", "exchanged"), list(product([False, True], repeat=3)))
def test_pixels_come_as_they_lie_on_the_screen(plane, flip_columns: bool, flip_rows: bool, exchanged: bool) -> None:
    from TomoRayLib.slicer.scene import radiographs
    from TomoRayLib.slicer.scene.nodes import Role

    upright = a_lopsided_picture()
    right, down = np.array(plane["right"]), np.array(plane["down"])
    stored = upright[:, ::-1] if flip_columns else upright
    stored = stored[::-1] if flip_rows else stored
    columns, rows = right * (-1 if flip_columns else 1), down * (-1 if flip_rows else 1)
    spacing_mm = (0.8, 0.9)
    if exchanged:
        stored, columns, rows, spacing_mm = stored.T, rows, columns, spacing_mm[::-1]
    node = add_radiograph(np.ascontiguousarray(stored), "picture", spacing_mm)
    normal = np.cross(columns, rows)
    node.SetIJKToRASDirections(*np.stack([columns, rows, normal], axis=1).ravel().astype(float))
    read = radiographs.radiograph_of(node, Role.AP)
    np.testing.assert_array_equal(read.pixels, upright)
    assert read.pixel_spacing_mm == pytest.approx((0.8, 0.9))
    across, along = radiographs.screen_axes(node)
    np.testing.assert_allclose(across, right)
    np.testing.assert_allclose(along, down)


def test_a_view_shows_a_radiograph_upright(slicer_host) -> None:
    """The bright corner, upper left in the pixels, is upper left in the view too."""
    import slicer
    from vtk.util.numpy_support import vtk_to_numpy

    from TomoRayLib.slicer.views import display, layouts

    layouts.show(layouts.layout_node(), layouts.SYNTHETIC_ID)
    slicer_host.process_events(0.05)
    pictures = []
    for directions in ((-1, 0, 0, 0, -1, 0, 0, 0, 1), (-1, 0, 0, 0, 0, -1, 0, -1, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1)):
        pixels = np.full((100, 80), 10.0)
        pixels[:30, :20] = 200.0
        turned = pixels[::-1, ::-1] if directions[0] > 0 else pixels  # the last one's axes run the other way
        node = add_radiograph(np.ascontiguousarray(turned), "picture")
        node.SetIJKToRASDirections(*directions)
        node.GetDisplayNode().SetAutoWindowLevel(False)
        node.GetDisplayNode().SetWindowLevel(200.0, 100.0)
        display.show_radiographs(node, node)
        widget = slicer.app.layoutManager().sliceWidget("TomoRayAP")
        widget._slice_view.render()
        image = widget.sliceLogic().GetImageDataConnection().GetProducer()
        image.Update()
        shown = image.GetOutputDataObject(0)
        columns, rows, _ = shown.GetDimensions()
        grey = vtk_to_numpy(shown.GetPointData().GetScalars()).reshape(rows, columns, -1)[::-1, :, 0]
        bright = np.argwhere(grey > 150)
        pictures.append(bright.mean(axis=0) / (rows, columns))
    for row, column in pictures:
        assert row < 0.45
        assert column < 0.5
    np.testing.assert_allclose(pictures, np.broadcast_to(pictures[0], (3, 2)), atol=0.02)
    layouts.restore(layouts.layout_node())


def test_a_radiograph_under_a_transform_is_refused() -> None:
    import slicer

    from TomoRayLib.slicer.scene.nodes import Role, problem_of

    node = add_radiograph(a_lopsided_picture(), "picture")
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "tilt")
    node.SetAndObserveTransformNodeID(transform.GetID())
    assert "is under the transform tilt" in problem_of(node, Role.AP)
    node.SetAndObserveTransformNodeID(None)
    assert problem_of(node, Role.AP) is None
