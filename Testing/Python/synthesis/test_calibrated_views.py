"""Projection matrices of radiographs: every point falls on the pixel where the matrix says, however the file lies."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from support.dicom_files import a_dataset
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import ConeBeam
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.projection_matrix import ProjectionMatrix
from TomoRayLib.geometry.views import View
from TomoRayLib.images.types import Radiograph
from TomoRayLib.images.writing import write_image_2d
from TomoRayLib.projector.projection import project
from TomoRayLib.synthesis.calibrated_views import CalibratedPair, calibrated_pair
from TomoRayLib.synthesis.radiograph_inputs import read_radiographs
from TomoRayLib.synthesis.settings import Arrangement, GeometryOptions

AIMED_MM = (31.0, -118.0, -402.0)
ROWS, COLUMNS = 210, 174
POINTS_MM = np.add(AIMED_MM, [[0, 0, 0], [41, -23, 37], [-52, 30, -44], [18, 47, 60], [-7, -49, -12]])


def a_view(lateral: bool, behind: bool = False) -> View:
    """Lopsided: pixels higher than wide, off the central ray, tilted and rolled, aimed beside the others' point."""
    angle_deg = (78.0 if lateral else -13.0) + 180.0 * behind
    detector = Detector(ROWS, COLUMNS, (1.7, 2.3), (-21.0, 13.0) if lateral else (17.0, -9.0))
    beam = ConeBeam(730.0, 1110.0) if lateral else ConeBeam(810.0, 1190.0)
    x, y, z = np.add(AIMED_MM, (3.0, -4.0, 2.0) if lateral else (-2.0, 5.0, -3.0)).tolist()
    return View(beam, detector, angle_deg, 6.0, -4.0 if lateral else 3.0, (x, y, z))


def a_matrix(view: View) -> np.ndarray:
    return view.projection_matrix()


def a_file(folder: Path, name: str, matrix: np.ndarray) -> str:
    path = folder / f"{name}.txt"
    np.savetxt(path, matrix, fmt="%.12g")
    return str(path)


