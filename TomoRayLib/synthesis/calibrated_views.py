"""Radiographs whose projection matrix is known, as from a calibration phantom: their pixels, arranged, and their views.

A matrix says where each pixel of a file lies. The image is turned to how radiographs are shown (head up, the patient's
left or back at image right), its matrix with it; pixels whose rows and columns are not at right angles are resampled. A
source behind or at the patient's right is put opposite, as far from the plane of the synthetic CT.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import ConeBeam
from TomoRayLib.geometry.grid import Vector3
from TomoRayLib.geometry.projection_matrix import ProjectionMatrix
from TomoRayLib.geometry.view_json import VIEW_KEY
from TomoRayLib.geometry.views import View
from TomoRayLib.images.dicom.directions import swapped, turned
from TomoRayLib.images.types import Radiograph
from TomoRayLib.synthesis.matrix_files import read_matrices
from TomoRayLib.synthesis.settings import GeometryOptions

Array = NDArray[np.float64]
AXIS_ACROSS = {"AP": 0, "lateral": 1}  # in LPS, along the rows of an image as it is shown
LEAST_ACROSS = math.cos(math.radians(55.0))  # of the rows' direction; farther off it is the other view
SEEN_SKEW_PX = 0.05  # at a corner: what is less is not resampled
NOMINAL_MAGNIFICATION = 1.5  # if no pixel spacing is stated; the rays do not depend on it
SAME_FORM = 0.01  # of a pixel's height over width, by header and matrix
HEADER_TOLERANCE = 0.1  # relative difference of distances in matrix and header
LARGEST_MISS_MM = 30.0  # between the rays through the middles of both images
LEAST_BETWEEN_DEG = 10.0


@dataclass(frozen=True)
class CalibratedPair:
    """Two radiographs as they are to be used, and what their matrices say.

    ``views`` holds the view of each radiograph that has a matrix, by "AP" and "lateral"; ``center_mm`` (LPS) is where
    the synthetic CT is centred. ``notes`` and ``warnings`` are sentences.
    """

    ap: Radiograph
    lateral: Radiograph
    views: dict[str, View]
    center_mm: Vector3
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Camera:
    """A radiograph as it is shown, and the matrix of its pixels, square; the image may be mirrored against the view."""

    radiograph: Radiograph
    matrix: ProjectionMatrix
    done: tuple[str, ...]
    exchanged: bool  # rows and columns, from the file to here


def calibrated_pair(ap: Radiograph, lateral: Radiograph, options: GeometryOptions) -> CalibratedPair | None:
    """Return the radiographs and views of the projection matrices that the options name; None if they name none.

    Args:
        ap: The AP radiograph as it was read.
        lateral: The lateral radiograph as it was read.
        options: The user's geometry. Without an isocentre the synthetic CT is centred where the rays through the
            middles of both images come nearest to each other.

    Raises:
        InputError: For a file without one matrix, a matrix of the other view or of no radiograph, a given pixel spacing
            that it contradicts, and for views along one line.
    """
    images = {"AP": ap, "lateral": lateral}
    files = {name: path for name in images if (path := options.matrix_file(name)) is not None}
    if not files:
        return None
    matrices = {name: _matrix_of(path, images[name], name) for name, path in files.items()}
    notes: list[str] = []
    warnings: list[str] = []
    center_mm = options.isocenter_mm
    if center_mm is None:
        center_mm, miss_mm = _aimed_at(matrices["AP"], matrices["lateral"])
        place = ", ".join(f"{value:.1f}" for value in center_mm)
        notes.append(f"Isocentre ({place}) mm: where the rays through the middles of both images come nearest.")
        if miss_mm > LARGEST_MISS_MM:
            warnings.append(
                f"The rays through the middles of both images pass {miss_mm:.0f} mm from each other: check that both "
                "matrices speak of one frame, in LPS millimetres, or give the isocentre."
            )
    views = {}
    for name, matrix in matrices.items():
        camera = _as_shown(images[name], _facing(matrix, center_mm), name)
        view, doubts = _view_of(camera, name, center_mm, _as_turned(options.for_view(name), camera))
        opposite = "" if _is_seen_from_source(camera.matrix) else f", the source at the {_side(name)} put opposite"
        done = f"; image {', '.join(camera.done)} as the matrix says" if camera.done else ""
        notes.append(
            f"{name}: geometry from the projection matrix {Path(files[name]).name}{_said(view)}{opposite}{done}."
        )
        doubts += _against_header(images[name], view, camera.done)
        if VIEW_KEY in images[name].metadata:
            doubts.append("its file holds a view written by TomoRay; the matrix goes before it.")
        warnings += [f"{name}: {doubt}" for doubt in doubts]
        views[name], images[name] = view, camera.radiograph
    return CalibratedPair(images["AP"], images["lateral"], views, center_mm, tuple(notes), tuple(warnings))


def _against_header(image: Radiograph, view: View, done: tuple[str, ...]) -> list[str]:
    """What the header states otherwise: sides, and distances that differ by more than a tenth."""
    header, doubts = image.header, []
    if done and header.patient_orientation is not None:
        doubts.append(
            f"the matrix has the image {', '.join(done)}, against the orientation in its header: check that the matrix "
            "is for LPS millimetres (x to the patient's left, y to the back), not RAS."
        )
    if not isinstance(view.beam, ConeBeam):
        return doubts
    beam = view.beam
    for word, stated_mm, found_mm in (("SID", header.sid_mm, beam.sid_mm), ("SAD", header.sad_mm, beam.sad_mm)):
        if stated_mm is not None and abs(found_mm / stated_mm - 1.0) > HEADER_TOLERANCE:
            doubts.append(f"{word} is {found_mm:.0f} mm by the matrix, {stated_mm:.0f} mm by the header: check both.")
    return doubts


def _matrix_of(path: str, image: Radiograph, name: str) -> ProjectionMatrix:
    """The matrix in a file, for the pixels of the image as it was read."""
    field = f"{name.lower()}_matrix_file"
    matrices = read_matrices(path, field)
    if len(matrices) != 1:
        raise InputError(
            f"Expected one projection matrix in {Path(path).name}, three lines, got {len(matrices)}; keep that of the "
            f"{name} radiograph.",
            field,
        )
    exchanged, mirrored, upside_down = image.header.turns
    rows, columns = image.pixels.shape
    on_read = _pixel_map(exchanged, mirrored, upside_down, (rows, columns)) @ matrices[0]
    try:
        return ProjectionMatrix(tuple(on_read.ravel().tolist()), rows, columns)
    except InputError as error:
        raise InputError(f"{Path(path).name}: {error}", field) from None


def _pixel_map(exchanged: bool, mirrored: bool, upside_down: bool, shape: tuple[int, int]) -> Array:
    """(3, 3) from (column, row, 1) to that of an image whose rows and columns were exchanged, and so on; ``shape`` is
    its (rows, columns) afterwards."""
    result = np.eye(3)
    if exchanged:
        result = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    for index, (is_reversed, count) in enumerate(((mirrored, shape[1]), (upside_down, shape[0]))):
        if is_reversed:
            flip = np.eye(3)
            flip[index] = np.where(np.arange(3) == 2, count - 1.0, -1.0 * (np.arange(3) == index))
            result = flip @ result
    return np.asarray(result, dtype=np.float64)


def _axes(matrix: ProjectionMatrix) -> tuple[Array, Array, tuple[float, float]]:
    """Along a row and down a column in pixels of focal length, (3,) each in the detector's plane, and the pixel
    (column, row) of the principal point."""
    if matrix.is_parallel:
        return matrix.array[0, :3], matrix.array[1, :3], (0.0, 0.0)
    forward = matrix.forward
    column, row = (matrix.array[:2, :3] @ forward).tolist()
    return matrix.array[0, :3] - column * forward, matrix.array[1, :3] - row * forward, (column, row)


def _as_shown(image: Radiograph, matrix: ProjectionMatrix, name: str) -> _Camera:
    """The image head up and with the patient's left, or back, at image right, with square corners, and its matrix."""
    along_row, along_column, _ = _axes(matrix)
    exchanged = abs(along_row[2]) / np.linalg.norm(along_row) > abs(along_column[2]) / np.linalg.norm(along_column)
    if exchanged:
        along_row, along_column = along_column, along_row
    across = float(along_row[AXIS_ACROSS[name]] / np.linalg.norm(along_row))
    if abs(across) < LEAST_ACROSS:
        raise InputError(
            f"Expected the {name} radiograph's projection matrix to have its rows along the patient's "
            f"{'left and right' if name == 'AP' else 'front and back'}, got {math.degrees(math.acos(abs(across))):.0f} "
            "degrees between; were the two matrices exchanged, or do they speak of another frame than LPS?",
            f"{name.lower()}_matrix_file",
        )
    mirrored, upside_down = across < 0, bool(along_column[2] > 0)
    pixels = image.pixels.T if exchanged else image.pixels
    pixels = pixels[:, ::-1] if mirrored else pixels
    pixels = pixels[::-1] if upside_down else pixels
    spacing_mm = image.pixel_spacing_mm
    shape = (pixels.shape[0], pixels.shape[1])
    turn = _pixel_map(exchanged, mirrored, upside_down, shape)
    words = (exchanged, "rows and columns exchanged"), (mirrored, "mirrored"), (upside_down, "turned upside down")
    done = [word for is_done, word in words if is_done]
    turned_matrix = ProjectionMatrix(tuple((turn @ matrix.array).ravel().tolist()), *shape)
    square, pixels, resampled = _squared(turned_matrix, pixels)
    done += ["resampled, since its pixels were skewed,"] if resampled else []
    header = turned(image.header, exchanged=exchanged, mirrored=mirrored, upside_down=upside_down)
    shown = replace(
        image,
        pixels=np.ascontiguousarray(pixels, dtype=np.float32),
        pixel_spacing_mm=spacing_mm[::-1] if spacing_mm is not None and exchanged else spacing_mm,
        header=replace(header, patient_orientation=("L" if name == "AP" else "P", "F")),
    )
    return _Camera(shown, square, tuple(done), image.header.turns[0] != exchanged)


