"""A volume and a radiograph as frozen values, and the way to and from SimpleITK images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid, Vector3

SLOT_SCAN = "slot_scan"  # in ``RadiographHeader.refused``: not a cone, but a fan that is moved along the body


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels ``(z, y, x)`` on a ``Grid`` in LPS mm.

    ``voxels[k, j, i]`` lies at ``grid.index_to_world @ (i, j, k, 1)``. A reader leaves ``notes`` on what it did,
    ``warnings`` of what the user should check, and ``other_grid`` if the header states a second place (a NIfTI's qform
    beside its sform).

    Raises:
        ValueError: If the array's shape is not that of the grid.
    """

    voxels: NDArray[Any]
    grid: Grid
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    other_grid: Grid | None = None

    def __post_init__(self) -> None:
        if tuple(self.voxels.shape) != self.grid.shape:
            raise ValueError(
                f"Volume voxels must have the grid's shape (z, y, x) = {self.grid.shape}; got {self.voxels.shape}. "
                "Were the axes given as (x, y, z)?"
            )


@dataclass(frozen=True)
class RadiographHeader:
    """A file's statements about one radiograph; None if it makes none. Nothing identifies the patient.

    ``origins`` names the DICOM attribute behind each filled field, and, under ``radiograph.pixel_spacing_mm``, the one
    that became ``Radiograph.pixel_spacing_mm``. ``notes`` are sentences on what was done on reading, ``warnings`` on
    what the user should check. ``refused`` holds a sentence for each setting whose stated value cannot be right
    (``sid_mm``, ``sad_mm``, ``pixel_spacing_mm``, ``geometry``), which the user has to give, and for ``SLOT_SCAN``.
    """

    source_format: str = ""
    modality: str | None = None  # (0008,0060)
    sid_mm: float | None = None  # Distance Source to Detector (0018,1110), or RT Image SID (3002,0026)
    sad_mm: float | None = None  # Distance Source to Patient (0018,1111), or Radiation Machine SAD (3002,0022)
    # (row, column) at the detector (0018,1164), or Image Plane Pixel Spacing (3002,0011)
    imager_pixel_spacing_mm: tuple[float, float] | None = None
    patient_pixel_spacing_mm: tuple[float, float] | None = None  # Pixel Spacing (0028,0030), perhaps calibrated
    nominal_pixel_spacing_mm: tuple[float, float] | None = None  # Nominal Scanned Pixel Spacing (0018,2010)
    spacing_calibration: str | None = None  # Pixel Spacing Calibration Type (0028,0A02): GEOMETRY or FIDUCIAL
    pixel_aspect: tuple[float, float] | None = None  # Pixel Aspect Ratio (0028,0034): vertical, horizontal size
    magnification: float | None = None  # Estimated Radiographic Magnification Factor (0018,1114)
    spacing_magnification: float | None = None  # spacing at the detector over the one calibrated at the patient
    positioner_type: str | None = None  # Positioner Type (0018,1508): CARM, COLUMN, ...
    primary_angle_deg: float | None = None  # Positioner Primary Angle (0018,1510)
    secondary_angle_deg: float | None = None  # Positioner Secondary Angle (0018,1511)
    to_source: Vector3 | None = None  # unit vector in LPS from the isocentre to the source
    image_axes: tuple[Vector3, Vector3] | None = None  # unit vectors in LPS along rows and along columns
    detector_offset_mm: tuple[float, float] | None = None  # (down, right) of the image's middle from the central ray
    view_position: str | None = None  # (0018,5101): AP, PA, LL, RL, ...
    patient_orientation: tuple[str, str] | None = None  # (0020,0020): directions of rows and columns, ("L", "F")
    # Done to the stored pixels on reading: rows and columns exchanged, then mirrored left to right, then upside down.
    turns: tuple[bool, bool, bool] = (False, False, False)
    laterality: str | None = None  # Image Laterality (0020,0062) or Laterality (0020,0060)
    body_part: str | None = None  # Body Part Examined (0018,0015)
    # (attribute, token) to tell whether two files are of one patient; see images/dicom/patient.py
    patient_tokens: tuple[tuple[str, bytes], ...] = field(default=(), repr=False, compare=False)
    photometric_interpretation: str | None = None  # as stored (0028,0004)
    presentation_intent: str | None = None  # (0008,0068): FOR PRESENTATION or FOR PROCESSING
    pixel_intensity_relationship: str | None = None  # (0028,1040): LIN (counts) or LOG (attenuation)
    origins: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def spacing_is_at_patient(self) -> bool:
        """True if ``Radiograph.pixel_spacing_mm`` is calibrated to the patient instead of the detector."""
        at_detector = self.imager_pixel_spacing_mm or self.nominal_pixel_spacing_mm
        return at_detector is None and self.spacing_calibration in ("GEOMETRY", "FIDUCIAL")


