"""Geometry of one radiograph: each number from the user, else the file's header, else a preset; with its origin.

Magnification at the isocentre is what a wrong SAD changes, and with it the size of everything. A header can state it
three times: by SID and SAD, by a spacing calibrated at the patient, and by Estimated Radiographic Magnification Factor.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import Beam, ConeBeam, ParallelBeam, SlotScan
from TomoRayLib.geometry.presets import PRESETS
from TomoRayLib.geometry.views import View
from TomoRayLib.images.types import SLOT_SCAN, Radiograph, RadiographHeader
from TomoRayLib.synthesis.settings import GeometryOptions
from TomoRayLib.synthesis.spacing_warnings import STAND_MODALITIES, spacing_warnings
from TomoRayLib.synthesis.stated_pose import stated_pose

PARALLEL_HAS_NO_DISTANCES = "A parallel beam has neither SAD nor SID; leave them out or choose another geometry."
DEFAULT_PRESET = "c-arm"
STAND_PRESET = "upright"
PARALLEL_PRESET = "parallel"
EOS_PRESET = "eos"
_PARALLEL_STANDS_IN = (
    "As you chose, it is taken as parallel rays, and its pixel spacing as that in the patient: across the body the fan "
    "magnifies what lies nearer to the source. Check the sizes."
)
SAME_MAGNIFICATION = 0.05  # relative difference that rounding and the choice of the plane explain
CONTRADICTION = 0.2  # from here on one of two readings must be wrong, not only rough
BUCKY_MAGNIFICATION = 1.08  # below it the middle of a trunk would lie within 13 cm of a detector 1.8 m away
SPACINGS_MM = (0.03, 5.0)  # mammography has 0.05 mm; 0.014 and 17 mm are a slip of the unit or dots per inch
# At the isocentre: less than a vertebra; twice the widest detector; EOS sees 1.8 m.
SMALLEST_FIELD_MM, LARGEST_WIDTH_MM, LARGEST_FIELD_MM = 15.0, 1000.0, 2000.0
SHORTEST_SID_MM, LARGEST_MAGNIFICATION = 300.0, 3.0  # 100 to 200 are centimetres
SIZES_FOLLOW = "All sizes follow it: give SID and SAD, or choose the preset."


@dataclass(frozen=True)
class StatedGeometry:
    """Geometry of one radiograph, and where each number came from ("header", "preset", "given", ...).

    ``pixel_spacing_mm`` (row, column) at the detector is None if nothing states it; a parallel beam has neither SAD
    nor SID, and empty origins for them. Angles, offset (down, right) and their origin are as in ``View``; the origin is
    empty for a straight view that nothing states. ``notes`` say what was done, ``warnings`` what the user should check.
    """

    beam: Beam
    pixel_spacing_mm: tuple[float, float] | None
    sid_origin: str = ""
    sad_origin: str = ""
    spacing_origin: str = ""
    gantry_angle_deg: float = 0.0
    tilt_deg: float = 0.0
    roll_deg: float = 0.0
    offset_mm: tuple[float, float] = (0.0, 0.0)
    angle_origin: str = ""
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Distances:
    """A beam, the origins of SID and SAD, and what the user should check."""

    beam: Beam
    sid_origin: str = ""
    sad_origin: str = ""
    warnings: tuple[str, ...] = ()


def stated_geometry(radiograph: Radiograph, options: GeometryOptions, nominal_deg: float = 0.0) -> StatedGeometry:
    """Return the geometry of a radiograph from the options, else the header, else the preset.

    Args:
        radiograph: The radiograph as it was read, upright.
        options: The user's geometry.
        nominal_deg: The gantry angle of its role, 0 (AP) or 90 (lateral), if the header states none.

    Raises:
        InputError: For distances that no beam can have or that contradict each other, for an SAD without SID, for
            numbers of the header that cannot be right, and for distances given for a parallel beam.
    """
    header = radiograph.header
    _check_refused(header, options)
    distances = _distances(header, options, nominal_deg)
    spacing, spacing_origin = options.pixel_spacing_mm, "given"
    if spacing is None and SLOT_SCAN in header.refused:
        spacing, spacing_origin = _slot_spacing(radiograph, distances.beam)
    elif spacing is None and radiograph.pixel_spacing_mm is not None:
        spacing, spacing_origin = radiograph.pixel_spacing_mm, "header"
        if header.spacing_is_at_patient:
            down, right = distances.beam.magnifications
            spacing = (spacing[0] * down, spacing[1] * right)
            spacing_origin = "header, calibrated at the patient, times the magnification"
    pose = stated_pose(header, nominal_deg)
    return StatedGeometry(
        distances.beam,
        spacing,
        distances.sid_origin,
        distances.sad_origin,
        spacing_origin if spacing is not None else "",
        pose.gantry_angle_deg,
        pose.tilt_deg,
        pose.roll_deg,
        header.detector_offset_mm or (0.0, 0.0),
        pose.origin,
        pose.notes,
        (
            *distances.warnings,
            *pose.warnings,
            *spacing_warnings(header, radiograph.pixels.shape, spacing, distances.beam),
        ),
    )


def _slot_spacing(radiograph: Radiograph, beam: Beam) -> tuple[tuple[float, float] | None, str]:
    """(row, column) at the detector from a slot scan's spacing, which is that at the isocentre, and its origin."""
    spacing = radiograph.header.patient_pixel_spacing_mm or radiograph.pixel_spacing_mm
    if spacing is None or isinstance(beam, ParallelBeam):
        return spacing, "header"
    down, right = beam.magnifications
    return (spacing[0] * down, spacing[1] * right), "header, at the isocentre, times the magnification along rows"


