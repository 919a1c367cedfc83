"""Synthetic vertebrae as a DICOM Segmentation object (SEG, PS3.3 A.51) over the slices of their CT, by highdicom."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from TomoRayLib.anatomy.vertebra_codes import Code, code_of_label
from TomoRayLib.anatomy.vertebra_colors import Color, color_of_label
from TomoRayLib.anatomy.vertebrae import NAME_OF_LABEL, vertebra_labels_in
from TomoRayLib.base.notices import NOTICE
from TomoRayLib.images.dicom.writing.making import (
    MANUFACTURER,
    NO_SERIAL_NUMBER,
    SEGMENTATION_SERIES_NUMBER,
    Making,
)
from TomoRayLib.images.dicom.writing.uids import uid_from

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription

SERIES_DESCRIPTION = "SYNTHETIC vertebrae - research use only"
CONTENT_LABEL = "SYNTHETIC"  # Content Label (0070,0080)
NUMBERING_UNSURE = "Numbering unsure: the numbers of all vertebrae may be too high or too low by one or more."
SPINE_NAME = "spine"
BONE_OF_SPINE = Code("421060004", "SCT", "Vertebral column")
_CATEGORY = Code("123037004", "SCT", "Anatomical Structure")  # of CID 7150
_NETWORK = Code("123109", "DCM", "Artificial Intelligence")  # of CID 7162
# Of patient and study, what highdicom does not copy from the source or refuses.
_COPIED = (
    "SpecificCharacterSet",
    "StudyDescription",
    "IssuerOfPatientID",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
)
_ACQUISITION_EQUIPMENT = "109101"  # DCM, of CID 7005
_SPINE_COLOR: Color = (0.90, 0.62, 0.0)  # the orange of the whole synthetic spine in the panel


def segmentation_of(labels: NDArray[np.uint8], slices: Sequence[Dataset], making: Making, seed: str) -> Dataset | None:
    """Return synthetic vertebrae as a Segmentation object with one segment for each.

    Args:
        labels: VerSe numbers (z, y, x), or 1 for all bone if ``making.numbering_unsure`` is None, the network does not
            count.
        slices: From ``ct_slices``, on the same grid.
        making: How they were made.
        seed: As for the slices.

    Returns:
        The data set, with one frame for each slice that holds a segment; None if there is no bone at all.

    Raises:
        ValueError: If the shapes do not fit.
    """
    import highdicom as hd

    if labels.shape[0] != len(slices) or labels.shape[1:] != (slices[0].Rows, slices[0].Columns):
        raise ValueError(f"Labels must have the shape of the {len(slices)} slices; got {labels.shape}.")
    counted = making.numbering_unsure is not None
    found = vertebra_labels_in(np.flatnonzero(np.bincount(labels.ravel(), minlength=2))) if counted else (1,)
    if not found or not labels.any():
        return None
    number_of_label = np.zeros(256, np.uint8)
    number_of_label[list(found)] = np.arange(1, len(found) + 1)  # Segment Numbers have no gaps (PS3.3 C.8.20.4)
    segments = [_described(number, label if counted else None, making) for number, label in enumerate(found, 1)]
    date, time = making.made_at.strftime("%Y%m%d"), making.made_at.strftime("%H%M%S")
    unsure = "; numbering unsure" if making.numbering_unsure else ""
    made: Dataset = hd.seg.Segmentation(
        source_images=list(slices),
        pixel_array=number_of_label[labels],
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=segments,
        series_instance_uid=uid_from(seed, "seg"),
        series_number=SEGMENTATION_SERIES_NUMBER,
        sop_instance_uid=uid_from(seed, "seg/1"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=making.model_id[:64],
        software_versions=f"TomoRay {making.software_version}"[:64],
        device_serial_number=NO_SERIAL_NUMBER,
        content_label=CONTENT_LABEL,
        content_description=f"SYNTHETIC vertebrae{unsure} - research use only",
        series_description=SERIES_DESCRIPTION,
        content_date=date,
        content_time=time,
        series_date=date,
        series_time=time,
        **_without_character_set(),
    )
    return _marked(made, slices[0], making, seed)


def _without_character_set() -> dict[str, None]:
    """Return the setting that keeps highdicom from checking the character set; _marked copies what is stated.

    highdicom 0.28 refuses the sets of Korea and most of Japan. 0.27, which Slicer 5.12 brings, has neither check nor
    setting.
    """
    import highdicom as hd

    known = inspect.signature(hd.SOPClass.__init__).parameters
    return {"specific_character_set": None} if "specific_character_set" in known else {}


def _described(number: int, label: int | None, making: Making) -> SegmentDescription:
    """The description of one vertebra; without a label of all bone."""
    import highdicom as hd

    name = SPINE_NAME if label is None else NAME_OF_LABEL[label]
    color = _SPINE_COLOR if label is None else color_of_label(label)
    segment = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=name,
        segmented_property_category=hd.sr.CodedConcept(*_CATEGORY),
        segmented_property_type=hd.sr.CodedConcept(*(BONE_OF_SPINE if label is None else code_of_label(label))),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=f"TomoRay {making.model_id}"[:64],
            family=hd.sr.CodedConcept(*_NETWORK),
            version=f"TomoRay {making.software_version}"[:64],
            source=MANUFACTURER,
            parameters={"model": making.model_id, "weights_sha256": making.weights_sha256},
        ),
        display_color=hd.color.CIELabColor.from_rgb(*(255 * part for part in color)),
    )
    what = "All bone of the spine, not told apart by vertebra" if label is None else f"Vertebra {name}"
    segment.SegmentDescription = f"{what}. {NOTICE}.{_numbering(making)}"
    return segment


def _numbering(making: Making) -> str:
    """What is to be said of the numbers of all vertebrae, with a space before it."""
    if making.numbered_from is not None:
        return f" Numbered from {making.numbered_from}, which a person named."
    return f" {NUMBERING_UNSURE}" if making.numbering_unsure else ""


def _marked(made: Dataset, source: Dataset, making: Making, seed: str) -> Dataset:
    """The object with all that marks it as synthetic, and with nothing drawn by lot or by the clock."""
    made.SyntheticData = "YES"
    made.ImageComments = NOTICE
    made.DerivationDescription = making.derivation
    made.BodyPartExamined = "SPINE"
    made.InstanceCreationDate = made.ContentDate
    made.InstanceCreationTime = made.ContentTime
    # highdicom names the source's equipment as what acquired it, and itself; nothing acquired a synthetic CT.
    made.ContributingEquipmentSequence = [
        item
        for item in made.get("ContributingEquipmentSequence", [])
        if item.PurposeOfReferenceCodeSequence[0].CodeValue != _ACQUISITION_EQUIPMENT
    ]
    for item in made.ContributingEquipmentSequence:
        item.ContributionDateTime = making.made_at.strftime("%Y%m%d%H%M%S")
    for keyword in _COPIED:
        if keyword in source:
            made[keyword] = source[keyword]
    order = uid_from(seed, "seg/dimensions")
    for item in (*made.DimensionOrganizationSequence, *made.DimensionIndexSequence):
        item.DimensionOrganizationUID = order
    return made
