"""The stack that frames of a series form: sorted by position, and refused unless it is one straight, even stack."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.dicom.frames import MARK_NAMES, TRIGGER_TIMES, VOLUME_MARKS, Frame
from TomoRayLib.images.dicom.header import number_of, value_of

EVEN_TOLERANCE = 0.05  # of the slice distance
ROUNDING_MM = 0.055  # headers round positions to 0.01 or 0.1 mm
TILT_TOLERANCE_MM = 1.0  # sideways drift or step over the whole stack
OFTEN = 0.6  # of the steps from slice to slice
LEAST_PHASE_MS = 20.0  # between two phases; beats differ by a few


def stack_of(frames: Sequence[Frame], name: str) -> tuple[list[Frame], Grid, tuple[str, ...]]:
    """Sort the frames of a series by position and put them on a grid.

    Localizers among other frames and second copies of a file are left out with a note. Positions alone give the slice
    distance: Spacing Between Slices (0018,0088) and Slice Thickness (0018,0050) are not read.

    Args:
        frames: The frames of all files of the series, in any order.
        name: The file or folder, for messages.

    Returns:
        The frames upwards along their normal, their grid in LPS mm, and notes.

    Raises:
        InputError: If a position, orientation or spacing is missing or differs where it must not, there are fewer than
            two slices, several at one place, a gap, a sideways drift or step, or several volumes between each other.
    """
    frames, notes = _usable(frames, name)
    check_stated(frames, name)
    check_same(frames, name)
    _check_own_positions(frames, name)
    normal = frames[0].normal
    frames = sorted(frames, key=lambda frame: float(np.asarray(frame.position_mm) @ normal))
    positions = np.array([frame.position_mm for frame in frames], dtype=np.float64)
    _check_distances(frames, positions, normal, name)
    _check_one_volume(frames, name)
    check_straight(positions, normal, name)
    distance_mm = float((positions[-1] - positions[0]) @ normal) / (len(frames) - 1)
    return frames, grid_on(frames[0], positions[0], distance_mm, len(frames)), tuple(notes)


def grid_on(frame: Frame, origin_mm: NDArray[np.float64], distance_mm: float, count: int) -> Grid:
    """Return the grid of ``count`` slices like ``frame``, from ``origin_mm`` along its normal."""
    assert frame.orientation is not None
    assert frame.spacing_mm is not None
    rows = np.asarray(frame.orientation[:3]) / np.linalg.norm(frame.orientation[:3])
    direction = np.stack([rows, np.cross(frame.normal, rows), frame.normal], axis=1)
    row_mm, column_mm = frame.spacing_mm
    size = (int(frame.dataset.Columns), int(frame.dataset.Rows), count)
    origin = (float(origin_mm[0]), float(origin_mm[1]), float(origin_mm[2]))
    return Grid(size, (column_mm, row_mm, distance_mm), origin, tuple(float(value) for value in direction.ravel()))


def check_straight(positions_mm: NDArray[np.float64], normal: NDArray[np.float64], name: str) -> None:
    """Raise InputError if slices at ``positions_mm`` (n, 3), sorted along ``normal``, drift or step sideways."""
    offsets = positions_mm - positions_mm[0]
    heights = offsets @ normal
    sideways = offsets - heights[:, None] * normal
    largest_mm = float(np.linalg.norm(sideways - sideways.mean(axis=0), axis=1).max())
    drift_mm = float(np.linalg.norm(sideways[-1]))
    if max(drift_mm, 2 * largest_mm) <= TILT_TOLERANCE_MM:
        return
    line = heights / heights[-1]
    steps_mm = float(np.linalg.norm(sideways - line[:, None] * sideways[-1], axis=1).max())
    if steps_mm > TILT_TOLERANCE_MM:
        raise InputError(
            f"{name}: expected slices stacked along their normal, got slices moved sideways by up to {steps_mm:.1f} mm "
            "against the others (Image Position (0020,0032)); resample it to a straight grid first, or choose another "
            "reconstruction."
        )
    raise InputError(
        f"{name}: expected slices stacked along their normal, got a sideways drift of {drift_mm:.1f} mm over "
        "the stack (gantry tilt); resample it to an orthogonal grid first (Slicer: DICOM module with acquisition "
        "geometry regularisation, then Harden transform)."
    )


def two_numbered_runs(frames: Sequence[Frame]) -> list[str]:
    """Return a warning if every other slice continues the Instance Number of the last but one: two volumes in one.

    Two phases with nothing else to tell them apart may lie evenly between each other.

    Args:
        frames: The slices in the order of the stack, each a file of its own.
    """
    numbers = np.array([number_of(frame.dataset, "InstanceNumber") or np.nan for frame in frames])
    if len(numbers) < 4 or np.isnan(numbers).any():
        return []
    every_other, neighbours = numbers[2:] - numbers[:-2], np.abs(np.diff(numbers))
    if abs(every_other[0]) != 1 or np.any(every_other != every_other[0]) or neighbours.min() < len(numbers) // 2 - 1:
        return []
    return [
        "Instance Number (0020,0013) counts every other slice by itself: if two phases or reconstructions lie between "
        "each other, bones are doubled. Look at the CT from the side, and choose a series with one volume if so."
    ]


def _usable(frames: Sequence[Frame], name: str) -> tuple[list[Frame], list[str]]:
    """Frames without localizers and second copies, and notes on both. Raises InputError if fewer than two are left."""
    notes = []
    slices = [frame for frame in frames if not frame.is_localizer]
    if not slices:
        raise InputError(
            f"{name}: expected a 3D volume (CT), got {len(frames)} of Image Type LOCALIZER (a scout radiograph); "
            "choose the CT's own series."
        )
    if len(slices) < len(frames):
        notes.append(f"Left out of the CT's series: {len(frames) - len(slices)} of Image Type LOCALIZER.")
    unique = list({frame.uid: frame for frame in slices}.values())
    if len(unique) < len(slices):
        notes.append(f"Left out of the CT's series: copies of a slice ({len(slices) - len(unique)}).")
    if len(unique) < 2:
        raise InputError(
            f"{name}: expected a 3D volume (CT), got a single slice; a CT in DICOM is chosen by its folder: choose the "
            "one that holds all its slices."
        )
    return unique, notes


def check_stated(frames: list[Frame], name: str) -> None:
    """Raise InputError unless all frames state position, orientation and pixel spacing."""
    lacking = {
        "Image Position (0020,0032)": [frame for frame in frames if frame.position_mm is None],
        "Image Orientation (0020,0037)": [frame for frame in frames if frame.orientation is None],
        "Pixel Spacing (0028,0030)": [frame for frame in frames if frame.spacing_mm is None],
        "Rows or Columns (0028,0010)": [frame for frame in frames if not frame.has_size],
    }
    found = [f"{tag} missing in {len(some)} of {len(frames)}" for tag, some in lacking.items() if some]
    if found:
        raise InputError(
            f"{name}: expected Image Position (0020,0032), Image Orientation (0020,0037) and Pixel Spacing (0028,0030) "
            f"in every slice, got {', '.join(found)}; export the series again, or convert it to NRRD or NIfTI with "
            "known geometry."
        )


def _check_own_positions(frames: list[Frame], name: str) -> None:
    """Raise InputError for frames of one file that have but one position for all of them."""
    dataset = frames[0].dataset
    own = value_of(dataset, "PerFrameFunctionalGroupsSequence") or []
    if any(value_of(item, "PlanePositionSequence") for item in own):
        return
    if all(frame.dataset is dataset for frame in frames):
        raise InputError(
            f"{name}: expected a position of each frame in Plane Position Sequence (0020,9113), got one Image Position "
            f"(0020,0032) for all {len(frames)} frames; convert it to NRRD or NIfTI with known geometry, or choose the "
            "CT's original series."
        )


def check_same(frames: list[Frame], name: str) -> None:
    """Raise InputError unless all frames have one orientation, pixel spacing and size."""
    orientations = np.array([frame.orientation for frame in frames], dtype=np.float64)
    if np.abs(orientations - orientations[0]).max() > 1e-3:
        raise InputError(
            f"{name}: expected slices of one orientation, got several (a localiser among them?): "
            f"{_kinds(frames, lambda frame: tuple(round(value, 3) for value in frame.orientation or ()))}; "
            "choose a folder with the CT slices alone."
        )
    spacings = np.array([frame.spacing_mm for frame in frames], dtype=np.float64)
    if np.abs(spacings / spacings[0] - 1).max() > 1e-3:
        raise InputError(
            f"{name}: expected slices of one Pixel Spacing (0028,0030), got several in mm: "
            f"{_kinds(frames, lambda frame: frame.spacing_mm)}; choose one reconstruction."
        )
    sizes = {(frame.dataset.get("Rows"), frame.dataset.get("Columns")) for frame in frames}
    if len(sizes) > 1:
        raise InputError(
            f"{name}: expected slices of one size, got several numbers of rows and columns: "
            f"{_kinds(frames, lambda frame: (frame.dataset.get('Rows'), frame.dataset.get('Columns')))}; choose one "
            "reconstruction."
        )


def _check_distances(
    frames: list[Frame], positions_mm: NDArray[np.float64], normal: NDArray[np.float64], name: str
) -> None:
    heights = positions_mm @ normal
    gaps_mm = np.diff(heights)
    usual_mm = float(np.median(gaps_mm))
    marks = _told_apart(frames)
    if gaps_mm.min() < 1e-3:
        raise InputError(
            f"{name}: expected one slice at each position, got several at the same one (several phases or "
            f"reconstructions in one series){marks}; choose a series with one volume."
        )
    steps = np.arange(len(heights))
    fit = np.polynomial.Polynomial.fit(steps, heights, 1)
    if np.abs(heights - fit(steps)).max() > max(EVEN_TOLERANCE * usual_mm, ROUNDING_MM):
        raise InputError(
            f"{name}: expected evenly spaced slices, got distances from {gaps_mm.min():.2f} to {gaps_mm.max():.2f} mm "
            f"(is a slice missing?){marks}; complete the series, or resample it to even slices (Slicer: DICOM module "
            "with acquisition geometry regularisation)."
        )


def _check_one_volume(frames: list[Frame], name: str) -> None:
    """Raise InputError for slices of two volumes between each other, which may even be evenly spaced together.

    Marks that only volumes have must not come back along the stack. Others may now and then, as rotations of one scan
    do, but not from slice to slice.
    """
    for keyword in dict.fromkeys((*VOLUME_MARKS, *(key for frame in frames for key in frame.marks))):
        values = [frame.marks.get(keyword, "") for frame in frames]
        changes = sum(before != after for before, after in itertools.pairwise(values))
        comes_back = changes >= len(set(values))
        if keyword not in VOLUME_MARKS:
            few = len(set(values)) <= len(frames) // 4
            comes_back = comes_back and few and changes > OFTEN * (len(frames) - 1)
        frames_of_reference = keyword == "FrameOfReferenceUID" and len(set(values)) > 1
        if keyword in TRIGGER_TIMES:
            comes_back = _alternate(values)
        if comes_back or frames_of_reference:
            raise InputError(
                f"{name}: expected slices of one volume, got {len(set(values))} between each other"
                f"{_told_apart(frames) or f', by {MARK_NAMES.get(keyword, keyword)}'}; choose a series with one volume."
            )


def _alternate(values: list[str]) -> bool:
    """True for times (ms) of every other slice that lie apart from those between, as measured ones do not."""
    try:
        times = np.array(values, dtype=np.float64)
    except ValueError:
        return False
    if len(times) < 4 or not np.isfinite(times).all():
        return False
    steps = np.diff(times)
    turns, apart = bool(np.all(steps[:-1] * steps[1:] < 0)), float(np.abs(steps).min())
    return turns and apart >= max(LEAST_PHASE_MS, float(np.abs(times[2:] - times[:-2]).max()))


def _told_apart(frames: list[Frame]) -> str:
    """What tells groups of frames apart, as the end of a sentence; empty if nothing does."""
    parts = []
    for keyword in dict.fromkeys(key for frame in frames for key in frame.marks):
        values = list(dict.fromkeys(frame.marks.get(keyword, "none") for frame in frames))
        if 1 < len(values) <= len(frames) // 2:
            shown = ", ".join(values[:4]) + (", ..." if len(values) > 4 else "")
            parts.append(f"{MARK_NAMES.get(keyword, keyword)}: {shown}")
    return f", told apart by {'; '.join(parts)}" if parts else ""


def _kinds(frames: list[Frame], key: Callable[[Frame], Any]) -> str:
    """Each different value with the number of slices and the file of the first."""
    groups: dict[Any, list[Frame]] = {}
    for frame in frames:
        groups.setdefault(key(frame), []).append(frame)
    parts = [f"{value} in {len(some)} (such as {some[0].path.name})" for value, some in groups.items()]
    return "; ".join(parts[:4])
