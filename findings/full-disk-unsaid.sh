#!/usr/bin/env bash
# A disk that gets full: which writers of this field say that the file is cut off, and which report success.
#
# Guess: whoever cannot write all of a file raises an error, or at least returns one; one library does so for all of its
# formats alike.
# What happens: SimpleITK raises for NRRD, MetaImage, VTK and PNG, and says nothing for NIfTI (plain and compressed) and
# GIPL. Slicer's storage nodes (slicer-core), which save what its Save dialog saves, report success for NIfTI volumes and
# for models as VTP, PLY and OBJ, and a failure for NRRD and MetaImage volumes and models as VTK. VTK's own writers of PLY
# and OBJ return 1 with error code 0, that of VTP returns 1 with an error code that nobody is told of. nibabel, pynrrd
# and h5py raise. A limit on the size of a file stands in for the full disk: the system's write fails in the same way.
# Why it matters: half a synthetic CT or half a spine looks saved, and is found out when the original is gone.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check numpy==2.4.6 SimpleITK==2.5.7 \
    slicer-core==5.13.31053.0 vtk==9.6.2 nibabel==5.4.2 pynrrd==1.1.3 h5py==3.16.0
cd "$work"
"$work/venv/bin/python" -I - 2>/dev/null <<'PYTHON'
import os
import resource
import signal
from importlib.metadata import version

import h5py
import nibabel
import nrrd
import numpy as np
import SimpleITK as sitk
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit fails, as on a full disk
vtk.vtkObject.GlobalWarningDisplayOff()
print(*(f"{name} {version(name)}" for name in ("SimpleITK", "slicer-core", "vtk", "nibabel", "pynrrd", "h5py")))

voxels = np.random.default_rng(1).integers(-1000, 1000, (40, 50, 60)).astype(np.int16)
sphere = vtk.vtkSphereSource()
sphere.SetThetaResolution(100)
sphere.SetPhiResolution(100)
sphere.Update()
scene = slicer.vtkMRMLScene()


def by_slicer(node_class, storage_class, fill):
    def write(path):
        node = scene.AddNewNodeByClass(node_class)
        fill(node)
        storage = scene.AddNewNodeByClass(storage_class)
        storage.SetFileName(path)
        if not storage.WriteData(node):
            raise OSError("WriteData returned 0")

    return write


def volume(node):
    image = vtk.vtkImageData()
    image.SetDimensions(60, 50, 40)
    image.GetPointData().SetScalars(numpy_to_vtk(voxels.ravel(), deep=True))
    node.SetAndObserveImageData(image)


def by_vtk(writer_class):
    def write(path):
        writer = writer_class()
        writer.SetFileName(path)
        writer.SetInputData(sphere.GetOutput())
        if writer.Write() != 1:
            raise OSError("Write returned 0")

    return write


def by_h5py(path):
    with h5py.File(path, "w") as file:
        file["voxels"] = voxels


image = sitk.GetImageFromArray(voxels)
slicer_volume = by_slicer("vtkMRMLScalarVolumeNode", "vtkMRMLVolumeArchetypeStorageNode", volume)
slicer_model = by_slicer(
    "vtkMRMLModelNode", "vtkMRMLModelStorageNode", lambda node: node.SetAndObservePolyData(sphere.GetOutput())
)
WRITERS = {  # writer and format: (how to write, ending, whether a cut-off file is told of)
    "SimpleITK, NRRD": (lambda path: sitk.WriteImage(image, path), ".nrrd", True),
    "SimpleITK, MetaImage": (lambda path: sitk.WriteImage(image, path), ".mha", True),
    "SimpleITK, VTK": (lambda path: sitk.WriteImage(image, path), ".vtk", True),
    "SimpleITK, NIfTI": (lambda path: sitk.WriteImage(image, path), ".nii", False),
    "SimpleITK, compressed NIfTI": (lambda path: sitk.WriteImage(image, path), ".nii.gz", False),
    "SimpleITK, GIPL": (lambda path: sitk.WriteImage(image, path), ".gipl", False),
    "Slicer, volume as NRRD": (slicer_volume, ".nrrd", True),
    "Slicer, volume as MetaImage": (slicer_volume, ".mha", True),
    "Slicer, volume as NIfTI": (slicer_volume, ".nii", False),
    "Slicer, volume as compressed NIfTI": (slicer_volume, ".nii.gz", False),
    "Slicer, model as VTK": (slicer_model, ".vtk", True),
    "Slicer, model as VTP": (slicer_model, ".vtp", False),
    "Slicer, model as PLY": (slicer_model, ".ply", False),
    "Slicer, model as OBJ": (slicer_model, ".obj", False),
    "VTK, VTP": (by_vtk(vtk.vtkXMLPolyDataWriter), ".vtp", False),
    "VTK, PLY": (by_vtk(vtk.vtkPLYWriter), ".ply", False),
    "VTK, OBJ": (by_vtk(vtk.vtkOBJWriter), ".obj", False),
    "nibabel, NIfTI": (lambda path: nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), path), ".nii.gz", True),
    "pynrrd, NRRD": (lambda path: nrrd.write(path, voxels), ".nrrd", True),
    "h5py, HDF5": (by_h5py, ".h5", True),
}

changed = []
for number, (words, (write, ending, told)) in enumerate(WRITERS.items()):
    whole, cut = f"whole{number}{ending}", f"cut{number}{ending}"
    write(whole)
    size = os.path.getsize(whole)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, resource.RLIM_INFINITY))
    try:
        write(cut)
        seen = False
    except (OSError, RuntimeError):
        seen = True
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    held = os.path.getsize(cut) if os.path.exists(cut) else 0
    print(f"{words}: {held} of {size} bytes, {'an error' if seen else 'SUCCESS REPORTED'}")
    if seen != told or held >= size:
        changed.append(f"CHANGED: {words}: an error was recorded as {told}, seen as {seen}, {held} of {size} bytes")

print(*changed, sep="\n")
raise SystemExit(1 if changed else 0)
PYTHON
