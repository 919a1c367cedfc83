"""The user's own numbers, which go before those of a file, a header or a preset; and what is said of them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import ParallelBeam
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.views import View
from TomoRayLib.synthesis.settings import GeometryOptions
from TomoRayLib.synthesis.stated_geometry import PARALLEL_HAS_NO_DISTANCES

SAME_OFFSET_MM, SAME_ANGLE_DEG = 0.5, 0.5  # what is told apart from a stored view


def said_of_numbers(options: GeometryOptions) -> str:
    """Return words that name the options that change a geometry read from a file, and a preset that was not needed."""
    names = ("sad_mm", "sid_mm", "pixel_spacing_mm", "isocenter_mm")
    given = [name.removesuffix("_mm").replace("_", " ") for name in names if getattr(options, name) is not None]
    changed = f", except the {' and '.join(given)} given" if given else ""
    return changed + (f"; the preset {options.preset} was not needed" if options.preset else "")


def _given(option: float | None, otherwise: float) -> float:
    return otherwise if option is None else option


def with_given_numbers(view: View, options: GeometryOptions) -> View:
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


def placed_as_given(view: View, name: str, options: GeometryOptions, sideways: bool = False) -> View:
    """Return a view with the user's offset, from the plane of the isocentre to the detector, and gantry angle.

    Args:
        view: The view of the image as it was read.
        name: ``"AP"`` or ``"lateral"``.
        options: The user's geometry; its offsets are along the axes of the file.
        sideways: True if the image is still to be turned by 90 or 270 degrees: a beam is that of the upright image.
    """
    offset_mm, angle_deg = given_place(name, options)
    if offset_mm is not None:
        on_detector = np.multiply(offset_mm, _magnifications(view, sideways)).tolist()
        view = replace(view, detector=replace(view.detector, offset_mm=tuple(on_detector)))
    return view if angle_deg is None else replace(view, gantry_angle_deg=angle_deg)


def _magnifications(view: View, sideways: bool) -> tuple[float, float]:
    """(down a column, along a row) of the file."""
    down, right = view.beam.magnifications
    return (right, down) if sideways else (down, right)


def given_place(name: str, options: GeometryOptions) -> tuple[tuple[float, float] | None, float | None]:
    if name == "AP":
        return options.ap_offset_mm, options.ap_angle_deg
    return options.lateral_offset_mm, options.lateral_angle_deg


def said_of_place(name: str, options: GeometryOptions) -> tuple[str, ...]:
    """Return sentences on what the user gave of a view's place."""
    offset_mm, angle_deg = given_place(name, options)
    said = []
    if offset_mm is not None:
        said.append(f"{name}: image {offset_mm[0]:g} mm down, {offset_mm[1]:g} mm right of the isocentre (given).")
    if angle_deg is not None:
        said.append(f"{name}: gantry angle {angle_deg:g} deg (given).")
    return tuple(said)


def place_contradictions(view: View, name: str, options: GeometryOptions, sideways: bool = False) -> tuple[str, ...]:
    """Return a warning for a given offset or angle that is not the one of a view that TomoRay wrote into the image.

    Args:
        view: The stored view.
        name: ``"AP"`` or ``"lateral"``.
        options: The user's geometry.
        sideways: As in ``placed_as_given``.
    """
    offset_mm, angle_deg = given_place(name, options)
    found = []
    if offset_mm is not None:
        stored_mm = np.divide(view.detector.offset_mm, _magnifications(view, sideways))
        if np.abs(np.subtract(offset_mm, stored_mm)).max() > SAME_OFFSET_MM:
            found.append(
                f"the image {offset_mm[0]:g} mm down and {offset_mm[1]:g} mm right of the isocentre, but its file says "
                f"{stored_mm[0]:.3g} and {stored_mm[1]:.3g} mm"
            )
    if angle_deg is not None:
        off_deg = math.remainder(angle_deg - view.gantry_angle_deg, 360.0)
        if abs(off_deg) > SAME_ANGLE_DEG:
            found.append(f"a gantry angle of {angle_deg:g} deg, but its file says {view.gantry_angle_deg:.3g} deg")
    return tuple(
        f"{name}: you gave {words} (written by TomoRay, which knew the geometry). What you gave was used; leave it out "
        "if the image was not moved since."
        for words in found
    )