def dots(matrix: np.ndarray, shape: tuple[int, int] = (ROWS, COLUMNS)) -> np.ndarray:
    """An image with a blob of one brightness for each point, where the matrix puts it."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(float)
    image = np.zeros(shape)
    for n, point in enumerate(POINTS_MM):
        column, row, w = matrix @ (*point, 1.0)
        image += (100.0 + 50.0 * n) * np.exp(-((x - column / w) ** 2 + (y - row / w) ** 2) / (2 * 1.5**2))
    return image.astype(np.float32)


def found(image: np.ndarray, near: np.ndarray) -> np.ndarray:
    """(column, row) of the middle of the brightness within 4 pixels of a place."""
    y, x = np.mgrid[0 : image.shape[0], 0 : image.shape[1]].astype(float)
    weight = image * (np.hypot(x - near[0], y - near[1]) < 4.0)
    return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()


def read(folder: Path, ap: np.ndarray, lateral: np.ndarray, image: np.ndarray, **options: object) -> CalibratedPair:
    """The pair of these matrices, the AP radiograph with these pixels."""
    files = {"ap_matrix_file": a_file(folder, "ap", ap), "lateral_matrix_file": a_file(folder, "lateral", lateral)}
    radiographs = Radiograph(image), Radiograph(dots(lateral))
    pair = calibrated_pair(*radiographs, GeometryOptions(**(files | options)))  # type: ignore[arg-type]
    assert pair is not None
    return pair


def turned(image: np.ndarray, matrix: np.ndarray, how: str) -> tuple[np.ndarray, np.ndarray]:
    """An image as a file may hold it, and its matrix; written apart from the code under test."""
    rows, columns = image.shape
    if how == "lying":
        clockwise = np.array([[0.0, -1.0, rows - 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
        return np.rot90(image, -1), clockwise @ matrix
    if how == "mirrored":
        return image[:, ::-1], np.array([[-1.0, 0, columns - 1.0], [0, 1, 0], [0, 0, 1]]) @ matrix
    if how == "upside down":
        return image[::-1], np.array([[1.0, 0, 0], [0, -1, rows - 1.0], [0, 0, 1]]) @ matrix
    return image, matrix


@pytest.mark.parametrize("how", ["as shown", "lying", "mirrored", "upside down"])
@pytest.mark.parametrize("scale", [1.0, -0.37])
def test_a_point_falls_on_the_pixel_that_its_matrix_says(tmp_path: Path, how: str, scale: float) -> None:
    ap, lateral = a_matrix(a_view(False)), a_matrix(a_view(True))
    image, matrix = turned(dots(ap), ap, how)
    pair = read(tmp_path, scale * matrix, lateral, image)
    assert pair.ap.pixels.shape == (ROWS, COLUMNS)
    places = pair.views["AP"].project_points(POINTS_MM)
    expected = (ap @ np.column_stack([POINTS_MM, np.ones(5)]).T).T
    np.testing.assert_allclose(places, expected[:, :2] / expected[:, 2:], atol=1e-6)
    for place in places:
        assert np.abs(found(pair.ap.pixels, place) - place).max() < 0.02
    np.testing.assert_allclose(
        pair.views["lateral"].project_points(POINTS_MM),
        ProjectionMatrix(tuple(lateral.ravel()), ROWS, COLUMNS).project_points(POINTS_MM),
        atol=1e-6,
    )
    done = {"as shown": "", "lying": "rows and columns exchanged", "mirrored": "mirrored"}.get(how, how)
    assert all((done in note) == note.startswith("AP") or not done for note in pair.notes[1:])


def test_a_skewed_image_is_resampled_onto_square_pixels(tmp_path: Path) -> None:
    skew = np.array([[1.0, 0.021, -1.3], [0.0, 1.0, 0.4], [0.0, 0.0, 1.0]])
    matrix = skew @ a_matrix(a_view(False))
    pair = read(tmp_path, matrix, a_matrix(a_view(True)), dots(matrix))
    for place in pair.views["AP"].project_points(POINTS_MM):
        assert np.abs(found(pair.ap.pixels, place) - place).max() < 0.03
    assert any("skewed" in note for note in pair.notes)


def test_a_source_behind_is_put_opposite_about_the_plane_of_the_synthetic_ct(tmp_path: Path) -> None:
    """The tube under the table: what lies in the plane through the centre stays on its pixel of the shown image."""
    behind = a_view(False, behind=True)
    seen = dots(a_matrix(behind))
    image, matrix = turned(seen, a_matrix(behind), "mirrored")  # archives show it with the left at image right
    pair = read(tmp_path, matrix, a_matrix(a_view(True)), image)
    view = pair.views["AP"]
    assert abs(view.gantry_angle_deg) < 45
    np.testing.assert_array_equal(pair.ap.pixels, image)
    plane = np.array([-70.0, 0.0, 55.0])[:, None] * view.right + np.array([31.0, -80.0, 8.0])[:, None] * view.down
    places = plane + np.asarray(pair.center_mm)
    expected = (matrix @ np.column_stack([places, np.ones(3)]).T).T
    np.testing.assert_allclose(view.project_points(places), expected[:, :2] / expected[:, 2:], atol=1e-6)
    assert np.asarray(view.to_source) @ behind.to_source == pytest.approx(-1.0)
    assert any("the source at the back put opposite" in note for note in pair.notes)


def test_the_centre_is_where_the_middles_of_both_images_look(tmp_path: Path) -> None:
    middle = Detector(ROWS, COLUMNS, (1.7, 2.3))
    ap, lateral = (dataclasses.replace(a_view(side), detector=middle, isocenter_mm=AIMED_MM) for side in (False, True))
    pair = read(tmp_path, a_matrix(ap), a_matrix(lateral), dots(a_matrix(ap)))
    np.testing.assert_allclose(pair.center_mm, AIMED_MM, atol=1e-5)
    assert pair.warnings == ()
    off = dataclasses.replace(lateral, isocenter_mm=(AIMED_MM[0], AIMED_MM[1], AIMED_MM[2] + 64.0))
    far = read(tmp_path, a_matrix(ap), a_matrix(off), dots(a_matrix(ap)))
    assert any("pass 6" in warning and "LPS" in warning for warning in far.warnings)
    given = read(tmp_path, a_matrix(ap), a_matrix(off), dots(a_matrix(ap)), isocenter_mm=(1.0, 2.0, -390.0))
    assert given.center_mm == (1.0, 2.0, -390.0)


def an_xa_file(path: Path, image: np.ndarray, **tags: Any) -> None:
    """A C-arm's image (rows, columns) as DICOM."""
    stored = np.rint(image * 50).astype(np.uint16)
    a_dataset("1.2.840.10008.5.1.4.1.1.12.1", stored, Modality="XA", **tags).save_as(path, enforce_file_format=True)


