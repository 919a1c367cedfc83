"""Predictions onto the cube that is scored: places, axes, values, masks and points, on lopsided data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import SimpleITK as sitk

from support.prepared_cases import a_prepared_case
from TomoRayLib.anatomy.grey_levels import BONE_WINDOW
from TomoRayLib.base.errors import InputError
from TomoRayLib.evaluation.prediction_files import Predicted, read_prediction
from TomoRayLib.evaluation.predictions import PredictionFolder, description_of
from TomoRayLib.evaluation.prepared import PreparedCase
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.resampling import Interpolation, resample
from TomoRayLib.images.types import Volume
from TomoRayLib.images.writing import write_volume
from TomoRayLib.metrics.surface import surface_of

NAMES = ("a", "a")
PLACE = {"center": "ct", "axes": "LPS", "spacing_mm": [2.0, 2.0, 2.0]}


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> PreparedCase:
    return a_prepared_case(tmp_path_factory.mktemp("case"))


def read(folder: Path, case: PreparedCase, file: str, kind: str = "volume", **more: Any) -> Predicted:
    values = {"name": "theirs", "kind": kind, "file": f"{{case}}{file}", **more}
    if kind == "volume" and not {"mask", "bone_above_hu"} & set(more):
        values["outside_mask"] = "kept"
    return read_prediction(PredictionFolder(folder, description_of(values, "test")), NAMES, case)


def truth_hu(case: PreparedCase) -> np.ndarray:
    return np.asarray(case.truth.table.dequantise(case.truth.grey))


def test_a_volume_in_its_own_place_is_put_onto_the_cube(case: PreparedCase, tmp_path: Path) -> None:
    """Stored on an oblique, anisotropic grid with HU; resampled here by the same interpolation, done in two steps."""
    angle = np.deg2rad(15)
    turned = (np.cos(angle), -np.sin(angle), 0, np.sin(angle), np.cos(angle), 0, 0, 0, 1)
    middle = np.array(case.grid.center_mm)
    placed = Grid((130, 120, 110), (1.7, 1.9, 1.8), (0.0, 0.0, 0.0), turned)
    x, y, z = middle - np.array(placed.center_mm)
    oblique = Grid(placed.size, placed.spacing_mm, (x, y, z), turned)
    theirs = resample(Volume(truth_hu(case).astype(np.float32), case.grid), oblique, fill=-250.0)
    write_volume(tmp_path / "a.nii.gz", theirs)
    found = read(tmp_path, case, ".nii.gz")
    assert found.mask is None
    expected = BONE_WINDOW.apply(resample(theirs, case.grid, fill=-250.0).voxels)
    np.testing.assert_allclose(found.grey, expected, atol=1e-5)
    assert np.corrcoef(found.grey.ravel(), case.truth.grey.ravel())[0, 1] > 0.9


def test_bone_is_what_is_denser_or_what_the_mask_says_and_nothing_else_is_kept(
    case: PreparedCase, tmp_path: Path
) -> None:
    write_volume(tmp_path / "a.nrrd", Volume(truth_hu(case).astype(np.int16), case.grid))
    by_density = read(tmp_path, case, ".nrrd", bone_above_hu=300.0)
    assert by_density.mask is not None
    np.testing.assert_array_equal(by_density.mask, np.round(truth_hu(case)) > 300)
    assert (by_density.grey[~by_density.mask] == 0).all()
    half = case.truth.vertebrae().voxels * (np.arange(case.grid.size[0]) > 40)
    write_volume(tmp_path / "a_mask.nrrd", Volume(half.astype(np.uint8), case.grid))
    masked = read(tmp_path, case, ".nrrd", mask="{case}_mask.nrrd")
    np.testing.assert_array_equal(masked.mask, half > 0)
    assert (masked.grey[~masked.mask] == 0).all()


@pytest.mark.parametrize(
    ("axes", "transform"),
    [
        ("LPS", lambda zyx: zyx),
        ("RAI", lambda zyx: zyx[::-1, ::-1, ::-1]),
        ("SPL", lambda zyx: zyx.transpose(2, 1, 0)),
        ("PIR", lambda zyx: zyx[::-1, :, ::-1].transpose(2, 0, 1)),
    ],
)
@pytest.mark.parametrize("center", ["isocentre", "ct", "ct_top"])
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".h5"])
def test_an_array_without_a_place_goes_where_the_description_says(
    case: PreparedCase, tmp_path: Path, axes: str, transform: Any, center: str, suffix: str
) -> None:
    """The CT on a cube about each place, its axes as named (i, j, k): NumPy and HDF5 arrays have k first."""
    size, spacing = (50, 60, 70), 2.5
    straight = Grid(size, (spacing,) * 3)
    middle = np.array(case.grid.center_mm if center == "isocentre" else case.ct_middle_mm)
    if center == "ct_top":
        middle[2] = case.ct_top_mm - size[2] * spacing / 2
    x, y, z = middle - np.array(straight.center_mm)
    there = Volume(truth_hu(case).astype(np.float32), case.grid)
    zyx = resample(there, Grid(size, (spacing,) * 3, (x, y, z)), fill=-250.0)
    share = (zyx.voxels + 250) / 1300
    array = np.ascontiguousarray(transform(share))
    path = tmp_path / f"a{suffix}"
    if suffix == ".npy":
        np.save(path, array)
    elif suffix == ".npz":
        np.savez(path, ct=array[None], other=np.zeros(3))
    else:
        with h5py.File(path, "w") as file:
            file["ct"], file["xray1"] = array, np.zeros((4, 4))
    found = read(
        tmp_path,
        case,
        suffix,
        grid={"center": center, "spacing_mm": [spacing] * 3, "axes": axes},
        values={"low": 0.0, "high": 1.0, "low_hu": -250.0, "high_hu": 1050.0},
        **({} if suffix == ".npy" else {"dataset": "ct"}),
    )
    expected = BONE_WINDOW.apply(resample(zyx, case.grid, fill=-250.0).voxels)
    np.testing.assert_allclose(found.grey, expected, atol=2e-4)


def test_a_label_map_keeps_its_vertebrae(case: PreparedCase, tmp_path: Path) -> None:
    write_volume(tmp_path / "a.nii.gz", case.truth.vertebrae())
    found = read(tmp_path, case, ".nii.gz", kind="labels", numbering="verse")
    np.testing.assert_array_equal(found.labels, case.truth.vertebrae().voxels)
    np.testing.assert_array_equal(found.mask, case.truth.vertebrae().voxels > 0)
    assert found.grey is None
    one = Volume((case.truth.vertebrae().voxels > 0).astype(np.uint8), case.grid)
    write_volume(tmp_path / "a.nii.gz", one)
    whole = read(tmp_path, case, ".nii.gz", kind="labels", numbering="whole-spine")
    assert whole.labels is None
    np.testing.assert_array_equal(whole.mask, one.voxels > 0)


@pytest.mark.parametrize("axes", ["PIR", "LPI", "ASL", "RAS"])
@pytest.mark.parametrize("suffix", [".npy", ".nii.gz"])
@pytest.mark.parametrize("numbering", ["verse", "auto"])
def test_labels_are_looked_at_where_they_lie(
    case: PreparedCase, tmp_path: Path, axes: str, suffix: str, numbering: str
) -> None:
    """Axes that the description alone tells: numbers run from head to feet along them, not along the array's last."""
    x, y, z = case.grid.spacing_mm
    image = sitk.GetImageFromArray(case.truth.vertebrae().voxels.astype(np.int16))
    image.SetSpacing((x, y, z))
    turned = sitk.DICOMOrient(image, axes)
    array = sitk.GetArrayFromImage(turned)
    if suffix == ".npy":
        np.save(tmp_path / "a.npy", array)
    else:
        sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / "a.nii.gz"))
    place = {"center": "isocentre", "axes": axes, "spacing_mm": list(turned.GetSpacing())}
    found = read(tmp_path, case, suffix, kind="labels", numbering=numbering, grid=place)
    np.testing.assert_array_equal(found.labels, case.truth.vertebrae().voxels)
    assert found.warnings == ()


