"""Reading one prediction onto the cube that is scored."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.anatomy.grey_levels import BONE_WINDOW, vertebra_mask
from TomoRayLib.anatomy.numberings import AUTO
from TomoRayLib.base.errors import InputError
from TomoRayLib.base.text_files import read_text
from TomoRayLib.evaluation.array_files import ARRAYS, is_array, read_array
from TomoRayLib.evaluation.label_predictions import predicted_vertebrae
from TomoRayLib.evaluation.predictions import LABELS, POINTS, Description, GridDescription, PredictionFolder
from TomoRayLib.evaluation.prepared import PreparedCase
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.cohort_finder import stem_of
from TomoRayLib.images.contained import read_contained
from TomoRayLib.images.existing import existing_path
from TomoRayLib.images.files import read_label_map, read_volume
from TomoRayLib.images.resampling import labels_on_grid, resample
from TomoRayLib.images.structure_masks import read_structures
from TomoRayLib.images.types import Volume, check_finite, last_line

LEAST_SEEN = 0.02  # share of the cube that a volume must cover
SLACK = 0.05  # of the declared range: how far values may leave it
SURFACES = (".vtk", ".vtp", ".ply", ".stl", ".obj")
_HEADING = re.compile(r"\s*\"?[xX]\"?[\s;]+\"?[yY]\"?[\s;]+\"?[zZ]\"?")
NORMALISED = 4.0  # a volume whose values all lie this near 0 is not in HU


@dataclass(frozen=True, eq=False)
class Predicted:
    """What a method says of a case, on the cube that is scored; None of what it does not say.

    ``grey`` in [0, 1] (linear in HU) and ``mask`` are (z, y, x), ``labels`` VerSe numbers likewise, ``points_mm``
    (n, 3) in (z, y, x) mm from the centre of the cube's first voxel, as ``metrics.surface`` has them.
    """

    grey: NDArray[np.float32] | None = None
    mask: NDArray[np.bool_] | None = None
    labels: NDArray[np.integer] | None = None
    points_mm: NDArray[np.float64] | None = None
    warnings: tuple[str, ...] = ()


def read_prediction(folder: PredictionFolder, names: tuple[str, str], case: PreparedCase) -> Predicted:
    """Read the prediction for a case.

    Args:
        folder: The method's folder.
        names: Name and subject of the case.
        case: The case, on whose cube the prediction is put.

    Returns:
        The prediction on that cube.

    Raises:
        InputError: If there is none, it cannot be read, lies elsewhere, or its numbers are not in the declared range.
    """
    path, wanted = folder.file_of(*names), folder.description
    if not path.exists():
        raise InputError(f"Expected the prediction of {folder.name} at {path}, found none.")
    if wanted.kind == POINTS:
        return _points(path, wanted, case)
    if wanted.kind == LABELS:
        return _labels(path, wanted, case)
    volume = _placed(_volume(path, wanted.dataset), wanted.grid, case, path)
    seen, warnings = _check_seen(volume.grid, case, path)
    hu = _in_hu(volume, wanted, path)
    on_cube = resample(hu, case.grid, fill=BONE_WINDOW.low_hu).voxels
    grey = np.where(seen, BONE_WINDOW.apply(on_cube), 0.0).astype(np.float32)
    told = (*volume.warnings, *warnings)
    mask_path, labels = folder.mask_of(*names), None
    if mask_path is not None:
        shape = _labels(mask_path, wanted, case)
        mask, labels = shape.mask, shape.labels
        assert mask is not None
    elif wanted.bone_above_hu is not None:
        mask = seen & (on_cube > wanted.bone_above_hu)
    else:
        return Predicted(grey, warnings=told)
    if wanted.outside_mask == "empty":
        grey = np.where(mask, grey, 0).astype(np.float32)
    return Predicted(grey, mask, labels, warnings=told)


def _labels(path: Path, wanted: Description, case: PreparedCase) -> Predicted:
    if not path.exists():
        raise InputError(f"Expected a mask at {path}, found none.")
    stored, is_named = _stored_labels(path, wanted)
    volume = _placed(stored, wanted.grid, case, path)  # first: an order along the body is one of the declared axes
    if not is_named:
        volume = predicted_vertebrae(volume, path.name, wanted.numbering)
    _, warnings = _check_seen(volume.grid, case, path)
    on_cube = labels_on_grid(volume, case.grid).voxels
    mask = vertebra_mask(on_cube)
    told_apart = len(np.unique(on_cube[mask])) > 1
    labels = np.where(mask, on_cube, 0) if told_apart else None
    return Predicted(None, mask, labels, warnings=(*volume.warnings, *warnings))


def _stored_labels(path: Path, wanted: Description) -> tuple[Volume, bool]:
    """Labels as they are stored, and whether they are VerSe's already, by the names of segments or files."""
    if path.is_dir() and any(stem_of(file) for file in path.iterdir()):
        return read_structures(path), True
    if not is_array(path):
        found = read_label_map(path, by_name=wanted.numbering == AUTO)
        return found.volume, found.is_named
    volume = _volume(path, wanted.dataset)
    check_finite(volume.voxels, str(path))
    if not np.array_equal(volume.voxels, np.round(volume.voxels)):
        raise InputError(f"{path}: expected whole numbers in a label map, got others; threshold or round it.")
    return Volume(volume.voxels.astype(np.int32), volume.grid), False


