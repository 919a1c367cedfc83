"""A radiograph in the scene: read from its file or node, upright, and written for the worker."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import slicer.util
import vtk
from slicer.i18n import tr as _

from TomoRayLib.base.errors import InputError
from TomoRayLib.slicer.scene.nodes import Role, problem_of
from TomoRayLib.slicer.scene.source_files import source_file, source_key

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from TomoRayLib.images.types import Radiograph

PREVIEW_PERCENTILES = (0.5, 99.5)
PREVIEW_PIXELS = 400
KEPT = 4  # radiographs in memory: both views, before and after a change


# For a plane with this normal (R, A, S): what points to the right and down on the screen, in RAS.
LEFT, BACK, FEET = (-1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, -1.0)
SCREEN_OF_NORMAL = ((BACK, FEET), (LEFT, FEET), (LEFT, BACK))
UNKNOWN_SPACING_MM = (1.0, 1.0)  # what Slicer shows, and saves with a scene, if a file states no spacing
_CACHE: OrderedDict[tuple, tuple[Radiograph, Path | None]] = OrderedDict()


def radiograph_of(node, role: Role) -> Radiograph:
    """The radiograph of a volume node: read from its original file, header included, if the node still shows what the
    file holds; else the node's own pixels, as displayed, and its spacing.

    Raises InputError for a node or file that holds no radiograph.
    """
    problem = problem_of(node, role)
    if problem is not None:
        raise InputError(problem)
    return _read(node)[0]


def _read(node) -> tuple[Radiograph, Path | None]:
    """The radiograph of a node, and the file if it was read from one. Cached until the node changes."""
    key = source_key(node)
    if key in _CACHE:
        _CACHE.move_to_end(key)
        return _CACHE[key]
    path = source_file(node)
    radiograph = _from_file(path) if path is not None else None
    _CACHE[key] = (_from_node(node), None) if radiograph is None else (radiograph, path)
    while len(_CACHE) > KEPT:
        _CACHE.popitem(last=False)
    return _CACHE[key]


def forget() -> None:
    """Empty the cache of radiographs."""
    _CACHE.clear()


def _from_file(path: Path) -> Radiograph | None:
    """The radiograph in a file, None if TomoRay cannot read the file (the node may still hold it)."""
    from TomoRayLib.geometry.view_json import VIEW_KEY
    from TomoRayLib.images.files import read_radiograph

    try:
        radiograph = read_radiograph(path)
    except InputError:
        return None
    no_spacing_stated = radiograph.header.source_format != "DICOM" and VIEW_KEY not in radiograph.metadata
    if no_spacing_stated and radiograph.pixel_spacing_mm == UNKNOWN_SPACING_MM:
        return replace(radiograph, pixel_spacing_mm=None)
    return radiograph


def _from_node(node) -> Radiograph:
    from TomoRayLib.images.types import Radiograph, RadiographHeader

    pixels, (row_mm, column_mm) = as_displayed(node)
    if not np.isfinite(pixels).all():
        raise InputError(_("{name} contains NaN or infinite pixel values. Replace them.").format(name=node.GetName()))
    spacing = None if (row_mm, column_mm) == UNKNOWN_SPACING_MM else (row_mm, column_mm)
    metadata = _stored_view(node, pixels.shape, (row_mm, column_mm))
    return Radiograph(pixels, spacing, RadiographHeader(source_format="Slicer"), metadata)


def as_displayed(node) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """The pixels of a single-slice node as its slice view shows them, row 0 at the top, and (row, column) spacing, mm.

    Slicer's views have the patient's left (axial, coronal) or back (sagittal) at the right and the back (axial) or feet
    (coronal, sagittal) below; a node whose axes run the other way, as after Crop Volume, is turned accordingly.
    """
    columns, rows, right, down = _axes(node)
    pixels = slicer.util.arrayFromVolume(node)[0].astype(np.float32)
    column_mm, row_mm, _thickness = node.GetSpacing()
    if abs(columns @ right) < abs(rows @ right):
        pixels, columns, rows, column_mm, row_mm = pixels.T, rows, columns, row_mm, column_mm
    pixels = pixels[:: -1 if rows @ down < 0 else 1, :: -1 if columns @ right < 0 else 1]
    return np.ascontiguousarray(pixels), (row_mm, column_mm)


def screen_axes(node) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The directions, in RAS, to the right and down on the screen of a radiograph as ``as_displayed`` returns it."""
    columns, rows, right, down = _axes(node)
    across, along = (rows, columns) if abs(columns @ right) < abs(rows @ right) else (columns, rows)
    return across * (1 if across @ right >= 0 else -1), along * (1 if along @ down >= 0 else -1)


def _axes(node) -> tuple[NDArray[np.float64], ...]:
    """Directions in RAS: of i and j of a single-slice node, and to the right and down in its slice view."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASDirectionMatrix(matrix)
    columns, rows, normal = slicer.util.arrayFromVTKMatrix(matrix)[:3, :3].T
    right, down = np.array(SCREEN_OF_NORMAL[int(np.argmax(np.abs(normal)))])
    return columns, rows, right, down


def _stored_view(node, shape: tuple[int, int], spacing_mm: tuple[float, float]) -> dict[str, str]:
    """The view that TomoRay stored on a node it rendered, as metadata; empty if the node has other pixels by now."""
    from TomoRayLib.geometry.view_json import VIEW_KEY, view_from_dict

    text = node.GetAttribute(VIEW_KEY)
    if text is None:
        return {}
    try:
        detector = view_from_dict(json.loads(text)).detector
    except ValueError:  # not JSON, of another version, or edited: the panel then asks for the numbers
        return {}
    same_spacing = np.allclose(spacing_mm, detector.pixel_spacing_mm, rtol=1e-4)
    return {VIEW_KEY: text} if (detector.rows, detector.columns) == shape and same_spacing else {}


def preview(radiograph: Radiograph, flipped: bool, inverted: bool, turned_deg: int = 0) -> NDArray[np.uint8]:
    """The radiograph (rows, columns) in 8 bits, small, row 0 at the top, as the network will get it."""
    pixels = radiograph.pixels
    step = max(1, max(pixels.shape) // PREVIEW_PIXELS)
    small = np.rot90(pixels[::step, ::step], -(turned_deg // 90))
    small = small[:, ::-1] if flipped else small
    low, high = (float(value) for value in np.percentile(small, PREVIEW_PERCENTILES))
    grey = np.clip((small - low) / (high - low if high > low else 1.0), 0.0, 1.0)
    return np.asarray(np.rint(255 * (1 - grey if inverted else grey)), dtype=np.uint8)


def export_radiograph(node, role: Role, folder: Path) -> Path:
    """Return a file with this radiograph for the worker: the original, or the node's pixels written to ``folder``."""
    from TomoRayLib.images.writing import write_image_2d

    problem = problem_of(node, role)
    if problem is not None:
        raise InputError(problem)
    radiograph, path = _read(node)
    if path is not None:
        return path
    written = folder / f"{role.name.lower()}.nrrd"
    write_image_2d(written, radiograph.pixels, radiograph.pixel_spacing_mm, radiograph.metadata)
    return written