def _squared(
    matrix: ProjectionMatrix, pixels: NDArray[np.float32]
) -> tuple[ProjectionMatrix, NDArray[np.float32], bool]:
    """The matrix with rows and columns at right angles, halfway between its own, and the image on its pixels."""
    along_row, along_column, principal = _axes(matrix)
    focal_px = np.array([np.linalg.norm(along_row), np.linalg.norm(along_column)])
    right, down = along_row / focal_px[0], along_column / focal_px[1]
    diagonal, other = right + down, right - down  # at right angles to each other, whatever the skew
    diagonal, other = diagonal / np.linalg.norm(diagonal), other / np.linalg.norm(other)
    right_2, down_2 = (diagonal + other) / math.sqrt(2.0), (diagonal - other) / math.sqrt(2.0)
    old = np.array([[along_row @ right_2, along_row @ down_2], [along_column @ right_2, along_column @ down_2]])
    to_old = old @ np.diag(1.0 / focal_px)  # from steps of a square pixel to those of a stored one
    rows, columns = matrix.shape
    middle = np.array([(columns - 1) / 2, (rows - 1) / 2])
    corners = np.column_stack([middle, middle * (1.0, -1.0)])
    corner_px = float(np.abs(to_old @ corners - corners).max())
    if matrix.is_parallel:
        place = matrix.array[:2, 3] - middle
        offset = middle + np.linalg.solve(to_old, place)
        last = np.array([[0.0, 0.0, 0.0, 1.0]])
        top = np.column_stack([np.stack([focal_px[0] * right_2, focal_px[1] * down_2]), offset])
    else:
        principal_2 = middle + np.linalg.solve(to_old, np.array(principal) - middle)
        camera = np.stack([focal_px[0] * right_2, focal_px[1] * down_2]) + np.outer(principal_2, matrix.forward)
        top = np.column_stack([camera, -camera @ matrix.source_mm])
        last = matrix.array[2:]
    square = ProjectionMatrix(tuple(np.concatenate([top, last]).ravel().tolist()), rows, columns)
    if corner_px <= SEEN_SKEW_PX:
        return square, pixels, False
    exchange = np.array([[0.0, 1.0], [1.0, 0.0]])  # scipy's order is (row, column)
    step = exchange @ to_old @ exchange
    start = middle[::-1] - step @ middle[::-1]
    moved = ndimage.affine_transform(pixels.astype(np.float32), step, start, order=1, mode="nearest")
    return square, np.asarray(moved, dtype=np.float32), True


