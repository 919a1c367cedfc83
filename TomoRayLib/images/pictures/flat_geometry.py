"""Where the rows and columns of a 2D or one-slice file lie, from its own header, by the rules that volumes have.

A 2D header counts as one of three axes whose third has one slice, so that both are read alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.headers.meta_image_header import MetaImageHeader
from TomoRayLib.images.headers.nifti import nifti_geometry, orientation_of
from TomoRayLib.images.headers.nifti_header import NiftiHeader
from TomoRayLib.images.headers.nrrd_header import NrrdHeader
from TomoRayLib.images.headers.stated_grid import StatedGrid
from TomoRayLib.images.headers.volume_header import VolumeHeader, geometry_of

_NO_SPACING = (
    "Pixels of 1 x 1 mm (pixdim) are what converters write that know no spacing, as dcm2niix does of a radiograph with "
    "Imager Pixel Spacing (0018,1164) alone: left out; enter the pixel spacing."
)
_FROM_BELOW = (1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)  # i to the patient's left, j upward on the screen


@dataclass(frozen=True)
class FlatGeometry:
    """Three axes in LPS mm, of which one or more have one slice.

    ``has_spacing`` is False if the header states no size of a pixel, ``states_axes`` if it states no orientation at all
    where its format could; ``is_plane`` is True if it states two axes alone.
    """

    grid: Grid
    has_spacing: bool = True
    states_axes: bool = True
    is_plane: bool = False
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def check_plane(header: VolumeHeader | None, path: Path) -> None:
    """Raise InputError for an NRRD of two axes that lie in space, which SimpleITK does not read."""
    directions = header.fields.get("spacedirections", "") if isinstance(header, NrrdHeader) else ""
    if directions.count("(") == 2 and directions.count(",") > 2:
        raise InputError(
            f"{path}: expected two axes in a plane or three in space, got two in space (space directions: "
            f"{directions}); save it as a volume of one slice."
        )


def flat_geometry(header: VolumeHeader | None, image: sitk.Image, path: Path) -> FlatGeometry:
    """Return the geometry that the header of a 2D or one-slice file states.

    Args:
        header: The file's own header; None for a format without one of those.
        image: SimpleITK's answer, for such a format.
        path: The file, for messages.

    Raises:
        InputError: If the header contradicts itself, or states no orientation where that cannot be seen from its axes.
    """
    if isinstance(header, NiftiHeader):
        return _of_nifti(header, path)
    if isinstance(header, NrrdHeader) and len(header.space_axes) in (2, 3):
        return _of_nrrd(header, path)
    if isinstance(header, MetaImageHeader) and len(header.sizes) in (2, 3):
        return _of_meta_image(header, path)
    return _of_image(image)


def _of_image(image: sitk.Image) -> FlatGeometry:
    count = min(image.GetDimension(), 3)
    direction = np.eye(3)
    direction[:count, :count] = np.reshape(image.GetDirection(), (image.GetDimension(), -1))[:count, :count]
    i, j, k = (*image.GetSize(), 1)[:3]
    x_mm, y_mm, z_mm = (*image.GetSpacing(), 1.0)[:3]
    grid = Grid((i, j, k), (x_mm, y_mm, z_mm), (0.0, 0.0, 0.0), tuple(direction.ravel().tolist()))
    return FlatGeometry(grid, is_plane=count == 2)


def _of_stated(geometry: StatedGrid, has_spacing: bool, is_plane: bool) -> FlatGeometry:
    """What a volume's header states, without its warnings of a frame where rows and columns stay in the picture."""
    normal = geometry.grid.direction_matrix[:, 2]
    in_the_picture = geometry.grid.size[2] == 1 and abs(normal[2]) > np.abs(normal[:2]).max()
    warnings = () if in_the_picture else geometry.warnings
    return FlatGeometry(geometry.grid, has_spacing, is_plane=is_plane, notes=geometry.notes, warnings=warnings)


