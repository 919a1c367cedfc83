"""Geometry of a pair of radiographs: from a file, the image's header, a preset, or the user's own numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.anatomy.grey_levels import vertebra_mask
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import Beam, ConeBeam, ParallelBeam, SlotScan
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.grid import Grid, Vector3
from TomoRayLib.geometry.presets import PRESETS
from TomoRayLib.geometry.view_json import VIEW_KEY, view_from_dict, view_to_dict
from TomoRayLib.geometry.views import Biplanar, View
from TomoRayLib.images.types import Radiograph, Volume
from TomoRayLib.synthesis.settings import GeometryOptions
from TomoRayLib.weights import ModelEntry

PARALLEL_HAS_NO_DISTANCES = "A parallel beam has neither SAD nor SID; leave them out or choose another geometry."
DEFAULT_PRESET = "c-arm"
LATERAL_ANGLE_DEG = 90.0
SEEN_SHARE = 0.85  # training collimates up to a sixth of the height or width away


def rendering_views(options: GeometryOptions, isocenter_mm: Vector3) -> Biplanar:
    """Return the two views to render from a CT: the geometry file, or the preset (C-arm) about ``isocenter_mm``.

    Every number that the options give takes the place of the view's own.

    Args:
        options: The user's geometry.
        isocenter_mm: (x, y, z) in LPS for a preset; a geometry file has its own.

    Raises:
        InputError: For a geometry file that cannot be read, and for numbers that no view can have.
    """
    if options.file is not None:
        pair = read_views(options.file)  # with its own isocentre
    else:
        pair = PRESETS[options.preset or DEFAULT_PRESET](isocenter_mm)
    return Biplanar(_changed(pair.ap, options), _changed(pair.lateral, options))


def radiograph_views(ap: Radiograph, lateral: Radiograph, options: GeometryOptions) -> tuple[Biplanar, tuple[str, ...]]:
    """Return the geometry of two radiographs, and sentences that say where each number came from.

    Each number is the option's, else that of the geometry file, of the view that TomoRay wrote into the image, of the
    DICOM header, of the preset, in this order.

    Args:
        ap: The AP radiograph.
        lateral: The lateral radiograph.
        options: The user's geometry.

    Returns:
        Both views, with the source of the rays and the detector in LPS mm, and the sentences.

    Raises:
        InputError: If the pixel spacing is unknown, or a view does not have the size of its image.
    """
    notes: list[str] = []
    pair = read_views(options.file) if options.file else None
    views = []
    for name, radiograph, angle in (("AP", ap, 0.0), ("lateral", lateral, LATERAL_ANGLE_DEG)):
        if pair is not None:
            view = _changed(pair.ap if name == "AP" else pair.lateral, options)
            notes.append(f"{name}: geometry from {Path(str(options.file)).name}{_said(options)}.")
        elif VIEW_KEY in radiograph.metadata:
            view = _changed(stored_view(radiograph, name), options)
            notes.append(f"{name}: geometry from the image file (written by TomoRay){_said(options)}.")
        else:
            view, origins = _from_header(radiograph, options, name, angle)
            notes.append(f"{name}: {', '.join(origins)}.")
        if view.detector.shape != radiograph.pixels.shape:
            raise InputError(
                f"{name} radiograph: expected the {view.detector.rows} x {view.detector.columns} pixels of its "
                f"geometry, got {radiograph.pixels.shape[0]} x {radiograph.pixels.shape[1]}; give its own geometry.",
                "geometry",
            )
        views.append(view)
    return Biplanar(*views), tuple(notes)


def read_views(path: str) -> Biplanar:
    """Read a pair of views from a JSON file: ``{"ap": {...}, "lateral": {...}}``. Raises InputError."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        return Biplanar(view_from_dict(content["ap"]), view_from_dict(content["lateral"]))
    except FileNotFoundError:
        raise InputError(
            f"Expected the geometry to be one of {sorted(PRESETS)} or a JSON file, got {path!r}, which does not exist.",
            "geometry",
        ) from None
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"The geometry file {path} must hold the views 'ap' and 'lateral' (see docs/geometry.md): {error}",
            "geometry",
        ) from None


def views_to_dict(views: Biplanar) -> dict[str, Any]:
    """Return both views as plain numbers, as ``read_views`` reads them."""
    return {"ap": view_to_dict(views.ap), "lateral": view_to_dict(views.lateral)}


def oriented(
    pixels: NDArray[np.float32], view: View, mirrored: bool, inverted: bool
) -> tuple[NDArray[np.float32], View]:
    """Return a radiograph with bone bright and unmirrored, and its view.

    Left and right are exchanged if ``mirrored``, dark and bright if ``inverted``. An off-centre detector changes sides
    with its image.
    """
    result = pixels
    if mirrored:
        result = result[:, ::-1]
        down_mm, right_mm = view.detector.offset_mm
        view = replace(view, detector=replace(view.detector, offset_mm=(down_mm, -right_mm)))
    if inverted:
        result = result.max() + result.min() - result
    return np.ascontiguousarray(result, dtype=np.float32), view