def check_plausible(view: View) -> None:
    """Raise InputError for a distance, a pixel or a field that no radiograph of a spine has."""
    if not isinstance(view.beam, ParallelBeam):
        _check_distances(view.beam)
    spacing = view.detector.pixel_spacing_mm
    low_mm, high_mm = SPACINGS_MM
    if not (low_mm <= min(spacing) and max(spacing) <= high_mm):
        raise InputError(
            f"expected pixels of {low_mm:g} to {high_mm:g} mm, got {spacing[0]:.3g} x {spacing[1]:.3g} mm; give the "
            "size of a pixel at the detector in mm.",
            "pixel_spacing_mm",
        )
    rows_mm, columns_mm = np.divide(np.multiply(view.detector.shape, spacing), view.beam.magnifications).tolist()
    sides_mm = sorted((rows_mm, columns_mm))
    if sides_mm[1] < SMALLEST_FIELD_MM or sides_mm[0] > LARGEST_WIDTH_MM or sides_mm[1] > LARGEST_FIELD_MM:
        raise InputError(
            f"expected a field that shows a spine, {SMALLEST_FIELD_MM:g} mm to {LARGEST_FIELD_MM / 1000:g} m high and "
            f"at most {LARGEST_WIDTH_MM / 1000:g} m wide at the isocentre, got {rows_mm:.0f} x {columns_mm:.0f} mm "
            f"from {view.detector.rows} x {view.detector.columns} pixels of {spacing[0]:.3g} x {spacing[1]:.3g} mm; "
            "give the size of a pixel at the detector in mm.",
            "pixel_spacing_mm",
        )


def _check_distances(beam: ConeBeam | SlotScan) -> None:
    if beam.sid_mm < SHORTEST_SID_MM:
        raise InputError(
            f"expected an SID of at least {SHORTEST_SID_MM:g} mm, got {beam.sid_mm:g} mm; give it in millimetres "
            f"({beam.sid_mm:g} cm are {10 * beam.sid_mm:g} mm).",
            "sid_mm",
        )
    if beam.magnification > LARGEST_MAGNIFICATION:
        raise InputError(
            f"expected an SAD of at least a third of the SID, got SAD {beam.sad_mm:g} mm and SID {beam.sid_mm:g} mm, a "
            f"magnification of {beam.magnification:.1f}; give both in millimetres.",
            "sad_mm",
        )


def _check_refused(header: RadiographHeader, options: GeometryOptions) -> None:
    """Raise InputError for a number of the header that cannot be right, unless the user gives it."""
    slot_scan = header.refused.get(SLOT_SCAN)
    if slot_scan is not None and isinstance(PRESETS[options.preset or EOS_PRESET]().ap.beam, ConeBeam):
        slots = " or ".join(name for name, make in PRESETS.items() if isinstance(make().ap.beam, SlotScan))
        raise InputError(
            f"{slot_scan[:-1]}; got the preset {options.preset}: choose none, {slots}, or give the geometry in a file.",
            "geometry",
        )
    unused = {SLOT_SCAN}
    if slot_scan is not None:
        unused.add("pixel_spacing_mm")  # its two spacings differ across the body alone
        unused |= {"sid_mm", "sad_mm"} if options.preset == PARALLEL_PRESET else set()
    for field, sentence in header.refused.items():
        if field in unused:
            continue
        if getattr(options, field, None) is None:
            cure = "give the geometry in a file" if field == "geometry" else f"give {_word(field)} yourself"
            raise InputError(f"{sentence[:-1]}; {cure}.", field)