def _depth_mm(matrix: ProjectionMatrix, point_mm: Vector3) -> float:
    """How far a point lies before the source of a cone, along the detector's normal."""
    return float((np.array(point_mm) - matrix.source_mm) @ matrix.forward)


def _facing(matrix: ProjectionMatrix, point_mm: Vector3) -> ProjectionMatrix:
    """The matrix with the sign that puts a point before the source: its scale is any."""
    if matrix.is_parallel or _depth_mm(matrix, point_mm) > 0:
        return matrix
    return ProjectionMatrix(tuple((-matrix.array).ravel().tolist()), *matrix.shape)


def _is_seen_from_source(matrix: ProjectionMatrix) -> bool:
    """True if the image as it is shown is the one that its source sees, not mirrored."""
    along_row, along_column, _ = _axes(matrix)
    return matrix.is_parallel or float(np.cross(along_row, along_column) @ matrix.forward) > 0


def _line(matrix: ProjectionMatrix) -> tuple[Array, Array]:
    """A point and the unit direction of the ray through the middle of an image."""
    rows, columns = matrix.shape
    pixel = np.array([(columns - 1) / 2, (rows - 1) / 2, 1.0])
    if matrix.is_parallel:
        point = np.linalg.lstsq(matrix.array[:2, :3], pixel[:2] - matrix.array[:2, 3], rcond=None)[0]
        return np.asarray(point), matrix.forward
    along = np.linalg.solve(matrix.array[:, :3], pixel)
    return matrix.source_mm, np.asarray(along / np.linalg.norm(along))