def _of_nifti(header: NiftiHeader, path: Path) -> FlatGeometry:
    """By the sform or qform; without either as converters of radiographs write them, with a warning."""
    has_spacing = tuple(header.spacing[:2]) != (1.0, 1.0)
    notes = () if has_spacing else (_NO_SPACING,)
    if header.qform_code > 0 or header.sform_code > 0:
        stated = nifti_geometry(header, path)
        return FlatGeometry(stated.grid, has_spacing, notes=(*notes, *stated.notes), warnings=stated.warnings)
    codes = orientation_of(header, path)
    if codes.size[2] > 1:
        raise InputError(
            f"{path}: expected a stated orientation, got a slice without one (qform_code 0, sform_code 0), so its left "
            "and right, head and feet cannot be known; export it again as DICOM, NRRD or PNG."
        )
    warning = (
        "Its NIfTI header does not say which way is up (qform_code and sform_code are 0): its rows were taken from "
        "below, as dcm2niix stores them, its columns towards the patient's left or back. Check that, and that bone is "
        "bright, for a converter also leaves MONOCHROME1 as it is."
    )
    grid = Grid(codes.size, codes.spacing_mm, (0.0, 0.0, 0.0), _FROM_BELOW)
    return FlatGeometry(grid, has_spacing, states_axes=False, notes=notes, warnings=(warning,))


def _of_nrrd(header: NrrdHeader, path: Path) -> FlatGeometry:
    axes = header.space_axes
    fields = dict(header.fields)
    is_plane = len(axes) == 2
    directed = "spacedirections" in fields
    stated = directed or any(_has_numbers(fields.get(name, ""), axes[:2]) for name in ("spacings", "axismaxs"))
    sizes = tuple(header.sizes[axis] for axis in axes)
    if directed and is_plane:
        vectors = [text.strip("() ") for text in fields["spacedirections"].replace(")", "(").split("(") if "," in text]
        fields["spacedirections"] = " ".join(f"({text},0)" for text in vectors) + " (0,0,1)"
        fields.pop("spaceorigin", None)
        fields["space"] = "left-posterior-superior"
        if units := fields.get("spaceunits"):
            fields["spaceunits"] = f'{units} "mm"'
    elif not directed:
        fields = _plain_fields(fields, axes, sizes, stated)
    sizes = (*sizes, 1) if is_plane else sizes
    if not directed or is_plane:
        fields.pop("kinds", None)
        header = NrrdHeader(fields, sizes)
    geometry = geometry_of(header, path)
    return _of_stated(geometry, stated, is_plane)


def _plain_fields(
    fields: dict[str, str], axes: tuple[int, ...], sizes: tuple[int, ...], stated: bool
) -> dict[str, str]:
    """The fields of the axes in space, three of them, with a spacing of 1 where an axis has one slice."""
    kept = {name: text for name, text in fields.items() if name not in ("space", "spacedimension")}
    for name, filling in (("spacings", "1"), ("axismins", "nan"), ("axismaxs", "nan"), ("centers", "cell")):
        if (parts := kept.get(name, "").split()) or name == "spacings":
            parts = [parts[axis] if axis < len(parts) else "nan" for axis in axes] if parts else ["nan"] * len(axes)
            if name == "spacings":
                free = [not stated or (size == 1 and n == 2) for n, size in enumerate(sizes)]
                parts = ["1" if given else part for given, part in zip(free, parts, strict=True)]
            kept[name] = " ".join([*parts, filling][:3])
    if units := kept.get("units"):
        kept["units"] = f'{units} ""'
    return kept


def _has_numbers(text: str, axes: tuple[int, ...]) -> bool:
    """True if a field for each axis has a finite number for one of ``axes``."""
    parts = text.split()
    try:
        return any(math.isfinite(float(parts[axis])) for axis in axes)
    except (ValueError, IndexError):
        return bool(parts)  # what is wrong with it is said on reading it


def _of_meta_image(header: MetaImageHeader, path: Path) -> FlatGeometry:
    values = dict(header.values)
    stated = "ElementSpacing" in values or "ElementSize" in values
    is_plane = len(header.sizes) == 2
    if not stated:
        values["ElementSpacing"] = " ".join("1" * len(header.sizes))
    if is_plane:
        for name in ("ElementSpacing", "ElementSize"):
            if name in values:
                values[name] += " 1"
        for name in ("Offset", "Position", "Origin", "CenterOfRotation"):
            if name in values:
                values[name] += " 0"
        for name in ("TransformMatrix", "Rotation", "Orientation"):
            if len(numbers := values.get(name, "").split()) == 4:
                values[name] = "{} {} 0 {} {} 0 0 0 1".format(*numbers)
        values.pop("AnatomicalOrientation", None)
        header = replace(header, sizes=(*header.sizes, 1))
    geometry = geometry_of(replace(header, values=tuple(values.items())), path)
    return _of_stated(geometry, stated, is_plane)