def test_labels_in_a_wrong_order_are_scored_as_what_they_claim(case: PreparedCase, tmp_path: Path) -> None:
    truth = case.truth.vertebrae().voxels
    first, last = int(truth[truth > 0].min()), int(truth[truth > 0].max())
    reversed_ = np.where(truth > 0, first + last - truth, 0).astype(np.uint8)
    write_volume(tmp_path / "a.nii.gz", Volume(reversed_, case.grid))
    found = read(tmp_path, case, ".nii.gz", kind="labels", numbering="verse")
    np.testing.assert_array_equal(found.labels, reversed_)
    with pytest.raises(InputError, match="of a stated one the numbers alone count"):
        read(tmp_path, case, ".nii.gz", kind="labels")


def test_a_small_mask_of_255_is_bone(case: PreparedCase, tmp_path: Path) -> None:
    truth = case.truth.vertebrae().voxels
    one = truth == truth.max()
    write_volume(tmp_path / "a.nii.gz", Volume((one * 255).astype(np.uint8), case.grid))
    found = read(tmp_path, case, ".nii.gz", kind="labels")
    np.testing.assert_array_equal(found.mask, one)
    assert (found.labels, found.warnings) == (None, ())


def test_labels_of_another_numbering_are_told(case: PreparedCase, tmp_path: Path) -> None:
    truth = case.truth.vertebrae().voxels.astype(np.uint8)
    lowest = int(truth.max())
    write_volume(tmp_path / "a.nii.gz", Volume(np.where(truth == lowest, 31, truth), case.grid))
    found = read(tmp_path, case, ".nii.gz", kind="labels", numbering="verse")
    np.testing.assert_array_equal(found.labels, np.where(truth == lowest, 0, truth))
    assert "also has the labels 31, which the numbering of VerSe does not have" in found.warnings[0]


