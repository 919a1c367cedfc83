"""A radiograph from NRRD, MetaImage or NIfTI: of two dimensions, or a volume of one slice as Slicer writes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.headers.volume_header import VolumeHeader, scaled_values
from TomoRayLib.images.pictures.flat_geometry import FlatGeometry, flat_geometry
from TomoRayLib.images.pictures.pixels import grey_values
from TomoRayLib.images.types import Radiograph, RadiographHeader

ALONG_AXIS = 0.7  # cosine from which a direction counts as lying along a patient axis (45 degrees)
OBLIQUE_DEG, LARGEST_OBLIQUE_DEG = 5.0, 40.0  # off the patient's axes: farther is said, and no longer told apart
_BOOKKEEPING = ("ITK_", "NRRD_")  # fields that ITK adds by itself
_OWN = "TomoRay."  # of fields in files that TomoRay writes, whose spacing is known
_ONE_MILLIMETRE = (
    "Its pixels are 1 x 1 mm, which programs also write where they know no spacing (Slicer, SimpleITK); "
    "check the pixel spacing."
)
_AXIS_NAMES = (("left", "right"), ("back", "front"), ("head", "feet"))

_EXCHANGED, _MIRRORED, _UPSIDE_DOWN = "rows and columns exchanged", "mirrored left to right", "turned upside down"


@dataclass(frozen=True, eq=False)
class _Shown:
    """Pixels as they are shown, their spacing (row, column), and what the directions said."""

    pixels: NDArray[Any]
    spacing_mm: tuple[float, float]
    orientation: tuple[str, str] | None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    turns: tuple[str, ...] = ()


def check_not_a_volume(size: Sequence[int], path: Path) -> None:
    """Raise InputError for an image of more than one slice. ``size`` in (x, y, z) order."""
    if len([count for count in size if count > 1]) > 2:
        raise InputError(
            f"{path}: expected a radiograph (2D, rows x columns), got a 3D volume of size {tuple(size)}; choose the "
            "radiograph, or use this file as the CT."
        )


def radiograph_from_sitk(image: sitk.Image, path: Path, header: VolumeHeader | None = None) -> Radiograph:
    """The radiograph of a 2D image or of a volume with one slice along any axis, placed by its own ``header``.

    Raises InputError for a volume of several slices, for true colour, and for directions that no radiograph can have.
    """
    check_not_a_volume(image.GetSize(), path)
    image, colour_notes = _grey(image, path)
    geometry = flat_geometry(header, image, path)
    values = sitk.GetArrayFromImage(image)
    warnings: tuple[str, ...] = ()
    if header is not None:
        values, warnings = scaled_values(values, header, path)
    shown = _shown(values.reshape(geometry.grid.shape), geometry, path)
    keys = [key for key in image.GetMetaDataKeys() if key.isprintable() and not key.startswith(_BOOKKEEPING)]
    metadata = {key: image.GetMetaData(key) for key in keys}
    origins: dict[str, str] = {}
    if geometry.has_spacing:
        origins["radiograph.pixel_spacing_mm"] = f"{path.suffix.lstrip('.')} header"
    if shown.orientation is not None:
        origins["patient_orientation"] = "directions of the one-slice volume"
    described = RadiographHeader(
        source_format=path.suffix.lstrip(".").upper(),
        patient_orientation=shown.orientation,
        turns=(_EXCHANGED in shown.turns, _MIRRORED in shown.turns, _UPSIDE_DOWN in shown.turns),
        origins=origins,
        notes=(*colour_notes, *geometry.notes, *shown.notes),
        warnings=(*warnings, *geometry.warnings, *shown.warnings),
    )
    spacing_mm = shown.spacing_mm if geometry.has_spacing else None
    if spacing_mm == (1.0, 1.0) and not any(key.startswith(_OWN) for key in metadata):
        described = replace(described, warnings=(*described.warnings, _ONE_MILLIMETRE))
    return Radiograph(np.ascontiguousarray(shown.pixels, dtype=np.float32), spacing_mm, described, metadata)


def _grey(image: sitk.Image, path: Path) -> tuple[sitk.Image, list[str]]:
    """The image itself, or the grey one of a picture stored as RGB (A) with equal channels."""
    count = image.GetNumberOfComponentsPerPixel()
    if count == 1:
        return image, []
    values = sitk.GetArrayViewFromImage(image).reshape(-1, 1, count)
    _, notes = grey_values(values[..., :3], path)
    return sitk.VectorIndexSelectionCast(image, 1), notes


def _shown(voxels: NDArray[Any], geometry: FlatGeometry, path: Path) -> _Shown:
    """The one slice of ``voxels`` (z, y, x), head up, or as an axial slice is shown if it lies in that plane."""
    grid = geometry.grid
    thin = max(axis for axis in range(3) if grid.size[axis] == 1)
    column_axis, row_axis = (axis for axis in range(3) if axis != thin)
    pixels = voxels.squeeze(axis=2 - thin)
    spacing_mm = (grid.spacing_mm[row_axis], grid.spacing_mm[column_axis])
    right, down = grid.direction_matrix[:, column_axis], grid.direction_matrix[:, row_axis]
    is_axial = abs(np.cross(right, down)[2]) > ALONG_AXIS
    downward = 1 if is_axial else 2  # the patient axis that rows follow: to the back, or head and feet
    turns = []
    if abs(right[downward]) > abs(down[downward]):
        pixels, spacing_mm, right, down = pixels.T, (spacing_mm[1], spacing_mm[0]), down, right
        turns.append(_EXCHANGED)
    across = 0 if is_axial else int(np.argmax(np.abs(right[:2])))  # 0: frontal, 1: lateral
    off_deg = float(np.degrees(np.arccos(min(abs(down[downward]), abs(right[across]), 1.0))))
    stated = f"rows to the {_words(right)}, columns to the {_words(down)}"
    if off_deg > LARGEST_OBLIQUE_DEG:
        raise InputError(
            f"{path}: expected a frontal or lateral slice, got one that is oblique by {off_deg:.0f} degrees "
            f"({stated}); resample it to a frontal or lateral plane."
        )
    if right[across] < 0:
        pixels = pixels[:, ::-1]
        turns.append(_MIRRORED)
    if (down[downward] < 0) == is_axial:
        pixels = pixels[::-1]
        turns.append(_UPSIDE_DOWN)
    notes, warnings = _said(stated, turns, is_axial, geometry)
    if off_deg > OBLIQUE_DEG:
        warnings.append(f"Its directions are oblique by {off_deg:.0f} degrees: taken by their main directions.")
    orientation = None if is_axial else (("L", "P")[across], "F")
    return _Shown(pixels, spacing_mm, orientation, tuple(notes), tuple(warnings), tuple(turns))


def _said(stated: str, turns: Sequence[str], is_axial: bool, geometry: FlatGeometry) -> tuple[list[str], list[str]]:
    """Notes and warnings on what was turned. No radiograph is an axial slice: its directions stand in for none."""
    done = f"image {', '.join(turns)} on reading"
    if not (turns and geometry.states_axes):
        return [], []
    if is_axial and not geometry.is_plane:
        return [], [
            f"Its directions are those of an axial slice ({stated}), which no radiograph is: {done}, as such a slice "
            "is shown; check that the head is up, and the patient's left or back at image right."
        ]
    return [f"Directions in its header{'' if geometry.is_plane else f' ({stated})'}: {done}."], []


def _words(direction: NDArray[np.float64]) -> str:
    axis = int(np.argmax(np.abs(direction)))
    return _AXIS_NAMES[axis][int(direction[axis] < 0)]
