"""A synthetic CT as a series of CT Image Storage slices (PS3.3 A.3), the form that every PACS takes.

All slices share their elements but position, number, UID and pixels.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pydicom.valuerep import format_number_as_ds

from TomoRayLib.anatomy.grey_levels import BONE_WINDOW
from TomoRayLib.base.notices import NOTICE
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.dicom.writing.identity import Identity
from TomoRayLib.images.dicom.writing.making import CT_SERIES_NUMBER, Making
from TomoRayLib.images.dicom.writing.overlay import overlay_of
from TomoRayLib.images.dicom.writing.uids import uid_from
from TomoRayLib.images.types import Volume

SERIES_DESCRIPTION = "SYNTHETIC CT - research use only"


def ct_slices(volume: Volume, identity: Identity, making: Making, seed: str) -> list[Dataset]:
    """Return the slices of a synthetic CT as data sets, slice k of the grid as Instance Number k + 1.

    Args:
        volume: int16 HU (z, y, x) on its grid in LPS mm, in any position.
        identity: Whose they are.
        making: How they were made.
        seed: From ``seed_of``; the UIDs come from it.

    Returns:
        One data set for each slice, with its file meta information.

    Raises:
        ValueError: If the voxels are not int16.
    """
    if volume.voxels.dtype != np.int16:
        raise ValueError(f"A CT series takes HU as int16; got {volume.voxels.dtype}. Round and convert it first.")
    shared = _shared(volume.grid, identity, making, seed)
    return [_slice(shared, volume, k, seed) for k in range(volume.grid.size[2])]


def _shared(grid: Grid, identity: Identity, making: Making, seed: str) -> Dataset:
    """What all slices have in common."""
    one = Dataset()
    for part in (identity.attributes, making.equipment(), overlay_of(grid.size[1], grid.size[0])):
        one.update(part)
    one.SOPClassUID = CTImageStorage
    one.SyntheticData = "YES"
    one.ImageType = ["DERIVED", "SECONDARY", "AXIAL", "SYNTHETIC"]
    one.Modality = "CT"
    one.SeriesInstanceUID = uid_from(seed, "ct")
    one.SeriesNumber = CT_SERIES_NUMBER
    one.SeriesDescription = SERIES_DESCRIPTION
    one.ProtocolName = SERIES_DESCRIPTION
    one.DerivationDescription = making.derivation
    one.ImageComments = NOTICE
    one.BodyPartExamined = "SPINE"
    one.BurnedInAnnotation = "NO"
    one.RecognizableVisualFeatures = "NO"
    one.PatientPosition = ""  # no table, no gantry; the patient's axes are in Image Orientation (Patient)
    one.KVP = None
    one.AcquisitionNumber = None
    one.FrameOfReferenceUID = uid_from(seed, "frame of reference")
    one.PositionReferenceIndicator = ""
    directions = grid.direction_matrix
    one.ImageOrientationPatient = _decimals([*directions[:, 0], *directions[:, 1]])
    one.PixelSpacing = _decimals([grid.spacing_mm[1], grid.spacing_mm[0]])
    one.SliceThickness = _decimals([grid.spacing_mm[2]])[0]
    one.SpacingBetweenSlices = one.SliceThickness
    one.SamplesPerPixel = 1
    one.PhotometricInterpretation = "MONOCHROME2"
    one.Rows, one.Columns = grid.size[1], grid.size[0]
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 1
    one.RescaleIntercept, one.RescaleSlope, one.RescaleType = "0", "1", "HU"
    one.WindowCenter, one.WindowWidth = f"{BONE_WINDOW.center_hu:g}", f"{BONE_WINDOW.width_hu:g}"
    one.WindowCenterWidthExplanation = "BONE"
    return one


def _slice(shared: Dataset, volume: Volume, k: int, seed: str) -> Dataset:
    one = Dataset()
    one.update(shared)
    one.SOPInstanceUID = uid_from(seed, f"ct/{k}")
    one.InstanceNumber = k + 1
    position = volume.grid.index_to_world @ (0.0, 0.0, float(k), 1.0)
    one.ImagePositionPatient = _decimals(position[:3])
    one.add_new("PixelData", "OW", volume.voxels[k].astype("<i2").tobytes())
    one.file_meta = FileMetaDataset()
    one.file_meta.MediaStorageSOPClassUID = CTImageStorage
    one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
    one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return one


def _decimals(values: Iterable[float]) -> list[str]:
    """Numbers as Decimal Strings, of at most 16 characters: pydicom gives 9.999999999999999 seventeen."""
    return [format_number_as_ds(round(float(value), 10)) for value in values]