def _volume(path: Path, dataset: str | None) -> Volume:
    """A volume with its own grid; arrays without geometry have voxels of 1 mm, their last axis first (k, j, i)."""
    if not is_array(path):
        return read_volume(path)
    array = np.squeeze(read_array(path, dataset))
    if array.ndim != 3:
        raise InputError(f"{path}: expected one volume of three axes, got the shape {array.shape}.")
    k, j, i = array.shape
    return Volume(array, Grid((i, j, k), (1.0, 1.0, 1.0)))


def _placed(volume: Volume, wanted: GridDescription, case: PreparedCase, path: Path) -> Volume:
    """The volume where the description puts it."""
    is_array = path.suffix.lower() in ARRAYS
    if is_array and (wanted.center == "file" or wanted.spacing_mm is None or wanted.axes == "file"):
        raise InputError(
            f"{path}: expected a place for an array, whose file has none; set center, spacing_mm and axes of grid."
        )
    if wanted.center == "file":
        return volume
    grid = volume.grid
    if wanted.axes == "file":
        direction = grid.direction
    else:
        columns = np.zeros((3, 3))
        for column, letter in enumerate(wanted.axes.upper()):
            row = next(axis for axis, pair in enumerate(("LR", "PA", "SI")) if letter in pair)
            columns[row, column] = 1.0 if letter in "LPS" else -1.0
        direction = tuple(columns.ravel().tolist())
    spacing_mm = wanted.spacing_mm or grid.spacing_mm
    middle = np.array(case.grid.center_mm if wanted.center == "isocentre" else case.ct_middle_mm)
    placed = Grid(grid.size, spacing_mm, (0.0, 0.0, 0.0), direction)
    if wanted.center == "ct_top":
        half = float(np.abs(placed.direction_matrix[2] * np.array(spacing_mm) * np.array(grid.size)).sum() / 2)
        if _is_taller(case, half):
            middle[2] = case.ct_top_mm - half
    x, y, z = (middle - np.array(placed.center_mm)).tolist()
    return Volume(volume.voxels, Grid(grid.size, spacing_mm, (x, y, z), direction), warnings=volume.warnings)


def _check_seen(grid: Grid, case: PreparedCase, path: Path) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Where the cube lies within a grid, and a warning if much of the truth does not. Raises InputError if hardly any
    of it does."""
    inside = resample(Volume(np.ones(grid.shape, np.float32), grid), case.grid, fill=0.0).voxels > 0.5
    bone = vertebra_mask(case.truth.labels)
    covered = float(inside[bone].mean())
    if float(inside.mean()) < LEAST_SEEN or covered == 0:
        place = ", ".join(f"{value:.0f}" for value in grid.center_mm)
        wanted = ", ".join(f"{value:.0f}" for value in case.grid.center_mm)
        raise InputError(
            f"{path}: expected a prediction in the coordinates of its CT, got one about ({place}) mm in LPS, "
            f"beside the case's vertebrae about ({wanted}) mm. If its header does not place it, set center of grid to "
            '"isocentre" or "ct" in the description.'
        )
    few = covered < 0.95
    return inside, (f"{path.name}: covers {covered:.0%} of the case's vertebrae.",) if few else ()


def _is_taller(case: PreparedCase, half_mm: float) -> bool:
    """True if the case's CT is taller than a volume of twice ``half_mm``."""
    return case.ct_top_mm - case.ct_middle_mm[2] > half_mm


