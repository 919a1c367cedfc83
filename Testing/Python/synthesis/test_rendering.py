"""Rendered radiographs: any geometry, any exposure, and sentences for what cannot be."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import ConeBeam, ParallelBeam, SlotScan
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.views import View
from TomoRayLib.images.types import Volume
from TomoRayLib.synthesis.cameras import cameras_of
from TomoRayLib.synthesis.rendering import render
from TomoRayLib.synthesis.settings import Exposure, GeometryOptions, PoseOptions

SMALL = GeometryOptions(size=(48, 40), pixel_spacing_mm=(5.0, 6.0))


@pytest.fixture(scope="module")
def a_ct() -> Volume:
    """Water of 160 x 120 x 100 mm with a bone rod to the left of the middle, in air; 4 x 4 x 5 mm voxels."""
    hu = np.full((30, 40, 50), -1000.0, dtype=np.float32)
    hu[5:25, 5:35, 5:45] = 0.0
    hu[8:22, 16:22, 34:38] = 1200.0
    return Volume(hu, Grid((50, 40, 30), (4.0, 4.0, 5.0), (-98.0, -78.0, -72.5)))


def cameras(**poses: object) -> dict:
    return cameras_of(SMALL, PoseOptions(**poses), ("ap", "lat"), (1.0, 2.0, 3.0))  # type: ignore[arg-type]


def test_without_a_pose_it_is_the_pair() -> None:
    found = cameras()
    assert [view.gantry_angle_deg for view in found.values()] == [0.0, 90.0]
    assert list(found) == ["ap", "lat"]


def test_a_pose_changes_both_views() -> None:
    for view in cameras(tilt_deg=30.0, roll_deg=-5.0, offset_mm=(10.0, -20.0), beam="slot").values():
        assert (view.tilt_deg, view.roll_deg) == (30.0, -5.0)
        assert view.detector == Detector(48, 40, (5.0, 6.0), (10.0, -20.0))
        assert view.beam == SlotScan(1000.0, 1536.0)


def test_each_angle_is_a_view_named_after_it() -> None:
    found = cameras(angles_deg=(-30.0, 45.5), tilt_deg=20.0)
    assert {name: view.gantry_angle_deg for name, view in found.items()} == {"angle-30": -30.0, "angle45.5": 45.5}
    assert all(view.tilt_deg == 20.0 and view.isocenter_mm == (1.0, 2.0, 3.0) for view in found.values())


def test_a_file_of_matrices_gives_the_images_of_their_views(a_ct: Volume, tmp_path: Path) -> None:
    views = [View(ConeBeam(900.0, 1200.0), Detector(48, 40, (5.0, 6.0)), *pose) for pose in ((20, 10, 5), (-70, 0, 0))]
    path = tmp_path / "matrices.txt"
    np.savetxt(path, np.concatenate([view.projection_matrix() for view in views]), header="two cameras")
    found = cameras(matrix_file=str(path))
    assert list(found) == ["matrix1", "matrix2"]
    images = render(a_ct, found)
    expected = render(a_ct, {"view": views[1]})["view"]
    np.testing.assert_allclose(images["matrix2"], expected, atol=1e-4)


def test_a_spectrum_sees_bone_brighter_against_water_than_one_high_energy(a_ct: Volume) -> None:
    views = cameras()
    images = {
        name: render(a_ct, {"ap": views["ap"]}, exposure)["ap"]
        for name, exposure in (("60 kV", Exposure(kvp=60.0)), ("120 kV", Exposure(kvp=120.0)), ("50 keV", Exposure()))
    }
    ratio = {name: image.max() / np.median(image[image > 0.3 * image.max()]) for name, image in images.items()}
    assert ratio["60 kV"] > ratio["120 kV"] > 1.0
    assert float(images["50 keV"].max()) == pytest.approx(120 * 0.022 + 24 * 1.2 * 0.022, rel=0.05)


def test_noise_is_repeatable_and_scatter_lowers_the_contrast(a_ct: Volume) -> None:
    view = {"ap": cameras()["ap"]}
    noisy = Exposure(photons=2000.0, electronic_sd_photons=5.0, seed=3)
    first, second = (render(a_ct, view, noisy)["ap"] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    plain = render(a_ct, view)["ap"]
    in_air = plain == 0
    assert float(first[in_air].std()) == pytest.approx(math.sqrt(2000 + 25) / 2000, rel=0.1)
    scattered = render(a_ct, view, Exposure(scatter_to_primary=1.0, scatter_mm=44.0))["ap"]  # 8 pixels of 5.5 mm
    assert scattered.max() - scattered.min() < 0.9 * (plain.max() - plain.min())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1 2 3 4\n5 6 7 8\n", "three lines of four numbers"),
        ("1 2 3\n4 5 6\n7 8 9\n", "three lines of four numbers"),
        ("a b c d\n", "lines of four numbers"),
        ("1 0 0 0\n2 0 0 0\n0 0 1 900\n", "rank below 3"),
    ],
)
def test_a_file_that_holds_no_matrix_gets_a_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "matrix.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=sentence):
        cameras(matrix_file=str(path))


def test_options_that_contradict_each_other_get_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cone"):
        PoseOptions(beam="fan")
    with pytest.raises(InputError, match="Leave one out"):
        PoseOptions(matrix_file="m.txt", tilt_deg=3.0)
    with pytest.raises(InputError, match="photon energy or a tube voltage"):
        Exposure(energy_kev=60.0, kvp=90.0)
    with pytest.raises(InputError, match="does not exist"):
        cameras(matrix_file=str(tmp_path / "absent.txt"))
    with pytest.raises(InputError, match="give rows and columns"):
        cameras_of(GeometryOptions(), PoseOptions(matrix_file="m.txt"), ("ap",), (0.0, 0.0, 0.0))
    with pytest.raises(InputError, match="Expected SAD and SID"):
        cameras_of(GeometryOptions(preset="parallel"), PoseOptions(beam="slot"), ("ap",), (0.0, 0.0, 0.0))
    with pytest.raises(InputError, match="between -90 and 90"):
        cameras(tilt_deg=95.0)


def test_a_parallel_beam_can_be_asked_for_and_made_a_cone_with_distances() -> None:
    assert cameras(beam="parallel")["ap"].beam == ParallelBeam()
    options = GeometryOptions(sad_mm=800.0, sid_mm=1000.0)
    assert cameras_of(options, PoseOptions(beam="cone"), ("ap",), (0, 0, 0))["ap"].beam == ConeBeam(800.0, 1000.0)


def test_a_view_that_misses_and_an_impossible_tube_get_a_sentence(a_ct: Volume) -> None:
    away = cameras_of(SMALL, PoseOptions(), ("ap",), (0.0, 0.0, 9000.0))
    with pytest.raises(InputError, match="The AP view misses the CT"):
        render(a_ct, away)
    with pytest.raises(InputError, match="tube voltage must lie"):
        render(a_ct, cameras(), Exposure(kvp=9.0))