def _aimed_at(ap: ProjectionMatrix, lateral: ProjectionMatrix) -> tuple[Vector3, float]:
    """The point nearest to the rays through the middles of both images, and how far these pass from each other."""
    (point_1, along_1), (point_2, along_2) = _line(ap), _line(lateral)
    between_deg = math.degrees(math.asin(min(1.0, float(np.linalg.norm(np.cross(along_1, along_2))))))
    if between_deg < LEAST_BETWEEN_DEG:
        raise InputError(
            f"Expected projection matrices of an AP and a lateral radiograph, got two whose middle rays are "
            f"{between_deg:.0f} degrees apart; give those of two views about 90 degrees apart.",
            "lateral_matrix_file",
        )
    steps = np.linalg.lstsq(np.column_stack([along_1, -along_2]), point_2 - point_1, rcond=None)[0]
    first, second = point_1 + steps[0] * along_1, point_2 + steps[1] * along_2
    x, y, z = ((first + second) / 2).tolist()
    return (x, y, z), float(np.linalg.norm(first - second))


def _view_of(camera: _Camera, name: str, center_mm: Vector3, options: GeometryOptions) -> tuple[View, list[str]]:
    """The view of a camera, with the plane of its isocentre through the centre, and what the user should check."""
    field = f"{name.lower()}_matrix_file"
    matrix, doubts = camera.matrix, list[str]()
    rows, columns = matrix.shape
    sad_mm = 1.0 if matrix.is_parallel else _depth_mm(matrix, center_mm)
    seen = _is_seen_from_source(matrix)
    if not seen:
        flip = _pixel_map(False, True, False, (rows, columns))
        matrix = ProjectionMatrix(tuple((flip @ matrix.array).ravel().tolist()), rows, columns)
    spacing_mm, doubt = _spacing(camera.radiograph, matrix, sad_mm, options)
    doubts += [doubt] if doubt else []
    try:
        view = matrix.view(spacing_mm, sad_mm)
    except InputError as error:
        raise InputError(f"{name}: {error}", error.field if error.field != "matrix_file" else field) from None
    return view if seen else _opposite(view), doubts


