"""Bodies whose own spine was labelled by TomoRay's CT segmenter: real labelled CTs, the vertebrae named by eye.

The segmenter tells vertebrae apart; which ones they are follows from the body's levels (``phantoms.body_levels``),
which were read by eye. What is cut, implausible or in doubt is left out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from TomoRayLib.anatomy.vertebrae import VERTEBRA_LABELS
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.checks import check_ct
from TomoRayLib.images.cohort_finder import CohortCase
from TomoRayLib.images.files import read_labels, read_volume
from TomoRayLib.images.masks.checks import placed_mask
from TomoRayLib.images.masks.plausibility import check_mask_in_ct
from TomoRayLib.images.subjects import is_of_subjects, subject_of
from TomoRayLib.images.types import Volume
from TomoRayLib.training.data.held_out import VALIDATION_SUBJECTS, is_held_out_for_ever
from TomoRayLib.training.data.licences import is_permissive
from TomoRayLib.training.data.scenes_of_cts import LabelledCT, labelled_ct
from TomoRayLib.training.phantoms.body_levels import LEVELS_OF_BODY, Anchors, level_at

ENDING = "_labels.nii.gz"
SEGMENTED, PROVENANCE = "vertebrae.nrrd", "provenance.json"  # of the folder that tomoray segment writes
FEWEST_VERTEBRAE = 3
LEAST_MM3 = 3000.0  # of a piece that may be a vertebra; the smallest of adults has four times as much
FRONT_SHARE = 0.35  # of a vertebra's voxels, from the front: its body, whose middle the levels speak of
MOST_OFF = 0.4  # of a level, between a vertebra's middle and where the anchors have it
VOLUME_RATIO = (0.55, 1.7)  # to what the body's other vertebrae let expect
_MIDDLE_OF_C2 = 2.15  # its dens reaches into C1
# Volumes in cm3 of whole vertebrae in label maps of adults: their course along the spine, not their size.
_LEVELS_OF_VOLUMES, _VOLUMES_CM3 = (1.0, 6.0, 8.0, 11.0, 15.0, 19.0, 22.0, 25.0), (15, 16, 23, 24, 32, 49, 64, 65)


@dataclass(frozen=True)
class LabelledBody(CohortCase):
    """A body's CT, the label volume of its own spine, and the (level, z mm) anchors that name the vertebrae."""

    anchors: Anchors = ()


def find_labelled_bodies(
    labels: Path, bodies: Path, held_out: tuple[str, ...] = (), permissive: bool = False
) -> tuple[list[LabelledBody], list[tuple[str, str]]]:
    """The bodies with labels that may be trained on.

    Args:
        labels: Folder with ``NAME/vertebrae.nrrd``, as ``tomoray segment --out NAME`` leaves it, or
            ``NAME_labels.nii.gz``. Of a body with both the latter is taken, as the one that somebody made of it.
        bodies: Folder with the CTs, ``NAME.nii.gz``.
        held_out: Further names of people who are held out.
        permissive: Leave out what is not known to allow commercial use: CTs, and labels of a network whose licence,
            in ``NAME/provenance.json``, does not allow it or is not there.

    Returns:
        (labelled bodies, names left out with the reason).

    Raises:
        InputError: The folder holds no such file, or one without a CT.
    """
    files = {file.parent.name: file for file in labels.glob(f"*/{SEGMENTED}")}
    files |= {file.name.removesuffix(ENDING): file for file in labels.glob(f"*{ENDING}")}
    if not files:
        raise InputError(
            f"Expected label volumes NAME/{SEGMENTED} or NAME{ENDING} of bodies in {labels}, found none; make them "
            f"with tomoray segment, or leave labelled_bodies out.",
            field="labelled_bodies",
        )
    found, left_out = [], []
    for name, file in sorted(files.items()):
        ct = bodies / f"{name}.nii.gz"
        reason = _reason_against(name, labels / name / PROVENANCE, held_out, permissive)
        if reason is not None:
            left_out.append((name, reason))
        elif not ct.is_file():
            raise InputError(f"{file} needs the CT {ct}, which does not exist.", field="labelled_bodies")
        else:
            found.append(LabelledBody(name, subject_of(name), ct, file, LEVELS_OF_BODY[name]))
    return found, left_out


def _reason_against(name: str, provenance: Path, held_out: tuple[str, ...], permissive: bool) -> str | None:
    if is_held_out_for_ever(name) or is_of_subjects(name, (*VALIDATION_SUBJECTS, *held_out)):
        return "this person is held out (training/data/held_out.py)"
    if name not in LEVELS_OF_BODY:
        return "its levels were never read (training/phantoms/body_levels.py)"
    if permissive and not is_permissive("body", name):
        return "not known to allow commercial use, as permissive = true asks for (training/data/licences.py)"
    if permissive and not _has_permissive_labels(provenance):
        return f"labels by a network not known to allow commercial use ({name}/{PROVENANCE})"
    return None