def _word(field: str) -> str:
    return {"sid_mm": "the SID", "sad_mm": "the SAD", "pixel_spacing_mm": "the pixel spacing at the detector"}[field]


def _distances(header: RadiographHeader, options: GeometryOptions, nominal_deg: float) -> _Distances:
    """SID and SAD from the options, else the header, else the preset."""
    preset = options.preset or assumed_preset(header)
    pair = PRESETS[preset]()
    beam = pair.lateral.beam if nominal_deg else pair.ap.beam
    if isinstance(beam, SlotScan) or (SLOT_SCAN in header.refused and options.preset is None):
        return _slot_distances(header, options, beam if options.preset is not None else None)
    if not isinstance(beam, ConeBeam):
        if options.sad_mm is not None or options.sid_mm is not None:
            raise InputError(PARALLEL_HAS_NO_DISTANCES, "sad_mm")
        if SLOT_SCAN in header.refused:
            return _Distances(beam, warnings=(f"{header.refused[SLOT_SCAN]} {_PARALLEL_STANDS_IN}",))
        if header.sid_mm is None:  # parallel rays have no such distance
            return _Distances(beam)
        return _distances(header, replace(options, preset=None), nominal_deg)
    sid_mm, sid_origin = _first((options.sid_mm, "given"), (header.sid_mm, "header"))
    magnification, by, warnings = _magnification(header, options, sid_mm)
    sad_mm, sad_origin = _first((options.sad_mm, "given"), (header.sad_mm, "header"))
    if magnification is not None and sid_mm is not None and by != "header" and options.sad_mm is None:
        sad_mm, sad_origin = sid_mm / magnification, by
    if sid_mm is None and sad_mm is not None:
        if magnification is not None:
            sid_mm, sid_origin = sad_mm * magnification, by
        elif options.preset is None or sad_mm >= beam.sid_mm:
            raise _sid_missing(header, options, sad_mm)
    if sid_mm is None:
        sid_mm, sid_origin = beam.sid_mm, "preset"
    if sad_mm is None:
        sad_mm, sad_origin = sid_mm / (magnification or beam.magnification), by
        if magnification is None:
            sad_origin = "preset" if sid_origin == "preset" else "preset, scaled to the SID"
            warnings += _guess(header, options, preset, sid_mm, sid_origin, sad_mm)
    _check_order(header, sad_mm, sad_origin, sid_mm, sid_origin)
    return _Distances(ConeBeam(sad_mm, sid_mm), sid_origin, sad_origin, warnings)


def _slot_distances(header: RadiographHeader, options: GeometryOptions, typical: Beam | None) -> _Distances:
    """SID and SAD of a slot scan from the options, else the header, else those ``typical`` of the chosen preset.

    Of a preset's distances the magnification counts if one of the two is stated elsewhere. Raises InputError if nothing
    states one of them: machines differ too much for a guess.
    """
    sid_mm, sid_origin = _first((options.sid_mm, "given"), (header.sid_mm, "header"))
    sad_mm, sad_origin = _first((options.sad_mm, "given"), (header.sad_mm, "header"))
    if isinstance(typical, SlotScan):
        if sid_mm is None and sad_mm is None:
            sid_mm, sad_mm, sid_origin, sad_origin = typical.sid_mm, typical.sad_mm, "preset", "preset"
        elif sid_mm is None and sad_mm is not None:
            sid_mm, sid_origin = sad_mm * typical.magnification, "preset, scaled to the SAD"
        elif sad_mm is None and sid_mm is not None:
            sad_mm, sad_origin = sid_mm / typical.magnification, "preset, scaled to the SID"
    if sid_mm is None or sad_mm is None:
        missing, field = ("SID", "sid_mm") if sid_mm is None else ("SAD", "sad_mm")
        raise InputError(
            f"expected SAD and SID of a slot scan ({header.refused[SLOT_SCAN][:-1]}), but nothing states the "
            f"{missing}; give it, or choose the preset {EOS_PRESET} for the distances of that scanner.",
            field,
        )
    _check_order(header, sad_mm, sad_origin, sid_mm, sid_origin)
    return _Distances(SlotScan(sad_mm, sid_mm), sid_origin, sad_origin)


def assumed_preset(header: RadiographHeader) -> str:
    """Return the preset where the user chose none: a stand for plain films and columns, else a C-arm."""
    on_column = header.positioner_type == "COLUMN"
    plain = header.modality in STAND_MODALITIES and header.positioner_type != "CARM"
    return STAND_PRESET if plain or on_column else DEFAULT_PRESET


def _first(*choices: tuple[float | None, str]) -> tuple[float | None, str]:
    return next(((value, origin) for value, origin in choices if value is not None), (None, ""))


