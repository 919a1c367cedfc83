"""Geometry of a pair of radiographs: from a file, the image's header, a preset, or the user's own numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.anatomy.grey_levels import vertebra_mask
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import ParallelBeam, SlotScan
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.grid import Vector3
from TomoRayLib.geometry.presets import PRESETS
from TomoRayLib.geometry.view_json import VIEW_KEY
from TomoRayLib.geometry.views import Biplanar, View
from TomoRayLib.images.types import Radiograph, RadiographHeader, Volume
from TomoRayLib.synthesis.calibrated_views import CalibratedPair
from TomoRayLib.synthesis.geometry_files import stated_origins, views_of_file
from TomoRayLib.synthesis.given_geometry import (
    given_place,
    place_contradictions,
    placed_as_given,
    said_of_numbers,
    said_of_place,
    with_given_numbers,
)
from TomoRayLib.synthesis.settings import Arrangement, GeometryOptions
from TomoRayLib.synthesis.stated_geometry import (
    DEFAULT_PRESET,
    PARALLEL_HAS_NO_DISTANCES,
    SIZES_FOLLOW,
    StatedGeometry,
    check_plausible,
    stated_geometry,
)
from TomoRayLib.synthesis.stored_views import common_center, stored_view

LATERAL_ANGLE_DEG = 90.0
SAME_SCALE = 0.05  # relative difference of magnifications
LEAST_ANGLE_DEG = 45.0  # between the lines of AP and lateral


def rendering_views(options: GeometryOptions, isocenter_mm: Vector3) -> Biplanar:
    """Return the two views to render from a CT: the geometry file, or the preset (C-arm) about ``isocenter_mm``.

    Every number that the options give takes the place of the view's own.

    Args:
        options: The user's geometry.
        isocenter_mm: (x, y, z) in LPS for a preset; a geometry file has its own.

    Raises:
        InputError: For a geometry file that cannot be read, and for numbers that no view can have.
    """
    pair = views_of_file(options) or PRESETS[options.preset or DEFAULT_PRESET](isocenter_mm)
    if options.has_matrices:
        raise InputError(
            "Expected no projection matrix of a radiograph with a CT, from which both are rendered; leave it out.",
            "ap_matrix_file" if options.ap_matrix_file is not None else "lateral_matrix_file",
        )
    ap = with_given_numbers(pair.ap, options.for_view("AP"))
    lateral = with_given_numbers(pair.lateral, options.for_view("lateral"))
    return replace(pair, ap=placed_as_given(ap, "AP", options), lateral=placed_as_given(lateral, "lateral", options))


@dataclass(frozen=True)
class PairGeometry:
    """The views of two radiographs, sentences on where each number came from, and on what the user should check.

    ``scale_is_unsure`` is True if the SAD of a view is a guess and the two differ in magnification by more than 5 %.
    """

    views: Biplanar
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    scale_is_unsure: bool = False


def radiograph_views(ap: Radiograph, lateral: Radiograph, options: GeometryOptions) -> tuple[Biplanar, tuple[str, ...]]:
    """Return the geometry of two radiographs, and sentences that say where each number came from.

    Args:
        ap: The AP radiograph.
        lateral: The lateral radiograph.
        options: The user's geometry.

    Returns:
        Both views, with the source of the rays and the detector in LPS mm, and the sentences, warnings last.

    Raises:
        InputError: As ``pair_geometry`` does.
    """
    geometry = pair_geometry(ap, lateral, options)
    return geometry.views, (*geometry.notes, *geometry.warnings)


def pair_geometry(
    ap: Radiograph,
    lateral: Radiograph,
    options: GeometryOptions,
    calibrated: CalibratedPair | None = None,
    how: Arrangement | None = None,
) -> PairGeometry:
    """Return the geometry of two radiographs, with notes and warnings.

    Each number is the option's, else that of the geometry file, of the view that TomoRay wrote into the image, of the
    DICOM header, of the preset, in this order. A ``calibrated`` pair has the views of its projection matrices. ``how``
    says which images are still to be turned.

    Raises InputError if the pixel spacing is unknown or no radiograph's, numbers contradict each other, or a view does
    not have the size of its image.
    """
    pair = views_of_file(options)
    if calibrated is not None:
        center_mm: Vector3 | None = calibrated.center_mm
    else:
        center_mm = common_center(ap, lateral, options) if pair is None else pair.center_mm
    read = []
    for name, radiograph, nominal_deg in (("AP", ap, 0.0), ("lateral", lateral, LATERAL_ANGLE_DEG)):
        own = options.for_view(name)
        sideways = how is not None and how.lies_sideways(name)
        if calibrated is not None and name in calibrated.views:
            read.append(_Read(calibrated.views[name], ()))
        elif pair is not None:
            view = with_given_numbers(pair.ap if name == "AP" else pair.lateral, own)
            read.append(_Read(view, (f"{name}: {_said_of_file(view, name, options)}{said_of_numbers(own)}.",)))
        elif VIEW_KEY in radiograph.metadata:
            stored = stored_view(radiograph, name)
            note = f"{name}: geometry from the image file (written by TomoRay){said_of_numbers(own)}."
            doubts = place_contradictions(stored, name, options, sideways)
            read.append(_Read(with_given_numbers(stored, own), (note,), doubts))
        else:
            read.append(_from_header(radiograph, own, name, nominal_deg))
        read[-1] = replace(
            read[-1],
            view=placed_as_given(read[-1].view, name, options, sideways),
            notes=(*read[-1].notes, *said_of_place(name, options)),
            states_angles=read[-1].states_angles and given_place(name, options)[1] is None,
        )
        _check_view(read[-1].view, radiograph, name)
    first, second = _apart(*read)
    views = Biplanar(first.view, second.view, center_mm)
    notes, warnings = (*first.notes, *second.notes), (*first.warnings, *second.warnings)
    if calibrated is not None:
        notes, warnings = (*calibrated.notes, *notes), (*calibrated.warnings, *warnings)
    larger = first.view.beam.magnification / second.view.beam.magnification
    unsure = (first.guesses_sad or second.guesses_sad) and abs(math.log(larger)) > SAME_SCALE
    return PairGeometry(views, notes, warnings, unsure)


@dataclass(frozen=True)
class _Read:
    """A view as it was read, notes and warnings on it, whether its header states the angles, and its SAD is guessed."""

    view: View
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    states_angles: bool = False
    guesses_sad: bool = False


def _check_view(view: View, radiograph: Radiograph, name: str) -> None:
    """Raise InputError for a view of another size than its image, and for one that no radiograph has."""
    if view.detector.shape != radiograph.pixels.shape:
        raise InputError(
            f"{name} radiograph: expected the {view.detector.rows} x {view.detector.columns} pixels of its "
            f"geometry, got {radiograph.pixels.shape[0]} x {radiograph.pixels.shape[1]}; give its own geometry.",
            "geometry",
        )
    with _about(name):
        check_plausible(view)


def _apart(ap: _Read, lateral: _Read) -> tuple[_Read, _Read]:
    """Both views; at their usual angles, with a warning, if the headers put both sources on nearly the same line."""
    cosine = min(1.0, abs(float(ap.view.to_source @ lateral.view.to_source)))
    angle_deg = math.degrees(math.acos(cosine))
    if angle_deg >= LEAST_ANGLE_DEG or not (ap.states_angles and lateral.states_angles):
        return ap, lateral
    warning = (
        f"The headers' angles put AP and lateral {angle_deg:.0f} deg apart, not about 90: they were not used, but 0 "
        "and 90 deg. Check that the two are an AP and a lateral radiograph, or give the geometry in a file.",
    )
    straight = [
        replace(read, view=replace(read.view, gantry_angle_deg=nominal_deg, tilt_deg=0.0))
        for read, nominal_deg in ((ap, 0.0), (lateral, LATERAL_ANGLE_DEG))
    ]
    return straight[0], replace(straight[1], warnings=(*lateral.warnings, *warning))


@contextmanager
def _about(name: str) -> Iterator[None]:
    """Put the radiograph's name before the message of an InputError."""
    try:
        yield
    except InputError as error:
        if str(error) == PARALLEL_HAS_NO_DISTANCES:
            raise
        raise InputError(f"{name} radiograph: {error}", error.field) from None