@dataclass(frozen=True, eq=False)
class Radiograph:
    """Pixels ``(row, column)`` as float32, bone bright, row 0 at the top, and what the header said.

    ``pixel_spacing_mm`` = (row, column) as the header has it, at the detector unless ``header.notes`` say otherwise;
    None if the file has none. ``metadata`` holds the other text fields of an NRRD file, such as "TomoRay.view".
    """

    pixels: NDArray[np.float32]
    pixel_spacing_mm: tuple[float, float] | None = None
    header: RadiographHeader = field(default_factory=RadiographHeader)
    metadata: Mapping[str, str] = field(default_factory=dict)


def volume_to_sitk(volume: Volume) -> sitk.Image:
    """Convert a volume to a SimpleITK image with the same spacing, origin and direction.

    Args:
        volume: Voxels ``(z, y, x)``; booleans become 8-bit numbers, float16 becomes float32.

    Returns:
        A 3D image in LPS mm, as SimpleITK has it.
    """
    voxels = volume.voxels.astype(np.uint8) if volume.voxels.dtype == np.bool_ else volume.voxels
    if voxels.dtype == np.float16:
        voxels = voxels.astype(np.float32)
    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels))
    image.SetSpacing(volume.grid.spacing_mm)
    image.SetOrigin(volume.grid.origin_mm)
    image.SetDirection(volume.grid.direction)
    return image


def volume_from_sitk(image: sitk.Image, name: str = "The image") -> Volume:
    """Convert a scalar 3D SimpleITK image to a volume.

    Args:
        image: A 3D image with one value per voxel.
        name: The name of the image at the beginning of messages.

    Returns:
        Voxels ``(z, y, x)`` with their grid in LPS mm.

    Raises:
        InputError: If the image has another dimension, several values per voxel, or a spacing or directions that no
            ``Grid`` has.
    """
    check_scalar(image, name)
    if image.GetDimension() != 3:
        raise InputError(f"{name}: expected a 3D volume, got {image.GetDimension()} dimensions; choose a 3D volume.")
    return Volume(sitk.GetArrayFromImage(image), grid_of_sitk(image, name))


def grid_of_sitk(image: sitk.Image, name: str = "The image") -> Grid:
    """Return the grid of a 3D SimpleITK image. Raises InputError for a spacing or directions no Grid has."""
    try:
        return Grid(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    except ValueError as error:
        raise InputError(f"{name}: {error}") from None


def check_scalar(image: sitk.Image, name: str) -> None:
    """Raise InputError if a voxel holds several values (colour or vector image)."""
    check_one_value(image.GetNumberOfComponentsPerPixel(), name)


def check_one_value(count: int, name: str) -> None:
    """Raise InputError for another number of values per voxel than one."""
    if count != 1:
        raise InputError(
            f"{name}: expected one grey value per voxel, got {count} (a colour or vector image); "
            "export it as a greyscale image."
        )


def last_line(error: Exception) -> str:
    """Return the last line of an exception's text, which is the reason in those of SimpleITK."""
    return str(error).strip().splitlines()[-1].strip()


def check_finite(values: NDArray[np.generic], name: str) -> None:
    """Raise InputError if ``values`` hold NaN or infinity."""
    if np.issubdtype(values.dtype, np.integer) or values.dtype == np.bool_:
        return
    # Extremes carry a NaN along and take a fifth of the time that looking at each value takes.
    if values.size == 0 or np.isfinite([values.min(), values.max()]).all():
        return
    bad = int(values.size - np.count_nonzero(np.isfinite(values)))
    if bad:
        raise InputError(
            f"{name}: expected finite values, got {bad} NaN or infinite ones; replace them (CT: by -1024 HU)."
        )