def test_a_dicom_file_that_is_turned_on_reading_keeps_its_matrix(tmp_path: Path) -> None:
    """The matrix speaks of the pixels as the file holds them: here head down and with the left at image left."""
    ap, lateral = a_matrix(a_view(False)), a_matrix(a_view(True))
    image, matrix = turned(*turned(dots(ap), ap, "mirrored"), "upside down")
    an_xa_file(tmp_path / "ap.dcm", image, PatientOrientation=["R", "H"], ImagerPixelSpacing=[1.7, 2.3])
    write_image_2d(tmp_path / "lateral.nrrd", dots(lateral), (1.0, 1.0))
    files = {"ap_matrix_file": a_file(tmp_path, "a", matrix), "lateral_matrix_file": a_file(tmp_path, "l", lateral)}
    paths = str(tmp_path / "ap.dcm"), str(tmp_path / "lateral.nrrd")
    inputs = read_radiographs(*paths, GeometryOptions(**files), Arrangement())
    for place in inputs.views.ap.project_points(POINTS_MM):
        assert np.abs(found(inputs.ap, place) - place).max() < 0.05
    assert inputs.views.ap.detector.pixel_spacing_mm == pytest.approx((1.7, 2.3))
    assert inputs.views.ap.beam.sid_mm == pytest.approx(1190.0)
    assert any("the matrix has pixels 0.739" in warning for warning in inputs.warnings)  # the lateral's header: square


def test_a_matrix_against_its_images_header_is_warned_of(tmp_path: Path) -> None:
    """In RAS instead of LPS, as other software has it, and beside distances that it does not have."""
    ap, lateral = a_matrix(a_view(False)), a_matrix(a_view(True))
    for name, matrix, orientation in (("ap", ap, ["L", "F"]), ("lateral", lateral, ["P", "F"])):
        an_xa_file(
            tmp_path / f"{name}.dcm",
            dots(matrix),
            PatientOrientation=orientation,
            ImagerPixelSpacing=[1.7, 2.3],
            DistanceSourceToDetector=1190.0 if name == "ap" else 1500.0,
        )
    paths = str(tmp_path / "ap.dcm"), str(tmp_path / "lateral.dcm")
    in_ras = np.diag([-1.0, -1.0, 1.0, 1.0])
    said = {}
    for kind, turn in (("right", np.eye(4)), ("RAS", in_ras)):
        files = {
            "ap_matrix_file": a_file(tmp_path, f"{kind}_a", ap @ turn),
            "lateral_matrix_file": a_file(tmp_path, f"{kind}_l", lateral @ turn),
        }
        said[kind] = " ".join(read_radiographs(*paths, GeometryOptions(**files), Arrangement()).warnings)
    assert "not RAS" in said["RAS"]
    assert "not RAS" not in said["right"]
    assert "AP: SID" not in said["right"]
    assert "1500 mm by the header" in said["right"]


def test_a_projection_by_the_matrix_is_that_of_the_view(tmp_path: Path) -> None:
    """Against the projector, which takes the matrix itself: ray by ray the same image."""
    grid = Grid((40, 36, 44), (3.0, 2.5, 4.0), tuple(np.subtract(AIMED_MM, (61.0, 40.0, 90.0)).tolist()))
    volume = torch.rand(grid.shape, generator=torch.Generator().manual_seed(4))
    ap, lateral = a_matrix(a_view(False)), a_matrix(a_view(True))
    camera = ProjectionMatrix(tuple((3.1 * ap).ravel()), ROWS, COLUMNS)
    image = project(volume, grid, camera, method="rays")
    pair = read(tmp_path, ap, lateral, image.numpy())
    again = project(volume, grid, pair.views["AP"], method="rays")
    np.testing.assert_allclose(again.numpy(), image.numpy(), atol=1e-3 * float(image.max()))


def test_what_a_matrix_contradicts_is_refused(tmp_path: Path) -> None:
    ap, lateral = (a_file(tmp_path, name, a_matrix(a_view(name == "l"))) for name in ("a", "l"))
    both = {"ap_matrix_file": ap, "lateral_matrix_file": lateral}
    for extra in (
        {"ap_offset_mm": (1.0, 2.0)},
        {"lateral_angle_deg": 80.0},
        {"preset": "c-arm"},
        {"sad_mm": 800.0},
        {"sid_mm": 1200.0},
        {"file": "views.json"},
    ):
        with pytest.raises(InputError, match="matrix of the"):
            GeometryOptions(**both, **extra)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="got none for the lateral") as caught:
        GeometryOptions(ap_matrix_file=ap)
    assert caught.value.field == "lateral_matrix_file"
    GeometryOptions(ap_matrix_file=ap, isocenter_mm=AIMED_MM, sad_mm=800.0, sid_mm=1200.0)
    matrices = a_matrix(a_view(False)), a_matrix(a_view(True))
    with pytest.raises(InputError, match="fits the projection matrix"):
        read(tmp_path, *matrices, dots(matrices[0]), ap_pixel_spacing_mm=(2.3, 1.7))
    fitting = read(tmp_path, *matrices, dots(matrices[0]), ap_pixel_spacing_mm=(1.7, 2.3))
    assert fitting.views["AP"].beam.sid_mm == pytest.approx(1190.0)
    with pytest.raises(InputError, match="were the two matrices exchanged"):
        read(tmp_path, matrices[1], matrices[0], dots(matrices[0]))
    with pytest.raises(InputError, match="Expected one projection matrix"):
        read(tmp_path, np.concatenate(matrices), matrices[1], dots(matrices[0]))
    with pytest.raises(InputError, match="three lines of four numbers"):
        read(tmp_path, matrices[0].T, matrices[1], dots(matrices[0]))