def _from_header(radiograph: Radiograph, options: GeometryOptions, name: str, nominal_deg: float) -> _Read:
    """Return a view from the options, else the header, else the preset, and the origin of each number."""
    if options.size is not None:
        raise InputError("A detector size is for rendering a CT; a radiograph has its own. Leave the size out.", "size")
    with _about(name):
        stated = stated_geometry(radiograph, options, nominal_deg)
        if stated.pixel_spacing_mm is None:
            raise InputError(
                "expected a pixel spacing, but the file has none; give the size of a pixel at the detector in mm.",
                "pixel_spacing_mm",
            )
        rows, columns = radiograph.pixels.shape
        view = View(
            stated.beam,
            Detector(rows, columns, stated.pixel_spacing_mm, stated.offset_mm),
            stated.gantry_angle_deg,
            stated.tilt_deg,
            stated.roll_deg,
            options.isocenter_mm or (0.0, 0.0, 0.0),
        )
    return _Read(
        view,
        (f"{name}: {', '.join(_origins(stated, radiograph.header))}.", *(f"{name}: {note}" for note in stated.notes)),
        tuple(f"{name}: {warning}" for warning in (*stated.warnings, *_all_guessed(radiograph, options, stated))),
        stated.angle_origin != "",
        stated.sad_origin.startswith("preset"),
    )


