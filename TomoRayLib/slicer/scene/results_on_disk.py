"""A results folder, read completely before anything in the scene changes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vtk

from TomoRayLib.slicer.scene.nodes import LPS_OF_RAS

if TYPE_CHECKING:
    from TomoRayLib.images.types import Radiograph, Volume


@dataclass(frozen=True)
class ResultFiles:
    """The content of a results folder. Surfaces are in Slicer's RAS; what a case does not have is None.

    ``bone_mm`` (AP, lateral): synthetic bone along each ray in mm, over the field of the upright radiographs.
    """

    provenance: Mapping[str, Any]
    synthetic: Volume
    vertebrae: Volume
    synthetic_surface: Any
    radiographs: tuple[Radiograph, Radiograph] | None = None
    truth: Volume | None = None
    labels: Volume | None = None
    truth_surface: Any = None
    metrics: Mapping[str, Any] | None = None
    report: str | None = None
    bone_mm: tuple[Radiograph | None, Radiograph | None] = (None, None)
    measures: Mapping[str, Any] | None = None

    @property
    def told_apart(self) -> bool:
        """True if the synthetic vertebrae are numbered one by one: the model counts them."""
        return "vertebrae" in self.provenance

    @classmethod
    def read(cls, folder: Path) -> ResultFiles:
        """Read a folder. Raises InputError, OutputError or OSError if a file is damaged or missing."""
        from TomoRayLib.base.files import recovered
        from TomoRayLib.images.files import read_volume

        recovered(folder)

        def text(name: str) -> str | None:
            return (folder / name).read_text(encoding="utf-8") if (folder / name).exists() else None

        def volume(name: str) -> Volume | None:
            return read_volume(folder / name) if (folder / name).exists() else None

        provenance = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
        labels, metrics, measures = volume("truth_vertebrae.nrrd"), text("metrics.json"), text("measures.json")
        return cls(
            provenance,
            read_volume(folder / "synthetic_ct.nrrd"),
            read_volume(folder / "synthetic_vertebrae.nrrd"),
            _read_surface(folder / "synthetic_surface.vtp"),
            read_radiographs(folder) if _has_own_radiographs(provenance) else None,
            volume("truth_ct.nrrd"),
            labels,
            _read_surface(folder / "truth_surface.vtp") if labels is not None else None,
            json.loads(metrics) if metrics is not None else None,
            text("report.html"),
            (_read_bone(folder / "ap_bone.nrrd"), _read_bone(folder / "lat_bone.nrrd")),
            json.loads(measures) if measures is not None else None,
        )


def _has_own_radiographs(provenance: Mapping[str, Any]) -> bool:
    """True if the radiographs came from a CT or its study, and are not nodes of the scene already."""
    inputs = provenance.get("inputs", {})
    return bool(inputs.get("ct") or inputs.get("study"))


def read_radiographs(folder: Path) -> tuple[Radiograph, Radiograph]:
    """Read the AP and lateral radiograph that were rendered from a CT, or are its scouts."""
    from TomoRayLib.images.files import read_radiograph

    return read_radiograph(folder / "ap.nrrd"), read_radiograph(folder / "lat.nrrd")


def _read_bone(path: Path) -> Radiograph | None:
    """Read the millimetres of synthetic bone along the rays of a radiograph; None from older versions."""
    from TomoRayLib.images.files import read_radiograph

    return read_radiograph(path) if path.exists() else None


def _read_surface(path: Path) -> Any:
    """Read a surface of the library (LPS mm) as one in Slicer's RAS, with its distances. None if it is empty."""
    reader = vtk.vtkXMLPolyDataReader()
    reader.SetFileName(str(path))
    reader.Update()
    if reader.GetOutput().GetNumberOfCells() == 0:
        return None
    to_ras = vtk.vtkTransform()
    to_ras.SetMatrix(LPS_OF_RAS.ravel())
    moved = vtk.vtkTransformPolyDataFilter()
    moved.SetInputData(reader.GetOutput())
    moved.SetTransform(to_ras)
    moved.Update()
    return moved.GetOutput()