def _has_permissive_labels(provenance: Path) -> bool:
    """True if what ``tomoray segment`` left says that its network allows commercial use."""
    try:
        licence = json.loads(provenance.read_text(encoding="utf-8"))["segmenter"]["licence"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return isinstance(licence, str) and licence != "" and "-NC" not in licence


def load_labelled_body(body: LabelledBody) -> LabelledCT:
    """The labelled CT of a body. Raises InputError for files that do not fit, or fewer than three usable vertebrae."""
    ct = read_volume(body.ct)
    check_ct(ct, body.ct.name)
    labels = placed_mask(read_labels(body.segmentation), ct)  # whose numbers are mere names of its pieces
    named, kept = named_by_levels(labels, body.anchors, body.name)
    check_mask_in_ct(named, ct, body.segmentation.name)
    return labelled_ct(body.name, _slices(ct, kept), _slices(named, kept))


def named_by_levels(labels: Volume, anchors: Anchors, name: str = "the body") -> tuple[Volume, slice]:
    """Name the vertebrae of a label volume by where they lie.

    Args:
        labels: One number for each vertebra, whichever, on an axis-aligned LPS grid (z, y, x).
        anchors: The body's (level, z mm).
        name: The body's name, for errors.

    Returns:
        (labels in VerSe numbers, slices to be trained on). The vertebrae are the longest row of whole, plausible
        neighbours. Where one that was left out follows it, the slices end with the row, so that no bone without a
        label is left beyond it; cut ones stay in the CT, as in VerSe.

    Raises:
        InputError: The grid is turned, or fewer than three vertebrae are usable.
    """
    if not np.allclose(labels.grid.direction_matrix, np.eye(3), atol=1e-3):
        raise InputError(f"Expected labels of {name} on an axis-aligned LPS grid, got {labels.grid.axis_letters}.")
    pieces = _pieces(np.asarray(labels.voxels), labels.grid)
    whole = [piece for piece in pieces if not piece.is_cut]
    numbers = _numbers(whole, anchors)
    row = _longest_row({number: piece for number, piece in numbers.items() if _is_plausible(number, numbers)})
    if len(row) < FEWEST_VERTEBRAE:
        raise InputError(
            f"Expected at least {FEWEST_VERTEBRAE} whole vertebrae of {name} in a row, at the levels that were read by "
            f"eye, got {len(row)} of {len(pieces)} pieces; correct the labels, or leave them out."
        )
    voxels = np.zeros(labels.grid.shape, np.uint8)
    for number, piece in row.items():
        voxels[piece.box][piece.mask] = number
    used = [piece.box[0] for piece in row.values()]
    bottom, top = min(one.start for one in used), max(one.stop for one in used)
    others = [piece.middle_mm for piece in whole if not any(piece is one for one in row.values())]
    middles = [piece.middle_mm for piece in row.values()]
    start = bottom if any(z < min(middles) for z in others) else 0
    stop = top if any(z > max(middles) for z in others) else len(voxels)
    return Volume(voxels, labels.grid), slice(start, stop)


@dataclass(frozen=True)
class _Piece:
    """One connected piece of a number: ``mask`` in ``box`` (z, y, x), and the height of its front's middle."""

    box: tuple[slice, slice, slice]
    mask: NDArray[np.bool_]
    middle_mm: float
    volume_mm3: float
    is_cut: bool


def _pieces(voxels: NDArray[np.integer], grid: Grid) -> list[_Piece]:
    """All pieces that are large enough to be a vertebra."""
    pieces = []
    for number in np.intersect1d(np.unique(voxels), VERTEBRA_LABELS):
        parts, _ = ndimage.label(voxels == number, np.ones((3, 3, 3), bool))
        for index, box in enumerate(ndimage.find_objects(parts), 1):
            mask = parts[box] == index
            volume = float(mask.sum() * np.prod(grid.spacing_mm))
            if volume >= LEAST_MM3:
                k, j, _ = np.nonzero(mask)
                front = k[j <= np.quantile(j, FRONT_SHARE)]
                middle = grid.origin_mm[2] + (box[0].start + float(front.mean())) * grid.spacing_mm[2]
                cut = any(side.start == 0 or side.stop == n for side, n in zip(box, grid.shape, strict=True))
                pieces.append(_Piece(box, mask, middle, volume, cut))
    return pieces


def _numbers(pieces: list[_Piece], anchors: Anchors) -> dict[int, _Piece]:
    """The VerSe number of each piece near enough to a vertebra's place; none where two are at one place."""
    at_place: dict[int, list[_Piece]] = {}
    candidates = np.arange(1, 25)
    middles = np.where(candidates == 2, _MIDDLE_OF_C2, candidates + 0.5)
    for piece in pieces:
        off = np.abs(float(level_at(piece.middle_mm, anchors)) - middles)
        if off.min() <= MOST_OFF:
            at_place.setdefault(int(candidates[off.argmin()]), []).append(piece)
    return {number: found[0] for number, found in at_place.items() if len(found) == 1}


def _is_plausible(number: int, numbers: dict[int, _Piece]) -> bool:
    """True if the vertebra's volume is what those of the same body let expect."""
    sizes = {n: piece.volume_mm3 / _standard_volume(n) for n, piece in numbers.items()}
    low, high = VOLUME_RATIO
    return bool(low <= sizes[number] / np.median(list(sizes.values())) <= high)


def _standard_volume(number: int) -> float:
    return 1000.0 * float(np.interp(number, _LEVELS_OF_VOLUMES, _VOLUMES_CM3))


def _longest_row(numbers: dict[int, _Piece]) -> dict[int, _Piece]:
    """The longest row of consecutive numbers, of equal ones the upper."""
    rows: list[list[int]] = []
    for number in sorted(numbers):
        if rows and number == rows[-1][-1] + 1:
            rows[-1].append(number)
        else:
            rows.append([number])
    return {number: numbers[number] for number in max(rows, key=len, default=[])}


def _slices(volume: Volume, kept: slice) -> Volume:
    """Part of a volume along z."""
    grid = volume.grid
    x, y, z = grid.origin_mm
    size = (grid.size[0], grid.size[1], kept.stop - kept.start)
    part = Grid(size, grid.spacing_mm, (x, y, z + kept.start * grid.spacing_mm[2]), grid.direction)
    return Volume(volume.voxels[kept], part)
