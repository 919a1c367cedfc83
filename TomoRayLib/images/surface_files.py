"""Surfaces in LPS mm as files: VTK XML with their arrays, and STL."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from vtkmodules.vtkCommonCore import vtkStringArray
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkIOCore import vtkZLibDataCompressor
from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

from TomoRayLib.base.files import write_atomically
from TomoRayLib.base.notices import NOTICE, STL_NOTICE
from TomoRayLib.images.surfaces import points_mm, triangles, unit_vectors

PathLike = str | os.PathLike[str]
_COMPRESSION_LEVEL = 1  # of surfaces within 1 % of level 5, in half the time


def write_vtp(path: PathLike, surface: vtkPolyData, *, marking: str = NOTICE) -> None:
    """Write a surface with its arrays atomically as VTK XML.

    Field data are SPACE = LPS (as 3D Slicer reads it), UNIT = mm and MARKING.

    Args:
        path: The file to write.
        surface: Triangles in LPS mm.
        marking: The notice stored as MARKING.

    Raises:
        OutputError: If the file cannot be written completely.
    """
    marked = vtkPolyData()
    marked.ShallowCopy(surface)
    for name, text in (("SPACE", "LPS"), ("UNIT", "mm"), ("MARKING", marking)):
        marked.GetFieldData().AddArray(_text_array(name, text))
    writer = vtkXMLPolyDataWriter()
    writer.SetInputData(marked)
    writer.SetDataModeToBinary()
    compressor = vtkZLibDataCompressor()
    compressor.SetCompressionLevel(_COMPRESSION_LEVEL)
    writer.SetCompressor(compressor)
    writer.WriteToOutputStringOn()
    writer.Write()
    with write_atomically(path) as partial:
        partial.write_text(writer.GetOutputString(), encoding="utf-8")


def write_stl(path: PathLike, surface: vtkPolyData, *, marking: str = STL_NOTICE) -> None:
    """Write a surface atomically as binary STL.

    The 80 byte header holds SPACE=LPS (as 3D Slicer reads it), UNIT=mm and the marking.
    STL has no arrays: the distances are in the VTP.

    Args:
        path: The file to write.
        surface: Triangles in LPS mm.
        marking: The notice in the header.

    Raises:
        OutputError: If the file cannot be written completely.
    """
    corners = points_mm(surface)[triangles(surface)].astype("<f4")  # (m, 3, 3)
    record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    facets = np.zeros(len(corners), record)
    facets["corners"] = corners
    facets["normal"] = unit_vectors(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
    header = f"TomoRay SPACE=LPS UNIT=mm {marking}".encode("ascii", "replace")[:80].ljust(80)
    with write_atomically(path) as partial:
        partial.write_bytes(header + np.uint32(len(facets)).astype("<u4").tobytes() + facets.tobytes())


def _text_array(name: str, text: str) -> Any:
    array = vtkStringArray()
    array.SetName(name)
    array.InsertNextValue(text)
    return array