def _all_guessed(radiograph: Radiograph, options: GeometryOptions, stated: StatedGeometry) -> tuple[str, ...]:
    """A warning for a picture whose SID and SAD are the default's, because neither file nor user says a word."""
    if radiograph.header.modality is not None or options.preset is not None or stated.sid_origin != "preset":
        return ()
    magnification = f"magnification {stated.beam.magnification:.2f}, preset {DEFAULT_PRESET}"
    return (f"SID and SAD are a guess ({magnification}): nothing states them. {SIZES_FOLLOW}",)


def _said_of_file(view: View, name: str, options: GeometryOptions) -> str:
    """Where the numbers of a geometry file's view come from: number by number if it says so."""
    origins = stated_origins(str(options.file)).get(name.lower(), {})
    if not origins:
        return f"geometry from {Path(str(options.file)).name}"
    row_mm, column_mm = view.detector.pixel_spacing_mm
    texts = {
        "Spacing": f"pixel spacing {row_mm:.3g} x {column_mm:.3g} mm",
        "Angle": f"gantry angle {view.gantry_angle_deg + 0.0:.1f} deg",
    }
    if not isinstance(view.beam, ParallelBeam):
        texts = {"Sid": f"SID {view.beam.sid_mm:.0f} mm", "Sad": f"SAD {view.beam.sad_mm:.0f} mm", **texts}
    down_mm, right_mm = view.detector.offset_mm
    if down_mm or right_mm:
        texts["Down"] = f"detector {down_mm:.1f} mm down"
        texts["Right"] = f"{right_mm:.1f} mm right"
    said = [f"{text} ({origins[key]})" if origins.get(key) else text for key, text in texts.items()]
    return ", ".join(["slot scan", *said] if isinstance(view.beam, SlotScan) else said)


def _origins(stated: StatedGeometry, header: RadiographHeader) -> list[str]:
    """Each number of a radiograph's geometry, with its origin."""
    origins = []
    if isinstance(stated.beam, SlotScan):
        origins.append("slot scan")
    if not isinstance(stated.beam, ParallelBeam):
        origins.append(f"SID {stated.beam.sid_mm:.0f} mm ({stated.sid_origin})")
        origins.append(f"SAD {stated.beam.sad_mm:.0f} mm ({stated.sad_origin})")
    if stated.pixel_spacing_mm is not None:
        row_mm, column_mm = stated.pixel_spacing_mm
        origins.append(f"pixel spacing {row_mm:.3g} x {column_mm:.3g} mm ({stated.spacing_origin})")
    if stated.angle_origin:
        angles = (("gantry", stated.gantry_angle_deg), ("tilt", stated.tilt_deg), ("roll", stated.roll_deg))
        shown = " ".join(f"{word} {angle_deg + 0.0:.1f}" for word, angle_deg in angles)
        by_positioner = header.modality != "RTIMAGE" and header.primary_angle_deg is not None
        origin = f"{stated.angle_origin}'s positioner angles" if by_positioner else stated.angle_origin
        origins.append(f"angles {shown} deg ({origin})")
    if any(abs(value) > 0.05 for value in stated.offset_mm):
        down_mm, right_mm = stated.offset_mm
        origins.append(f"detector {down_mm:.1f} mm down, {right_mm:.1f} mm right (header)")
    return origins


def oriented(
    pixels: NDArray[np.float32], view: View, mirrored: bool, inverted: bool, turned_deg: int = 0
) -> tuple[NDArray[np.float32], View]:
    """Return a radiograph upright, unmirrored and with bone bright, and its view.

    The image is first turned clockwise by ``turned_deg`` (0, 90, 180 or 270), then left and right are exchanged if
    ``mirrored``, dark and bright if ``inverted``. The detector's size, spacing and offset turn and change sides with
    the image; the rays stay as the view has them.
    """
    result = pixels
    for _ in range(turned_deg // 90 % 4):
        result = np.rot90(result, -1)
        detector, (down_mm, right_mm) = view.detector, view.detector.offset_mm
        spacing_mm = (detector.pixel_spacing_mm[1], detector.pixel_spacing_mm[0])
        turned = Detector(detector.columns, detector.rows, spacing_mm, (right_mm, -down_mm))
        view = replace(view, detector=turned)
    if mirrored:
        result = result[:, ::-1]
        down_mm, right_mm = view.detector.offset_mm
        view = replace(view, detector=replace(view.detector, offset_mm=(down_mm, -right_mm)))
    if inverted:
        result = result.max() + result.min() - result
    return np.ascontiguousarray(result, dtype=np.float32), view


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
