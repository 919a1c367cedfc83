"""Warnings on a pair of radiographs: swapped, inverted, of other scale. Guesses; only one file given twice is an error.

The view stored in a file of TomoRay comes first, then what a header says; pixels count only if there is neither.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.text_files import json_value
from TomoRayLib.geometry.view_json import VIEW_KEY, view_from_dict
from TomoRayLib.geometry.views import Biplanar, View
from TomoRayLib.images.borders import field_within, find_borders
from TomoRayLib.images.pair_headers import header_warnings
from TomoRayLib.images.types import Radiograph

FRONTAL_POSITIONS = ("AP", "PA")
LATERAL_POSITIONS = ("LL", "RL", "LLD", "RLD", "LLO", "RLO", "LAT", "LATERAL")
LARGEST_HEIGHT_RATIO = 1.6  # collimation differs between views, so only far-off field heights tell anything
SCALE_TOLERANCE = 0.1
# Below LEAST_CORRELATION the profiles have too little in common to compare scales. With these two numbers none of 31
# pairs rendered from real CTs and 2 of 30 phantoms were wrongly warned of, and one in five pairs 20 % off was noticed;
# with 0.8 and 0.15, 6 phantoms and one in three.
LEAST_CORRELATION = 0.9
CORRELATION_GAIN = 0.2  # by which another scale must fit better than the same one (20 % on the built-in phantom: 0.22)
LEAST_ANGLE_DEG = 45.0  # between the two directions of view
INVERTED_MARGIN = 0.2  # of the 1-99 percentile range, by which edges are brighter than the middle


def check_pair(
    ap: Radiograph, lateral: Radiograph, views: Biplanar, *, invert_ap: bool = False, invert_lateral: bool = False
) -> list[str]:
    """Look for what is odd on radiographs given as AP and lateral: one sentence for each finding.

    * Different patients, or parts of the body, by the headers.
    * Both frontal, or both lateral, by the headers.
    * Inverted: edges brighter than the middle (darker in one that will be inverted).
    * Views (from the files if they carry one, else ``views``) less than 45 degrees apart.
    * Swapped: the view in a file, View Position, Patient Orientation or the positioner's primary angle says so. What
      the pixels say is judged after the run (``synthesis.suggestions``): symmetry called 6 of 70 right pairs swapped.
    * Different scale, unless both files carry their view: heights of the fields at the isocentre differ by more than
      1.6, or the vertical intensity profiles agree at another scale. Needs a spacing: the file's own, else that of
      ``views``. Finds 20 % if both images show the same edges; in noisy or crowded images it says nothing.

    Args:
        ap: The radiograph given as AP, as it was read.
        lateral: The radiograph given as lateral, as it was read.
        views: The geometry that both will be used with.
        invert_ap: Whether dark and bright of the AP will be exchanged.
        invert_lateral: Whether dark and bright of the lateral will be exchanged.

    Returns:
        The warnings.

    Raises:
        InputError: For one image given twice.
    """
    if ap.pixels.shape == lateral.pixels.shape and np.array_equal(ap.pixels, lateral.pixels):
        raise InputError("AP and lateral are the same image, given twice; choose the two views.", field="lateral")
    inverted = _inversion_warning("AP", ap, invert_ap) + _inversion_warning("lateral", lateral, invert_lateral)
    stored = _stored_view(ap), _stored_view(lateral)
    angle_deg = _angle_between_deg(stored[0] or views.ap, stored[1] or views.lateral)
    if angle_deg < LEAST_ANGLE_DEG:
        warnings = [
            f"Both views look from nearly the same direction, or from opposite ones ({angle_deg:.0f} deg between the "
            "two lines of view): expected about 90 deg. Choose an AP and a lateral radiograph, and check the geometry."
        ]
    else:
        warnings = _swap_warnings(ap, lateral)
    warnings = inverted + header_warnings(ap, lateral) + warnings
    return warnings if None not in stored else warnings + _scale_warnings(ap, lateral, views)


def looks_inverted(pixels: NDArray[np.float32], *, has_borders: bool = True) -> bool:
    """True if air is bright: both borders are brighter than the middle third, and their mean clearly so.

    Borders are the outer 4 % of the columns, left and right, in the middle 60 % of the rows; medians are compared. One
    border may lie inside the body, as in a lateral view off the middle. Flat borders of collimation or film, white or
    black, are cut off before, unless ``has_borders`` is False: even air beside a body may be as flat as a border.
    """
    if has_borders:
        pixels = pixels[field_within(pixels.shape, find_borders(pixels))]
    rows, columns = pixels.shape
    strip, third = max(1, round(0.04 * columns)), columns // 3
    middle_rows = pixels[rows // 5 : rows - rows // 5]
    low, high = np.percentile(pixels, (1, 99))
    middle = float(np.median(middle_rows[:, third : columns - third]))
    excess = [float(np.median(edge)) - middle for edge in (middle_rows[:, :strip], middle_rows[:, -strip:])]
    return min(excess) > 0 and sum(excess) / 2 > INVERTED_MARGIN * float(high - low)


def _inversion_warning(name: str, radiograph: Radiograph, invert: bool) -> list[str]:
    looks, cure = ("looks inverted after inverting", "do not invert") if invert else ("looks inverted", "invert it")
    if not looks_inverted(-radiograph.pixels if invert else radiograph.pixels):
        return []
    return [f"The {name} radiograph {looks}: its edges are brighter than its middle; bone must be bright ({cure})."]


def _swap_warnings(ap: Radiograph, lateral: Radiograph) -> list[str]:
    ap_kind, lateral_kind = _kind_in_file(ap), _kind_in_file(lateral)
    if ap_kind is not None and ap_kind == lateral_kind:
        missing = "a lateral" if ap_kind == "frontal" else "an AP"
        return [
            f"Both radiographs are {ap_kind} by their headers: expected an AP and a lateral one, which show the spine "
            f"from two sides. Choose {missing} radiograph for the other."
        ]
    if ap_kind == "lateral" or lateral_kind == "frontal":
        said = [
            f"the {name} file's header says {kind}"
            for name, kind, wrong in (("AP", ap_kind, "lateral"), ("lateral", lateral_kind, "frontal"))
            if kind == wrong
        ]
        return [f"AP and lateral may be swapped: {' and '.join(said)}; swap them if that is right."]
    return []


def scale_between_profiles(
    first: NDArray[np.float64], second: NDArray[np.float64], step_mm: float
) -> tuple[float, float, float]:
    """(scale, correlation at it, correlation at scale 1): ``second`` stretched by ``scale`` fits ``first`` best.

    Both are vertical profiles sampled every ``step_mm``; scales from 0.7 to 1.43, any shift up to a quarter.
    """
    scales = np.exp(np.linspace(np.log(0.7), -np.log(0.7), 41))
    fits = [_best_shifted_correlation(first, _stretched(second, scale), step_mm) for scale in scales]
    best = int(np.argmax(fits))
    return float(scales[best]), fits[best], fits[len(scales) // 2]


def _stored_view(radiograph: Radiograph) -> View | None:
    """Return the view that the file carries, None if it has no readable one."""
    try:
        return view_from_dict(json_value(radiograph.metadata[VIEW_KEY]))
    except (KeyError, TypeError, ValueError):
        return None


def _angle_between_deg(first: View, second: View) -> float:
    """Angle (0..90) between the lines along which two views look; opposite views are on one line."""
    return float(np.degrees(np.arccos(min(1.0, abs(float(first.to_source @ second.to_source))))))


def _kind_in_file(radiograph: Radiograph) -> str | None:
    """frontal, lateral or None: the view in the file, View Position, Patient Orientation, then the primary angle."""
    header, view = radiograph.header, _stored_view(radiograph)
    if view is not None:
        return _kind_of_angle(view.gantry_angle_deg)
    if header.view_position in FRONTAL_POSITIONS:
        return "frontal"
    if header.view_position in LATERAL_POSITIONS:
        return "lateral"
    if header.patient_orientation is not None:
        return {"L": "frontal", "R": "frontal", "A": "lateral", "P": "lateral"}.get(header.patient_orientation[0][:1])
    return None if header.primary_angle_deg is None else _kind_of_angle(header.primary_angle_deg)


def _kind_of_angle(angle_deg: float) -> str | None:
    from_sagittal_deg = abs((angle_deg + 90) % 180 - 90)
    return "frontal" if from_sagittal_deg < 30 else "lateral" if from_sagittal_deg > 60 else None


def _scale_warnings(ap: Radiograph, lateral: Radiograph, views: Biplanar) -> list[str]:
    row_mm = [_row_at_isocenter_mm(*pair) for pair in ((ap, views.ap), (lateral, views.lateral))]
    heights_mm = [len(image.pixels) * mm for image, mm in zip((ap, lateral), row_mm, strict=True)]
    if max(heights_mm) > LARGEST_HEIGHT_RATIO * min(heights_mm):
        return [
            f"The fields of AP and lateral are {heights_mm[0]:.0f} and {heights_mm[1]:.0f} mm high at the isocentre: "
            "check pixel spacing, SAD and SID of both, and that both show the same patient."
        ]
    step_mm = max(*row_mm, 1.0)
    profiles = [_profile(image.pixels, mm, step_mm) for image, mm in zip((ap, lateral), row_mm, strict=True)]
    scale, correlation, at_one = scale_between_profiles(profiles[0], profiles[1], step_mm)
    differs = abs(np.log(scale)) > np.log1p(SCALE_TOLERANCE)
    if differs and correlation > LEAST_CORRELATION and correlation > at_one + CORRELATION_GAIN:
        return [
            f"AP and lateral seem to be of different scale: enlarging the lateral by about {scale:.2f} fits the AP "
            "better. Check pixel spacing, SAD and SID of both, and that both show the same patient."
        ]
    return []


def _row_at_isocenter_mm(radiograph: Radiograph, view: View) -> float:
    """Row spacing, scaled from the detector to the isocentre unless it is calibrated to the patient."""
    spacing = radiograph.pixel_spacing_mm
    if spacing is None:
        return view.detector.pixel_spacing_mm[0] / view.beam.magnifications[0]
    return spacing[0] if radiograph.header.spacing_is_at_patient else spacing[0] / view.beam.magnifications[0]


def _profile(pixels: NDArray[np.float32], row_mm: float, step_mm: float) -> NDArray[np.float64]:
    """Mean of the middle half of each row, every ``step_mm``, without its slow course (over 80 mm)."""
    width = pixels.shape[1]
    values = pixels[:, width // 4 : width - width // 4].mean(axis=1, dtype=np.float64)
    positions_mm = np.arange(len(values)) * row_mm
    sampled = np.interp(np.arange(0.0, positions_mm[-1] + 1e-9, step_mm), positions_mm, values)
    window = min(len(sampled) // 2 * 2 - 1, max(3, round(80.0 / step_mm) // 2 * 2 + 1))
    padded = np.pad(sampled, window // 2, mode="edge")
    return sampled - np.convolve(padded, np.full(window, 1.0 / window), mode="valid")


def _stretched(profile: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    count = max(4, round(len(profile) * scale))
    return np.interp(np.arange(count) / scale, np.arange(len(profile)), profile)


def _best_shifted_correlation(first: NDArray[np.float64], second: NDArray[np.float64], step_mm: float) -> float:
    """Highest correlation over shifts that leave three quarters of the shorter profile, and 80 mm, in common."""
    least = max(4, round(0.75 * min(len(first), len(second))), min(round(80.0 / step_mm), len(first), len(second)))
    best = -1.0
    for shift in range(least - len(second), len(first) - least + 1):
        start, stop = max(0, shift), min(len(first), len(second) + shift)
        best = max(best, _correlation(first[start:stop], second[start - shift : stop - shift]))
    return best


def _correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    first, second = first - first.mean(), second - second.mean()
    norm = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / norm if norm > 0 else 0.0
