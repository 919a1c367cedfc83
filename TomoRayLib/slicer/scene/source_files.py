"""The file that a radiograph's node was read from, and whether the node still shows what the file holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import slicer
import slicer.util

from TomoRayLib.slicer.scene.nodes import index_to_lps

SPACINGS = ("ImagerPixelSpacing", "PixelSpacing", "NominalScannedPixelSpacing")


def source_file(node) -> Path | None:
    """The file that a node was read from, if it exists and the node still is what was read; else None.

    A DICOM image is found through its instance UID in Slicer's DICOM database, anything else through its storage node.
    Slicer's DICOM reader leaves no storage node that could say whether the image was edited, so the pixels are
    compared, which reads the file.
    """
    if node.GetParentTransformNode() is not None:
        return None
    path = _dicom_file(node)
    if path is not None:
        return path if path.is_file() and _has_pixels_of(node, path) else None
    storage = node.GetStorageNode()
    if storage is not None and storage.GetFileName() and storage.GetNumberOfFileNames() <= 1:
        path = Path(storage.GetFullNameFromFileName() or storage.GetFileName())
    if path is None or not path.is_file() or node.GetModifiedSinceRead():
        return None
    return path


def source_key(node) -> tuple:
    """A value that changes whenever ``source_file`` or the image may have changed; reads no file."""
    storage = node.GetStorageNode()
    return (
        node.GetID(),
        node.GetImageData().GetMTime(),
        node.GetSpacing(),
        tuple(index_to_lps(node).ravel()),
        node.GetParentTransformNode() is None,
        node.GetAttribute("DICOM.instanceUIDs"),
        storage.GetFileName() if storage is not None else None,
        bool(node.GetModifiedSinceRead()),
    )


def _dicom_file(node) -> Path | None:
    uids = (node.GetAttribute("DICOM.instanceUIDs") or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    if len(uids) != 1 or database is None:
        return None
    name = database.fileForInstance(uids[0])
    return Path(name) if name else None


def _has_pixels_of(node, path: Path) -> bool:
    """True if the node's only slice still is what the file holds: its values, with rescale slope and intercept
    (0028,1053/1052), and a pixel spacing that the file states, if it states any."""
    from TomoRayLib.images.dicom.files import read_data_set
    from TomoRayLib.images.dicom.pixels import plain_values
    from TomoRayLib.images.quiet import no_warnings

    try:
        with no_warnings():
            dataset = read_data_set(path)
            values = plain_values(dataset, path)  # compressed ones are decoded in another process
        slope = abs(float(dataset.get("RescaleSlope") or 1.0))
        stated = [[float(part) for part in dataset[name].value] for name in SPACINGS if dataset.get(name)]
    except Exception:  # pydicom raises many kinds; reading the radiograph tells later what is wrong with the file
        return False
    column_mm, row_mm, _thickness = node.GetSpacing()
    if not any(np.allclose((row_mm, column_mm), spacing, rtol=1e-3) for spacing in (*stated, (1.0, 1.0))):
        return False
    here = slicer.util.arrayFromVolume(node)
    return here.ndim == 3 and here.shape[1:] == values.shape and bool(np.allclose(here[0], values, atol=0.5 * slope))