def _magnification(
    header: RadiographHeader, options: GeometryOptions, sid_mm: float | None
) -> tuple[float | None, str, tuple[str, ...]]:
    """The header's magnification, its origin, and a warning if its statements differ.

    Of plain films the calibrated spacing comes first: their Distance Source to Patient ends at the table or bucky
    (PS3.3 C.8.11.5), not in the middle of the body. Raises InputError for statements far apart, unless SAD is given.
    """
    by_distances = sid_mm / header.sad_mm if sid_mm is not None and header.sad_mm is not None else None
    readings = [
        (by_distances, "header", f"SID {_mm(sid_mm)} and SAD {_mm(header.sad_mm)}"),
        (header.magnification, "header's magnification", "Estimated Radiographic Magnification Factor (0018,1114)"),
        (header.spacing_magnification, "header, by its two spacings", "Imager Pixel Spacing over Pixel Spacing"),
    ]
    if header.modality in STAND_MODALITIES:
        readings = [readings[2], readings[0], readings[1]]
    known = [(value, origin, words) for value, origin, words in readings if value is not None]
    if not known:
        return None, "preset", ()
    best, origin, words = known[0]
    if options.sad_mm is not None or options.sid_mm is not None:  # the user knows better
        return best, origin, ()
    warnings = []
    for value, _, other in known[1:]:
        apart = max(value, best) / min(value, best) - 1.0
        both = f"magnification {best:.3f} by {words}, but {value:.3f} by {other}"
        if apart > CONTRADICTION:
            raise InputError(f"the header contradicts itself: {both}; give the SAD yourself.", "sad_mm")
        if apart > SAME_MAGNIFICATION:
            warnings.append(f"the header says two things: {both}; the former was used. Give the SAD if it is wrong.")
    if origin == "header" and header.modality in STAND_MODALITIES and best < BUCKY_MAGNIFICATION:
        warnings.append(
            f"{words} make a magnification of {best:.3f}, too small for the middle of a body: Distance Source to "
            "Patient (0018,1111) of a plain film ends at the table or bucky. Give the SAD to the middle of the body."
        )
    return best, origin, tuple(warnings)


def _guess(
    header: RadiographHeader, options: GeometryOptions, preset: str, sid_mm: float, sid_origin: str, sad_mm: float
) -> tuple[str, ...]:
    """A warning if a DICOM image's magnification is nothing but a guess, and the image's size hangs on it."""
    states_nothing = header.modality is None and sid_origin == "preset"
    if options.preset is not None or header.spacing_is_at_patient or states_nothing:
        return ()
    ratio = f"SAD {sad_mm:.0f} mm is a guess (magnification {sid_mm / sad_mm:.2f}, preset {preset})"
    if preset == STAND_PRESET:
        stated = f"with an SID of {sid_mm:.0f} mm " if sid_origin != "preset" else ""
        return (
            f"{ratio}: such an image ({header.modality}) {stated}comes from a wall stand or table, which magnify by "
            "1.1 to 1.3. All sizes follow it: give the SAD, or choose the preset.",
        )
    nothing = "neither SID nor SAD is" if sid_origin == "preset" else "SAD is not"
    return (f"{ratio}: {nothing} stated. {SIZES_FOLLOW}",)


def _sid_missing(header: RadiographHeader, options: GeometryOptions, sad_mm: float) -> InputError:
    source = "given" if options.sad_mm is not None else header.origins.get("sad_mm", "header")
    return InputError(
        f"expected an SID together with the SAD of {sad_mm:g} mm ({source}), but nothing states it; give the distance "
        "from the source to the detector.",
        "sid_mm",
    )


def _check_order(header: RadiographHeader, sad_mm: float, sad_origin: str, sid_mm: float, sid_origin: str) -> None:
    """Raise InputError if the detector would lie before the isocentre, or in it though a body is between."""
    if sad_mm < sid_mm or (sad_mm == sid_mm and (header.modality == "RTIMAGE" or "given" in (sad_origin, sid_origin))):
        return
    sources = {"sad_mm": sad_origin, "sid_mm": sid_origin}
    sad, sid = (
        header.origins.get(field, "header") if origin == "header" else origin for field, origin in sources.items()
    )
    raise InputError(
        f"expected the SAD to be smaller than the SID, got SAD {sad_mm:g} mm ({sad}) and SID {sid_mm:g} mm ({sid}); "
        "give the one that is wrong.",
        "sad_mm" if sad_origin != "given" else "sid_mm",
    )


def _mm(value: float | None) -> str:
    return "?" if value is None else f"{value:g} mm"
