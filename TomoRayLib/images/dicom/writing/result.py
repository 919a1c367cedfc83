"""A synthetic CT and its vertebrae as DICOM files of one study: whose, from when, under which UIDs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from TomoRayLib.base.files import write_atomically
from TomoRayLib.base.requirements import installed_version
from TomoRayLib.images.dicom.writing.ct_series import ct_slices
from TomoRayLib.images.dicom.writing.files import write_slices
from TomoRayLib.images.dicom.writing.identity import Identity, nobody
from TomoRayLib.images.dicom.writing.making import Making
from TomoRayLib.images.dicom.writing.names import CT_FOLDER, SEGMENTATION_NAME
from TomoRayLib.images.dicom.writing.segmentation import segmentation_of
from TomoRayLib.images.dicom.writing.uids import seed_of
from TomoRayLib.images.quiet import no_warnings
from TomoRayLib.images.types import Volume


def write_dicom(folder: Path, synthetic: Volume, vertebrae: Volume, making: Making, patient: Identity | None) -> None:
    """Write a synthetic CT as a series, ``ct/0001.dcm`` and so on, and its vertebrae as ``vertebrae.dcm``.

    UIDs follow from everything that is written and from what writes it: the same again has the same ones, and anything
    else others.

    Args:
        folder: An existing, empty folder. Files appear in it one by one: the caller lets all appear at once.
        synthetic: HU (z, y, x), int16.
        vertebrae: On the same grid: VerSe numbers, or 1 for all bone of a network that does not count vertebrae.
            Without any bone there is no Segmentation object.
        making: How they were made.
        patient: Whose they are; None: nobody's.

    Raises:
        ValueError: If the voxels are not int16, or the grids differ.
    """
    if not synthetic.grid.same_as(vertebrae.grid):
        raise ValueError(f"Vertebrae must lie on the grid of the CT, {synthetic.grid}; got {vertebrae.grid}.")
    labels = vertebrae.voxels.astype(np.uint8, copy=False)
    whose = b"" if patient is None else patient.content
    grid = repr((synthetic.grid.size, synthetic.grid.index_to_world.tolist())).encode()
    writers = " ".join(installed_version(name) or "unknown" for name in ("pydicom", "highdicom"))
    seed = seed_of(synthetic.voxels.tobytes(), labels.tobytes(), grid, repr(making).encode(), whose, writers.encode())
    (folder / CT_FOLDER).mkdir()
    with no_warnings():  # of a patient's name or number, which stay as their file has them
        slices = ct_slices(synthetic, patient or nobody(seed, making.made_at), making, seed)
        write_slices(folder / CT_FOLDER, slices)
        segmentation = segmentation_of(labels, slices, making, seed)
        if segmentation is not None:
            with write_atomically(folder / SEGMENTATION_NAME) as partial:
                segmentation.save_as(partial, enforce_file_format=True)
