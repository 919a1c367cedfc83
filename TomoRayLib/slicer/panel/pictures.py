"""A grey-value array on a label."""

from __future__ import annotations

import qt
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk


def pixmap_of(grey, width_px: int, height_px: int):
    """A pixmap of an 8-bit array (rows, columns), row 0 at the top, as large as fits into the given box."""
    rows, columns = grey.shape
    image = vtk.vtkImageData()
    image.SetDimensions(columns, rows, 1)
    colors = grey[::-1].repeat(3).reshape(-1, 3)  # VTK counts rows from the bottom
    image.GetPointData().SetScalars(numpy_to_vtk(colors, deep=True))
    picture = qt.QImage()
    slicer.qMRMLUtils().vtkImageDataToQImage(image, picture)
    pixmap = qt.QPixmap.fromImage(picture)
    return pixmap.scaled(width_px, height_px, qt.Qt.KeepAspectRatio, qt.Qt.SmoothTransformation)


def show_picture(label, grey, caption: str) -> None:
    """Show an array on a label, or ``caption`` if there is none."""
    if grey is None:
        label.setPixmap(qt.QPixmap())
        label.setText(caption)
        return
    label.setText("")
    label.setPixmap(pixmap_of(grey, max(label.width, 120), max(label.height, 150)))