@pytest.mark.parametrize("how", ["as shown", "lying", "mirrored", "upside down"])
@pytest.mark.parametrize("option", ["ap_pixel_spacing_mm", "pixel_spacing_mm"])
def test_a_given_spacing_is_that_of_the_pixels_in_the_file(tmp_path: Path, how: str, option: str) -> None:
    ap, lateral = a_matrix(a_view(False)), a_matrix(a_view(True))
    image, matrix = turned(dots(ap), ap, how)
    spacing_mm = (2.3, 1.7) if how == "lying" else (1.7, 2.3)
    lateral_mm = {"lateral_pixel_spacing_mm": (1.7, 2.3)}
    pair = read(tmp_path, matrix, lateral, image, **({option: spacing_mm} | lateral_mm))
    assert pair.views["AP"].detector.pixel_spacing_mm == pytest.approx((1.7, 2.3))
    assert pair.views["AP"].beam.sid_mm == pytest.approx(1190.0)
    assert pair.views["lateral"].detector.pixel_spacing_mm == pytest.approx((1.7, 2.3))
    with pytest.raises(InputError, match="fits the projection matrix"):
        read(tmp_path, matrix, lateral, image, **({option: spacing_mm[::-1]} | lateral_mm))


@pytest.mark.parametrize("spacing_mm", [None, (2.3, 1.7)])
def test_a_given_spacing_is_turned_with_an_image_that_lies_by_its_header_and_its_matrix(
    tmp_path: Path, spacing_mm: tuple[float, float] | None
) -> None:
    """Rows from head to feet, as Patient Orientation says; the option does as the header's own spacing."""
    ap, lateral = a_matrix(a_view(False)), a_matrix(a_view(True))
    image, matrix = turned(dots(ap), ap, "lying")
    an_xa_file(tmp_path / "ap.dcm", image, PatientOrientation=["H", "L"], ImagerPixelSpacing=[2.3, 1.7])
    write_image_2d(tmp_path / "lateral.nrrd", dots(lateral), None)
    files = {"ap_matrix_file": a_file(tmp_path, "a", matrix), "lateral_matrix_file": a_file(tmp_path, "l", lateral)}
    paths = str(tmp_path / "ap.dcm"), str(tmp_path / "lateral.nrrd")
    options = GeometryOptions(**files, ap_pixel_spacing_mm=spacing_mm)
    inputs = read_radiographs(*paths, options, Arrangement())
    assert inputs.views.ap.detector.pixel_spacing_mm == pytest.approx((1.7, 2.3))
    assert inputs.views.ap.beam.sid_mm == pytest.approx(1190.0)
    for place in inputs.views.ap.project_points(POINTS_MM):
        assert np.abs(found(inputs.ap, place) - place).max() < 0.05


def test_one_matrix_goes_with_a_view_about_the_given_isocentre(tmp_path: Path) -> None:
    ap = a_matrix(a_view(False))
    options = GeometryOptions(
        ap_matrix_file=a_file(tmp_path, "a", ap),
        isocenter_mm=AIMED_MM,
        sid_mm=1500.0,
        sad_mm=1000.0,
        lateral_pixel_spacing_mm=(0.9, 1.1),
    )
    for name in ("ap", "lateral"):
        pixels = dots(ap) if name == "ap" else np.eye(200, 150, dtype=np.float32)
        write_image_2d(tmp_path / f"{name}.nrrd", pixels, None)
    inputs = read_radiographs(str(tmp_path / "ap.nrrd"), str(tmp_path / "lateral.nrrd"), options, Arrangement())
    assert inputs.views.center_mm == AIMED_MM
    assert inputs.views.lateral.beam == ConeBeam(1000.0, 1500.0)
    assert inputs.views.lateral.detector.pixel_spacing_mm == (0.9, 1.1)
    assert inputs.views.lateral.isocenter_mm == AIMED_MM
    expected = ap @ (*AIMED_MM, 1.0)
    np.testing.assert_allclose(
        inputs.views.ap.project_points(np.array([AIMED_MM]))[0], expected[:2] / expected[2], atol=1e-6
    )
    assert math.isclose(
        float((np.array(inputs.views.ap.isocenter_mm) - AIMED_MM) @ inputs.views.ap.to_source), 0.0, abs_tol=1e-6
    )