def geometry_notes(views: Biplanar, entry: ModelEntry) -> list[str]:
    """Return a warning for each view outside the geometry that the model was trained on.

    A detector that does not see the whole cube of the model is one of them. Raises InputError for a slot scan, whose
    rays the network cannot use.
    """
    for view in (views.ap, views.lateral):
        if isinstance(view.beam, SlotScan):
            raise InputError(
                "Expected cone or parallel beams, got a slot scan, which the network cannot read yet; it can only be "
                "rendered from a CT. Give the radiographs' geometry as a cone or parallel beam.",
                "geometry",
            )
    notes = []
    low, high = entry.geometry_range["sad_mm"]
    largest_deg = 3 * entry.geometry_range["angle_sd_deg"]
    corners = np.append(Grid.cube(views.isocenter_mm, entry.fov_mm, 2).corners_mm(), np.ones((8, 1)), axis=1)
    for name, view, angle_deg in (("AP", views.ap, 0.0), ("lateral", views.lateral, LATERAL_ANGLE_DEG)):
        beam = view.beam
        if isinstance(beam, ConeBeam) and not low <= beam.sad_mm <= high:
            notes.append(f"{name}: SAD {beam.sad_mm:.0f} mm; the model was trained on {low:.0f} to {high:.0f} mm.")
        off_deg = max(abs((view.gantry_angle_deg - angle_deg + 180) % 360 - 180), abs(view.tilt_deg))
        if off_deg > largest_deg:
            notes.append(f"{name}: {off_deg:.0f} degrees off its nominal direction; the model was trained on a few.")
        column, row, depth = view.projection_matrix() @ corners.T
        seen = np.array(
            [np.ptp(np.clip(p / depth, -0.5, n - 0.5)) for p, n in zip((row, column), view.detector.shape, strict=True)]
        )
        whole = np.array([np.ptp(row / depth), np.ptp(column / depth)])
        share = float((seen / whole).min())
        if share < SEEN_SHARE:
            notes.append(
                f"{name}: the detector sees {share:.0%} of the {entry.fov_mm:.0f} mm cube's shadow; the rest is "
                "guessed."
            )
    return notes


def _said(options: GeometryOptions) -> str:
    """Name the options that change a geometry read from a file, and a preset that was not needed."""
    names = ("sad_mm", "sid_mm", "pixel_spacing_mm", "isocenter_mm")
    given = [name.removesuffix("_mm").replace("_", " ") for name in names if getattr(options, name) is not None]
    changed = f", except the {' and '.join(given)} given" if given else ""
    return changed + (f"; the preset {options.preset} was not needed" if options.preset else "")


def _given(option: float | None, otherwise: float) -> float:
    return otherwise if option is None else option


def stored_view(radiograph: Radiograph, name: str) -> View:
    """Return the view that TomoRay wrote into an image file. Raises InputError if it cannot be read."""
    try:
        return view_from_dict(json.loads(radiograph.metadata[VIEW_KEY]))
    except ValueError as error:
        raise InputError(f"{name} radiograph: the geometry in its file cannot be read ({error}).") from None


def _changed(view: View, options: GeometryOptions) -> View:
    """Return a view with the user's numbers in place of its own."""
    beam = view.beam
    if not isinstance(beam, ParallelBeam):
        beam = type(beam)(_given(options.sad_mm, beam.sad_mm), _given(options.sid_mm, beam.sid_mm))
    elif options.sad_mm is not None or options.sid_mm is not None:
        raise InputError(PARALLEL_HAS_NO_DISTANCES, "sad_mm")
    detector = view.detector
    if options.size is not None:
        detector = Detector(*options.size, detector.pixel_spacing_mm, detector.offset_mm)
    if options.pixel_spacing_mm is not None:
        detector = replace(detector, pixel_spacing_mm=options.pixel_spacing_mm)
    isocenter = options.isocenter_mm or view.isocenter_mm
    return replace(view, beam=beam, detector=detector, isocenter_mm=isocenter)


@dataclass(frozen=True)
class StatedGeometry:
    """Geometry of one radiograph, and where each number came from ("header", "preset", "given", ...).

    ``pixel_spacing_mm`` (row, column) at the detector is None if nothing states it; a parallel beam has neither SAD
    nor SID, and empty origins for them.
    """

    beam: Beam
    pixel_spacing_mm: tuple[float, float] | None
    sid_origin: str = ""
    sad_origin: str = ""
    spacing_origin: str = ""


