"""The process in which other libraries read files that may be damaged: ``contained`` starts it and asks it.

Each request is a line of JSON on standard input, each answer a line of JSON on standard output, with the bytes of an
array behind it. A crash of a library ends this process alone.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.base.memory import available_memory_bytes

LONGEST_S = 330  # for one file, if nobody is left who would end this process, as ``contained`` does before
Answer = tuple[NDArray[Any] | None, dict[str, Any]]


def _image(path: str) -> Answer:
    """An image of any format that ITK reads."""
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetFileName(path)
    reader.ReadImageInformation()
    _check_memory(reader.GetNumberOfComponents() * math.prod(reader.GetSize()))
    image = reader.Execute()
    values = sitk.GetArrayFromImage(image)
    count = image.GetNumberOfComponentsPerPixel()
    if count == 1 and values.ndim > image.GetDimension():  # an axis of one value
        values = values[..., 0]
    metadata = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    return values, {"components": count, "metadata": metadata, **_geometry(image)}


def _information(path: str) -> Answer:
    """The header of such an image alone."""
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetFileName(path)
    reader.ReadImageInformation()
    return None, {"components": reader.GetNumberOfComponents(), **_geometry(reader)}


def _geometry(image: Any) -> dict[str, Any]:
    names = ("Size", "Spacing", "Origin", "Direction")
    return {name.lower(): list(getattr(image, f"Get{name}")()) for name in names}


def _gdcm(path: str) -> Answer:
    """The pixels of a DICOM file by GDCM."""
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    return sitk.GetArrayFromImage(sitk.ReadImage(path, imageIO="GDCMImageIO")), {}


def _openjpeg(path: str) -> Answer:
    """The pixels of a DICOM file of JPEG 2000 by pydicom and the OpenJPEG in Pillow."""
    import pydicom
    from pydicom.pixels import get_decoder

    dataset = pydicom.dcmread(path)
    decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
    return decoder.as_array(dataset, raw=True, decoding_plugin="pillow")[0], {}


def _points(path: str) -> Answer:
    """The points of a surface by VTK's reader of its ending; none if it has none."""
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkCommonCore import vtkObject
    from vtkmodules.vtkIOGeometry import vtkOBJReader, vtkSTLReader
    from vtkmodules.vtkIOLegacy import vtkPolyDataReader
    from vtkmodules.vtkIOPLY import vtkPLYReader
    from vtkmodules.vtkIOXML import vtkXMLPolyDataReader

    vtkObject.GlobalWarningDisplayOff()
    readers: dict[str, Any] = {
        ".vtk": vtkPolyDataReader,
        ".vtp": vtkXMLPolyDataReader,
        ".ply": vtkPLYReader,
        ".stl": vtkSTLReader,
        ".obj": vtkOBJReader,
    }
    reader = readers[os.path.splitext(path)[1].lower()]()
    reader.SetFileName(path)
    reader.Update()
    found = reader.GetOutput().GetPoints()
    if found is None or found.GetNumberOfPoints() == 0:
        return None, {}
    return vtk_to_numpy(found.GetData()).astype(np.float64), {}


def _hdf5_names(path: str) -> Answer:
    """The names of the arrays in an HDF5 file; None if h5py is not installed."""
    try:
        import h5py
    except ImportError:
        return None, {"names": None}
    names: list[str] = []
    with h5py.File(path, "r") as file:
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    return None, {"names": names}


def _hdf5(path: str, name: str) -> Answer:
    """One array of an HDF5 file."""
    import h5py

    with h5py.File(path, "r") as file:
        _check_memory(file[name].nbytes)
        return np.asarray(file[name]), {}


def _check_memory(declared: int) -> None:
    """Raise MemoryError for more bytes than may be taken."""
    free = available_memory_bytes()
    if free is not None and declared > free:
        raise MemoryError(f"{declared / 1e9:.1f} GB declared, {free / 1e9:.1f} GB free")


READERS: dict[str, Callable[..., Answer]] = {
    "image": _image,
    "information": _information,
    "gdcm": _gdcm,
    "openjpeg": _openjpeg,
    "points": _points,
    "hdf5 names": _hdf5_names,
    "hdf5": _hdf5,
}


def _answer(request: dict[str, str]) -> Answer:
    try:
        option = [request["option"]] if "option" in request else []
        return READERS[request["reader"]](request["path"], *option)
    except MemoryError as error:
        return None, {"memory": str(error) or "too little memory"}
    except Exception as error:  # libraries raise many kinds; the one who asked names the file
        return None, {"error": str(error) or type(error).__name__}


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer until there are no more requests."""
    for line in requests:
        if hasattr(signal, "alarm"):
            signal.alarm(LONGEST_S)  # ends it by the system, whatever a library is doing
        values, said = _answer(json.loads(line))
        if values is not None:
            values = np.ascontiguousarray(values)
            said = {**said, "dtype": values.dtype.str, "shape": list(values.shape)}
        answers.write(json.dumps(said).encode() + b"\n")
        if values is not None:
            answers.write(values.reshape(-1).view(np.uint8).data)
        answers.flush()
        if hasattr(signal, "alarm"):
            signal.alarm(0)


def main() -> None:
    """Serve on standard input and output; what libraries print is discarded."""
    answers = os.fdopen(os.dup(1), "wb")
    sink = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(sink, descriptor)
    serve(sys.stdin.buffer, answers)
    os._exit(0)  # without taking the libraries apart


if __name__ == "__main__":
    main()
