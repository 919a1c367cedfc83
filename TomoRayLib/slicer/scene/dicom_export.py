"""A case in the scene as DICOM files: its synthetic CT, and its vertebrae as they are named in the scene now."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from slicer.i18n import tr as _

from TomoRayLib.anatomy.vertebrae import WHOLE_SPINE_LABEL
from TomoRayLib.base.errors import InputError
from TomoRayLib.base.files import staged_folder
from TomoRayLib.slicer.scene.case_nodes import PROVENANCE_KEY, CaseNodes
from TomoRayLib.slicer.scene.nodes import in_scene, volume_of
from TomoRayLib.slicer.scene.segments import labels_of


def export_dicom(case: CaseNodes, folder: Path) -> None:
    """Write a case as a DICOM series and a Segmentation object, which name no patient. All files appear, or none.

    Args:
        case: The case. Without a segmentation in the scene, or with an empty one, only the CT is written.
        folder: Folder for ``ct/`` and ``vertebrae.dcm``; it need not exist.

    Raises:
        InputError: If the case does not say how it was made, or no segment is named as a vertebra.
        OutputError: If the folder cannot be written.
    """
    from TomoRayLib.images.dicom.writing.making import making_of
    from TomoRayLib.images.dicom.writing.result import write_dicom
    from TomoRayLib.images.types import Volume

    try:
        making = making_of(json.loads(case.synthetic.GetAttribute(PROVENANCE_KEY)))
    except (KeyError, TypeError, ValueError):
        raise InputError(
            _("{name} does not say how it was made. Press Synthesize again, and save the new case.").format(
                name=case.synthetic.GetName()
            )
        ) from None
    hu = volume_of(case.synthetic)
    stored = np.clip(np.rint(hu.voxels), np.iinfo(np.int16).min, np.iinfo(np.int16).max)
    synthetic = Volume(stored.astype(np.int16), hu.grid)
    labels = np.zeros(hu.grid.shape, np.uint8)
    node = case.vertebrae
    if in_scene(node) and node.GetSegmentation().GetNumberOfSegments():
        labels = labels_of(node, case.synthetic)[0].voxels
    if not np.setdiff1d(labels, (0, WHOLE_SPINE_LABEL)).size:
        labels, making = (labels > 0).astype(np.uint8), replace(making, numbering_unsure=None)
    elif making.numbering_unsure is None:
        making = replace(making, numbering_unsure=True)
    with staged_folder(folder) as staged:
        write_dicom(staged, synthetic, Volume(labels, hu.grid), making, None)