def stated_geometry(radiograph: Radiograph, options: GeometryOptions) -> StatedGeometry:
    """Return beam and pixel spacing from the options, else the header, else the preset.

    Raises InputError for distances that no beam can have, and for distances given for a parallel beam.
    """
    header = radiograph.header
    preset_beam = PRESETS[options.preset or DEFAULT_PRESET]().ap.beam
    if not isinstance(preset_beam, ConeBeam) and header.sid_mm is not None:  # parallel rays have no such distance
        preset_beam = PRESETS[DEFAULT_PRESET]().ap.beam
    beam, sid_from, sad_from = preset_beam, "", ""
    if isinstance(preset_beam, ConeBeam):
        sid_mm, sid_from = _first((options.sid_mm, "given"), (header.sid_mm, "header"), (preset_beam.sid_mm, "preset"))
        by_magnification = sid_mm / header.magnification if header.magnification else None
        scaled_to_sid = "preset, scaled to the SID" if sid_from != "preset" else "preset"
        sad_mm, sad_from = _first(
            (options.sad_mm, "given"),
            (header.sad_mm, "header"),
            (by_magnification, "header's magnification"),
            (preset_beam.sad_mm * sid_mm / preset_beam.sid_mm, scaled_to_sid),
        )
        beam = ConeBeam(sad_mm, sid_mm)
    elif options.sad_mm is not None or options.sid_mm is not None:
        raise InputError(PARALLEL_HAS_NO_DISTANCES, "sad_mm")
    spacing, spacing_from = options.pixel_spacing_mm, "given"
    if spacing is None and radiograph.pixel_spacing_mm is not None:
        spacing, spacing_from = radiograph.pixel_spacing_mm, "header"
        if header.spacing_is_at_patient:
            spacing = (spacing[0] * beam.magnification, spacing[1] * beam.magnification)
            spacing_from = "header, calibrated at the patient, times the magnification"
    return StatedGeometry(beam, spacing, sid_from, sad_from, spacing_from if spacing is not None else "")


def _from_header(
    radiograph: Radiograph, options: GeometryOptions, name: str, angle_deg: float
) -> tuple[View, list[str]]:
    """Return a view from the options, else the header, else the preset, and the origin of each number."""
    if options.size is not None:
        raise InputError("A detector size is for rendering a CT; a radiograph has its own. Leave the size out.", "size")
    try:
        stated = stated_geometry(radiograph, options)
    except InputError as error:
        if str(error) == PARALLEL_HAS_NO_DISTANCES:
            raise
        raise InputError(f"{name} radiograph: {error}", error.field) from None
    spacing = stated.pixel_spacing_mm
    if spacing is None:
        raise InputError(
            f"{name} radiograph: expected a pixel spacing, but the file has none; give the size of a pixel at the "
            "detector in mm.",
            "pixel_spacing_mm",
        )
    origins = []
    if isinstance(stated.beam, ConeBeam):
        origins.append(f"SID {stated.beam.sid_mm:.0f} mm ({stated.sid_origin})")
        origins.append(f"SAD {stated.beam.sad_mm:.0f} mm ({stated.sad_origin})")
    origins.append(f"pixel spacing {spacing[0]:.3g} x {spacing[1]:.3g} mm ({stated.spacing_origin})")
    rows, columns = radiograph.pixels.shape
    try:
        detector = Detector(rows, columns, spacing)
        view = View(stated.beam, detector, angle_deg, isocenter_mm=options.isocenter_mm or (0.0, 0.0, 0.0))
    except InputError as error:
        raise InputError(f"{name} radiograph: {error}", error.field) from None
    return view, origins


def _first(*choices: tuple[float | None, str]) -> tuple[float, str]:
    return next((value, origin) for value, origin in choices if value is not None)


def default_isocenter_mm(ct: Volume, labels: Volume | None) -> tuple[Vector3, str]:
    """Return the isocentre of a CT if none is given, (x, y, z) in LPS, and what it is the middle of."""
    if labels is None:
        return ct.grid.center_mm, "the CT's centre"
    return vertebrae_center_mm(labels), "the middle of the labelled vertebrae"


def vertebrae_center_mm(labels: Volume) -> Vector3:
    """Return the middle of the bounding box of all vertebrae, (x, y, z) in LPS."""
    mask = vertebra_mask(labels.voxels)
    ends = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))[[0, -1]] for axis in (2, 1, 0)]
    corners = np.array([[i, j, k, 1] for i in ends[0] for j in ends[1] for k in ends[2]], dtype=float)
    world = (labels.grid.index_to_world @ corners.T).T[:, :3]
    x, y, z = ((world.min(axis=0) + world.max(axis=0)) / 2).tolist()
    return (x, y, z)
