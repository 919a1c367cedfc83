#!/usr/bin/env bash
# Some VTK filters place an image by its direction matrix and some do not.
#
# Guess: since vtkImageData has a direction matrix, every filter that turns voxels into points honours it, or none does.
# What happens: vtkFlyingEdges3D, vtkMarchingCubes, vtkDiscreteFlyingEdges3D and vtkSurfaceNets3D do. vtkContourFilter, the
# general name for the same task, and vtkSynchronizedTemplates3D behind it, do not: the surface lies mirrored on the other
# side of the origin. vtkPolyDataToImageStencil, the way back, does not either: a surface that was made from an image
# fills not one voxel of it. No message in any case.
# Why it matters: nearly every CT in RAS or LPS has directions other than the identity on one side of the border.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check numpy==2.4.6 vtk==9.7.2
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

changed = []


def observe(words, seen, recorded):
    print(f"{words}: {seen}")
    if seen != recorded:
        changed.append(f"CHANGED: {words}: recorded {recorded}, seen {seen}")


print("vtk", vtk.vtkVersion.GetVTKVersion())


def block():
    """Voxels 5 to 14 of 20 along each axis. x and y run backwards from (100, 50): the faces are at 85.5 and 95.5 mm, 35.5 and 45.5 mm."""
    image = vtk.vtkImageData()
    image.SetDimensions(20, 20, 20)
    image.SetOrigin(100, 50, 0)
    image.SetDirectionMatrix([-1, 0, 0, 0, -1, 0, 0, 0, 1])
    voxels = np.zeros((20, 20, 20), np.uint8)
    voxels[5:15, 5:15, 5:15] = 1
    image.GetPointData().SetScalars(numpy_to_vtk(voxels.ravel(), deep=True))
    return image


for name, level, honours in (
    ("vtkMarchingCubes", 0.5, True),
    ("vtkFlyingEdges3D", 0.5, True),
    ("vtkDiscreteFlyingEdges3D", 1, True),
    ("vtkSurfaceNets3D", 1, True),
    ("vtkContourFilter", 0.5, False),
    ("vtkSynchronizedTemplates3D", 0.5, False),
):
    surface = getattr(vtk, name)()
    surface.SetInputData(block())
    surface.SetValue(0, level)
    surface.Update()
    x = [round(value, 1) for value in surface.GetOutput().GetBounds()[:2]]
    observe(f"{name}: x from, to (mm)", x, [85.5, 95.5] if honours else [104.5, 114.5])

surface = vtk.vtkFlyingEdges3D()
surface.SetInputData(block())
surface.SetValue(0, 0.5)
stencil = vtk.vtkPolyDataToImageStencil()
stencil.SetInputConnection(surface.GetOutputPort())
stencil.SetInformationInput(block())
filled = block()
filled.GetPointData().GetScalars().Fill(1)
back = vtk.vtkImageStencil()
back.SetInputData(filled)
back.SetStencilConnection(stencil.GetOutputPort())
back.SetBackgroundValue(0)
back.Update()
count = int(vtk_to_numpy(back.GetOutput().GetPointData().GetScalars()).sum())
observe("vtkPolyDataToImageStencil on the image of that surface: voxels of 1000", count, 0)

if changed:
    raise SystemExit("\n".join(changed))
print("As recorded.")
PYTHON