def test_an_array_in_a_group_of_hdf5(case: PreparedCase, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["g/ct"] = case.truth.vertebrae().voxels
    place = {"center": "isocentre", "axes": "LPS", "spacing_mm": list(case.grid.spacing_mm)}
    found = read(tmp_path, case, ".h5", kind="labels", numbering="verse", dataset="g/ct", grid=place)
    np.testing.assert_array_equal(found.labels, case.truth.vertebrae().voxels)


def test_no_points_are_a_method_that_found_no_bone(case: PreparedCase, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y,z\n", encoding="utf-8")
    assert read(tmp_path, case, ".csv", kind="points").points_mm.shape == (0, 3)
    (tmp_path / "a.xyz").write_text("", encoding="utf-8")
    assert read(tmp_path, case, ".xyz", kind="points").points_mm.shape == (0, 3)


def write_points(path: Path, points: np.ndarray) -> None:
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkPolyData
    from vtkmodules.vtkIOLegacy import vtkPolyDataWriter

    if path.suffix == ".npy":
        np.save(path, points)
    elif path.suffix == ".csv":
        np.savetxt(path, points, delimiter=",", header="x,y,z", comments="")
    else:
        cloud, data = vtkPoints(), vtkPolyData()
        cloud.SetData(numpy_to_vtk(np.ascontiguousarray(points, dtype=np.float32), deep=True))
        data.SetPoints(cloud)
        writer = vtkPolyDataWriter()
        writer.SetFileName(str(path))
        writer.SetInputData(data)
        writer.Write()


@pytest.mark.parametrize("suffix", [".vtk", ".npy", ".csv"])
@pytest.mark.parametrize(("frame", "scale_mm"), [("LPS", 1.0), ("RAS", 1.0), ("RAS", 10.0)])
def test_points_lie_on_the_surface_that_they_were_taken_from(
    case: PreparedCase, tmp_path: Path, suffix: str, frame: str, scale_mm: float
) -> None:
    surface = surface_of(case.truth.vertebrae().voxels > 0, case.grid.spacing_mm)
    lps = surface.points_mm[:, ::-1] + np.array(case.grid.origin_mm)
    theirs = (lps if frame == "LPS" else lps * [-1, -1, 1]) / scale_mm
    write_points(tmp_path / f"a{suffix}", theirs)
    found = read(tmp_path, case, suffix, kind="points", frame=frame, scale_mm=scale_mm)
    np.testing.assert_allclose(found.points_mm, surface.points_mm, atol=1e-3)


@pytest.mark.parametrize(
    ("more", "change", "sentence"),
    [
        ({}, lambda hu: (hu + 250) / 1300, "look normalised"),
        (
            {"values": {"low": 0.0, "high": 1.0, "low_hu": -250.0, "high_hu": 1050.0}},
            lambda hu: hu,
            "expected values from 0 to 1",
        ),
        ({}, lambda hu: np.where(hu > 300, np.nan, hu), "NaN"),
        ({}, lambda hu: hu + 1024, r"HU \+ 1024"),
        ({}, lambda hu: np.where(hu > -250, hu, 0), "0 outside of bone"),
        (
            {"values": {"low": -1024.0, "high": 1476.0, "low_hu": -1024.0, "high_hu": 1476.0}},
            lambda hu: hu + 2048,
            "expected values from -1024 to 1476",
        ),
        ({"kind": "labels"}, lambda hu: hu * 0 + 0.5, "whole"),
    ],
)
def test_numbers_of_another_unit_are_refused(
    case: PreparedCase, tmp_path: Path, more: dict[str, Any], change: Any, sentence: str
) -> None:
    write_volume(tmp_path / "a.nrrd", Volume(change(truth_hu(case)).astype(np.float32), case.grid))
    with pytest.raises(InputError, match=sentence):
        read(tmp_path, case, ".nrrd", **more)


def test_a_file_beside_its_case_is_refused_and_one_that_covers_half_is_told(case: PreparedCase, tmp_path: Path) -> None:
    """An identity header, as of arrays saved without a place, and a volume that ends in the middle."""
    hu = truth_hu(case).astype(np.float32)
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing((1.0, 1.0, 1.0))
    image.SetOrigin((2000.0, 0.0, 0.0))
    sitk.WriteImage(image, str(tmp_path / "a.mha"))
    with pytest.raises(InputError, match="beside the case's vertebrae"):
        read(tmp_path, case, ".mha")
    lower = Grid((96, 96, 48), case.grid.spacing_mm, case.grid.origin_mm)
    write_volume(tmp_path / "a.nrrd", Volume(hu[:48], lower))
    found = read(tmp_path, case, ".nrrd")
    assert "of the case's vertebrae" in found.warnings[0]
    assert (found.grey[48:] == 0).all()
    np.save(tmp_path / "a.npy", np.full((5, 3), 1e4))
    with pytest.raises(InputError, match="beside the case's vertebrae"):
        read(tmp_path, case, ".npy", kind="points")


@pytest.mark.parametrize(
    ("name", "content", "more", "sentence"),
    [
        ("b.nrrd", b"", {}, "found none"),
        ("a.npy", b"nonsense", {"grid": PLACE}, "cannot be read"),
        ("a.npy", b"", {"grid": PLACE}, "empty file"),
        ("a.npz", b"PK nonsense", {"grid": PLACE}, "cannot be read"),
        ("a.h5", b"nonsense", {"grid": PLACE}, "cannot be read"),
        ("a.vtk", b"nonsense", {"kind": "points"}, "expected points, found none"),
        ("a.csv", b"x,y,z\n1,two,3\n", {"kind": "points"}, "three numbers a line"),
        ("a.doc", b"x", {"kind": "points"}, r"expected points as \.vtk"),
    ],
)
def test_a_file_that_cannot_be_read_says_so(
    case: PreparedCase, tmp_path: Path, name: str, content: bytes, more: dict[str, Any], sentence: str
) -> None:
    (tmp_path / name).write_bytes(content)
    suffix = Path(name).suffix
    with pytest.raises(InputError, match=sentence):
        read(tmp_path, case, suffix, **more)


def test_arrays_need_a_place_and_a_name(case: PreparedCase, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", one=np.zeros((4, 4, 4)), two=np.zeros((4, 4, 4)))
    with pytest.raises(InputError, match="expected one array, or the name of one"):
        read(tmp_path, case, ".npz", grid=PLACE)
    with pytest.raises(InputError, match="expected the array 'ct', got one, two"):
        read(tmp_path, case, ".npz", grid=PLACE, dataset="ct")
    np.save(tmp_path / "a.npy", np.zeros((4, 4, 4)))
    for left_out in ({}, {"center": "ct"}, {"center": "ct", "axes": "LPS"}, {"center": "ct", "spacing_mm": [2.0] * 3}):
        with pytest.raises(InputError, match="expected a place for an array"):
            read(tmp_path, case, ".npy", grid=left_out)
    np.save(tmp_path / "a.npy", np.zeros((4, 4)))
    with pytest.raises(InputError, match="three axes"):
        read(tmp_path, case, ".npy", grid=PLACE)


def test_the_numbers_of_an_array_are_those_of_its_numbering(case: PreparedCase, tmp_path: Path) -> None:
    """TotalSegmentator counts L5 as 27 and upwards from there."""
    verse = case.truth.vertebrae().voxels
    theirs = np.where(verse > 0, 51 - verse.astype(int), 0)  # L5 (24) is 27, L1 (20) is 31
    np.save(tmp_path / "a.npy", theirs)
    grid = {"center": "isocentre", "axes": "LPS", "spacing_mm": list(case.grid.spacing_mm)}
    found = read(tmp_path, case, ".npy", kind="labels", numbering="totalsegmentator", grid=grid)
    np.testing.assert_array_equal(found.labels, verse)


def upright_ct_as_visual_py_writes_it(case: PreparedCase, height_mm: float) -> np.ndarray:
    """What X2CT-GAN makes of a CT: 1 mm, the upper 320 mm or padded evenly to that, then 128 voxels of 2.5 mm."""
    middle = np.array(case.ct_middle_mm)
    upper = case.ct_top_mm - 160.0 if height_mm > 320 else middle[2]
    cube = Grid.cube((middle[0], middle[1], upper), 320.0, 128)
    there = Volume(np.asarray(case.truth.table.dequantise(case.truth.grey), np.float32), case.grid)
    return resample(there, cube, fill=-1000.0).voxels


def test_x2ct_gans_files_are_read_as_its_code_writes_them(case: PreparedCase, tmp_path: Path) -> None:
    """fake_ct.mha stands upright with a header of 1 mm at 0; an HDF5 array runs from head to feet, as HU + 1024."""
    height_mm = 2 * (case.ct_top_mm - case.ct_middle_mm[2])
    assert height_mm < 320
    hu = upright_ct_as_visual_py_writes_it(case, height_mm)
    place = tmp_path / "CT" / "a_ct_xray_data"
    place.mkdir(parents=True)
    image = sitk.GetImageFromArray(hu.astype(np.int32))
    sitk.WriteImage(image, str(place / "fake_ct.mha"))
    (tmp_path / "a").mkdir()
    with h5py.File(tmp_path / "a" / "fake_ct.h5", "w") as file:
        file["ct"] = np.clip(hu[::-1] + 1024, 0, 2500)
    found = {}
    for method in ("x2ct-gan", "x2ct-gan-hdf5"):
        description = description_of({"like": method}, method)
        found[method] = read_prediction(PredictionFolder(tmp_path, description), NAMES, case)
        bone = truth_hu(case) > 300
        overlap = 2 * (found[method].mask & bone).sum() / (found[method].mask.sum() + bone.sum())
        assert overlap > 0.8
    np.testing.assert_allclose(found["x2ct-gan"].grey, found["x2ct-gan-hdf5"].grey, atol=2e-3)


def test_swin_x2s_label_maps_are_placed_at_the_cts_middle(case: PreparedCase, tmp_path: Path) -> None:
    """Its header has the right spacing, identity directions and an origin that means nothing."""
    x, y, z = case.ct_middle_mm
    spacing = 1.6
    grid = Grid((128, 128, 160), (spacing,) * 3)
    centred = Grid(grid.size, grid.spacing_mm, tuple((np.array((x, y, z)) - np.array(grid.center_mm)).tolist()))
    labels = resample(case.truth.vertebrae(), centred, Interpolation.NEAREST, fill=0).voxels
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing((spacing,) * 3)
    sitk.WriteImage(image, str(tmp_path / "a_pred.nii.gz"))
    folder = PredictionFolder(tmp_path, description_of({"like": "swin-x2s"}, "test"))
    found = read_prediction(folder, NAMES, case)
    truth = case.truth.vertebrae().voxels
    assert (found.labels[truth > 0] == truth[truth > 0]).mean() > 0.85


def test_ppcnets_points_are_read(case: PreparedCase, tmp_path: Path) -> None:
    surface = surface_of(case.truth.vertebrae().voxels > 0, case.grid.spacing_mm)
    write_points(tmp_path / "a_pred.vtk", surface.points_mm[:, ::-1] + np.array(case.grid.origin_mm))
    folder = PredictionFolder(tmp_path, description_of({"like": "ppcnet"}, "test"))
    np.testing.assert_allclose(read_prediction(folder, NAMES, case).points_mm, surface.points_mm, atol=1e-3)