def _in_hu(volume: Volume, wanted: Description, path: Path) -> Volume:
    """The volume in HU. Raises InputError for numbers out of the declared range, or that are no HU."""
    check_finite(volume.voxels, str(path))
    low, high = float(volume.voxels.min()), float(volume.voxels.max())
    values = wanted.values
    if values is None:
        if low >= -NORMALISED and high <= NORMALISED:
            raise InputError(
                f"{path}: expected HU, got values from {low:g} to {high:g}, which look normalised; say in the "
                "description what they mean (values: low, high, low_hu, high_hu)."
            )
        if low >= 0:
            raise InputError(
                f"{path}: expected HU, got no value below 0 ({low:g} to {high:g}): are they HU + 1024, or 0 outside of "
                "bone? Say in the description what they mean (values), or write -1000 where nothing is."
            )
        return Volume(volume.voxels.astype(np.float32), volume.grid)
    slack = SLACK * (values.high - values.low)
    if low < values.low - slack or high > values.high + slack:
        raise InputError(
            f"{path}: expected values from {values.low:g} to {values.high:g}, as declared, got {low:g} to {high:g}; "
            "correct values in the description."
        )
    share = (volume.voxels.astype(np.float32) - values.low) / (values.high - values.low)
    return Volume((values.low_hu + share * (values.high_hu - values.low_hu)).astype(np.float32), volume.grid)


def _points(path: Path, wanted: Description, case: PreparedCase) -> Predicted:
    points = read_points(path) * wanted.scale_mm
    if not len(points):
        return Predicted(points_mm=points)
    if wanted.frame == "RAS":
        points = points * np.array([-1.0, -1.0, 1.0])
    if wanted.grid.center != "file":
        middle = np.array(case.grid.center_mm if wanted.grid.center == "isocentre" else case.ct_middle_mm)
        points = points + middle
    inverse = np.linalg.inv(case.grid.index_to_world)
    index = points @ inverse[:3, :3].T + inverse[:3, 3]
    inside = ((index >= -0.5) & (index <= np.array(case.grid.size) - 0.5)).all(axis=1)
    if not inside.any():
        place = ", ".join(f"{value:.0f}" for value in points.mean(axis=0))
        wanted_place = ", ".join(f"{value:.0f}" for value in case.grid.center_mm)
        raise InputError(
            f"{path}: expected points in the coordinates of the case's CT, got them about ({place}) mm in LPS, beside "
            f"the case's vertebrae about ({wanted_place}) mm. Set frame, scale_mm or center of grid in the description."
        )
    kept = (index[inside] * np.array(case.grid.spacing_mm))[:, ::-1]
    few = f"{path.name}: {1 - inside.mean():.0%} of its points lie outside of the cube and are left out."
    return Predicted(points_mm=kept, warnings=() if inside.mean() > 0.95 else (few,))


def read_points(path: Path) -> NDArray[np.float64]:
    """Points (n, 3) in (x, y, z) of a VTK, PLY, STL, OBJ, NumPy or text file. Raises InputError for another file."""
    suffix = path.suffix.lower()
    if suffix in (".npy", ".npz"):
        points = np.asarray(read_array(path, None), dtype=np.float64)
    elif suffix in (".txt", ".xyz", ".csv"):
        try:
            lines = read_text(path).replace(",", " ").splitlines()
            if lines and _HEADING.match(lines[0]):  # as a table of x, y, z
                lines = lines[1:]
            if not any(line.strip() for line in lines):
                return np.zeros((0, 3))  # a method that found no bone
            points = np.loadtxt(lines, ndmin=2)
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: expected three numbers a line, got other text ({last_line(error)}).") from None
    else:
        points = _mesh_points(path, suffix)
    if not points.size:
        return np.zeros((0, 3))
    if points.ndim != 2 or points.shape[1] < 3:
        raise InputError(f"{path}: expected points of three coordinates each, got the shape {points.shape}.")
    check_finite(points, str(path))
    return points[:, :3].astype(np.float64)


def _mesh_points(path: Path, suffix: str) -> NDArray[np.float64]:
    """The points of a surface, read in a process of its own. Raises InputError if there are none."""
    if suffix not in SURFACES:
        raise InputError(
            f"{path}: expected points as {', '.join(SURFACES)}, .npy, .txt, .xyz or .csv, got {suffix or 'none'}."
        )
    try:
        values = read_contained("points", existing_path(path)).values
    except RuntimeError as error:
        raise InputError(f"{path}: expected a surface, which cannot be read ({last_line(error)}).") from None
    if values is None:
        raise InputError(f"{path}: expected points, found none; is the file whole?")
    return values