def _as_turned(options: GeometryOptions, camera: _Camera) -> GeometryOptions:
    """The options with a given pixel spacing, which is that of the file, along the axes of the image as it is shown.

    An image may be turned on reading, as its header says, and again as its matrix says.
    """
    return replace(options, pixel_spacing_mm=swapped(options.pixel_spacing_mm)) if camera.exchanged else options


def _spacing(
    radiograph: Radiograph, matrix: ProjectionMatrix, sad_mm: float, options: GeometryOptions
) -> tuple[tuple[float, float], str]:
    """(row, column) at the detector that fit the matrix, and a doubt.

    The rays do not depend on it, so a header that contradicts the matrix is only warned of. Raises InputError for a
    given spacing that does.
    """
    along_row, along_column, _ = _axes(matrix)
    column_px, row_px = float(np.linalg.norm(along_row)), float(np.linalg.norm(along_column))
    if matrix.is_parallel:
        return (1.0 / row_px, 1.0 / column_px), ""
    column_mm = NOMINAL_MAGNIFICATION * sad_mm / column_px
    nominal = (column_mm * column_px / row_px, column_mm)
    at_detector = None if radiograph.header.spacing_is_at_patient else radiograph.pixel_spacing_mm
    stated = options.pixel_spacing_mm or at_detector
    if stated is None:
        return nominal, ""
    form = stated[0] / stated[1] * row_px / column_px
    behind = stated[1] * column_px >= sad_mm
    if abs(form - 1.0) <= SAME_FORM and behind:
        return (stated[1] * column_px / row_px, stated[1]), ""
    said = (
        f"{stated[0]:.4g} x {stated[1]:.4g} mm, but the matrix has pixels {column_px / row_px:.3f} times as high as "
        f"wide and, with this width, the detector {stated[1] * column_px:.0f} mm from the source, the synthetic CT "
        f"{sad_mm:.0f} mm"
    )
    if options.pixel_spacing_mm is not None:
        raise InputError(
            f"Expected a pixel spacing that fits the projection matrix, got {said}; leave one out.", "pixel_spacing_mm"
        )
    return nominal, f"its pixel spacing is {said}. The matrix was used: check that it belongs to this image."


def _opposite(view: View) -> View:
    """The view from the other side of the same line, whose image is the mirrored one."""
    down_mm, right_mm = view.detector.offset_mm
    return replace(
        view,
        detector=replace(view.detector, offset_mm=(down_mm, -right_mm)),
        gantry_angle_deg=math.remainder(view.gantry_angle_deg + 180.0, 360.0),
        tilt_deg=-view.tilt_deg,
        roll_deg=-view.roll_deg,
    )


def _side(name: str) -> str:
    return "back" if name == "AP" else "patient's right"


def _said(view: View) -> str:
    """Angles, and of a cone the distance from the source to the synthetic CT."""
    angles = (("gantry", view.gantry_angle_deg), ("tilt", view.tilt_deg), ("roll", view.roll_deg))
    shown = " ".join(f"{word} {angle_deg + 0.0:.1f}" for word, angle_deg in angles)
    distance_mm = getattr(view.beam, "sad_mm", None)
    return f" ({'' if distance_mm is None else f'SAD {distance_mm:.0f} mm, '}angles {shown} deg)"
