"""Every guard is fed the wrong thing once, and must say what it got and what to do."""

from __future__ import annotations

import gzip
import os
import shutil
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from support.masks import a_mask
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.checks import check_ct, check_extent, check_hounsfield, check_radiograph
from TomoRayLib.images.files import read_labels, read_radiograph, read_volume
from TomoRayLib.images.types import Radiograph, Volume, check_finite
from TomoRayLib.images.writing import write_image_2d, write_volume

# Files that are not what was asked for


def test_missing_file_is_named(tmp_path: Path) -> None:
    for read in (read_volume, read_labels, read_radiograph):
        with pytest.raises(InputError, match=r"no\.nrrd: expected an existing file .* check the spelling"):
            read(tmp_path / "no.nrrd")


@contextmanager
def as_a_user_without_rights() -> Iterator[Path]:
    """A folder that anyone may enter; root becomes nobody inside the block, so that access rights count."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    is_root = os.geteuid() == 0
    try:
        yield folder
    finally:
        if is_root:
            os.seteuid(0)
        shutil.rmtree(folder)


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="access rights of POSIX")
def test_file_without_the_right_to_read_it_is_not_called_missing(a_straight_ct: Volume) -> None:
    with as_a_user_without_rights() as folder:
        for name in ("ct.nrrd", "ct.nii.gz", "ap.dcm"):
            write_volume(folder / "whole.nrrd", a_straight_ct)
            shutil.copy(folder / "whole.nrrd", folder / name)
            (folder / name).chmod(0)
        (folder / "series").mkdir()
        (folder / "series").chmod(0)
        if os.geteuid() == 0:
            os.seteuid(65534)
        for name in ("ct.nrrd", "ct.nii.gz", "ap.dcm", "series", "series/ct.nrrd"):
            for read in (read_volume, read_labels, read_radiograph):
                with pytest.raises(InputError, match="it cannot be read: permission denied; ask for the right"):
                    read(folder / name)


def test_pipe_or_device_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="got a device, pipe or socket"):
        read_radiograph(os.devnull)


def test_file_that_is_no_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear colleague")
    (tmp_path / "ct.nrrd").write_text("Dear colleague")
    (tmp_path / "empty.nrrd").write_bytes(b"")
    for read in (read_volume, read_radiograph):
        with pytest.raises(InputError, match=r"letter\.txt: expected an image .*got another kind of file"):
            read(tmp_path / "letter.txt")
        with pytest.raises(InputError, match="damaged header"):
            read(tmp_path / "ct.nrrd")
        with pytest.raises(InputError, match="got an empty file"):
            read(tmp_path / "empty.nrrd")


@pytest.mark.parametrize("ending", ["nrrd", "nii", "nii.gz", "mha"])
def test_truncated_file_is_refused(a_straight_ct: Volume, tmp_path: Path, ending: str) -> None:
    whole, cut = tmp_path / f"ct.{ending}", tmp_path / f"cut.{ending}"
    write_volume(whole, a_straight_ct)
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    with pytest.raises(InputError, match=r"cut\..*: expected .*(copy or export|export) it again"):
        read_volume(cut)


def test_radiograph_in_place_of_the_ct_names_both(tmp_path: Path) -> None:
    write_image_2d(tmp_path / "ap.nrrd", np.eye(70, dtype=np.float32), (1, 1))
    with pytest.raises(InputError, match=r"expected a 3D volume \(CT\), got a 2D image of size \(70, 70\).*radiograph"):
        read_volume(tmp_path / "ap.nrrd")


def test_ct_in_place_of_the_radiograph_names_both(a_straight_ct: Volume, tmp_path: Path) -> None:
    write_volume(tmp_path / "ct.nrrd", a_straight_ct)
    with pytest.raises(
        InputError, match=r"expected a radiograph \(2D.*got a 3D volume of size \(44, 61, 97\).*as the CT"
    ):
        read_radiograph(tmp_path / "ct.nrrd")
    with pytest.raises(InputError, match="got a folder; choose the file in it"):
        read_radiograph(tmp_path)


def test_sequence_and_colour_volume_are_refused(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.Image((5, 6, 7, 2), sitk.sitkInt16), str(tmp_path / "4d.nrrd"))
    with pytest.raises(InputError, match=r"got a sequence of 2 \(4D"):
        read_volume(tmp_path / "4d.nrrd")
    sitk.WriteImage(sitk.Image((5, 6, 7), sitk.sitkVectorUInt8, 3), str(tmp_path / "rgb.nrrd"))
    with pytest.raises(InputError, match=r"one grey value per voxel, got 3 \(a colour or vector image\)"):
        read_volume(tmp_path / "rgb.nrrd")


def test_true_colour_picture_is_refused(tmp_path: Path) -> None:
    colours = np.random.default_rng(1).integers(0, 255, (70, 80, 3)).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(colours, isVector=True), str(tmp_path / "photo.png"))
    with pytest.raises(InputError, match="expected a greyscale radiograph, got 3 different values per pixel"):
        read_radiograph(tmp_path / "photo.png")


def test_voxels_and_pixels_that_are_not_finite_are_counted(a_straight_ct: Volume, tmp_path: Path) -> None:
    voxels = a_straight_ct.voxels.astype(np.float32)
    voxels[3, 4, 5], voxels[0, 0, 0] = np.nan, np.inf
    write_volume(tmp_path / "ct.nrrd", Volume(voxels, a_straight_ct.grid))
    with pytest.raises(InputError, match=r"got 2 NaN or infinite ones; replace them"):
        read_volume(tmp_path / "ct.nrrd")
    with pytest.raises(InputError, match=r"The CT: expected finite values, got 2"):
        check_finite(voxels, "The CT")
    write_image_2d(tmp_path / "ap.nrrd", voxels[0], (1, 1))
    with pytest.raises(InputError, match=r"got 1 NaN or infinite"):
        read_radiograph(tmp_path / "ap.nrrd")


def test_sheared_nifti_is_refused_with_a_way_out(a_straight_ct: Volume, tmp_path: Path) -> None:
    write_volume(tmp_path / "ct.nii", a_straight_ct)
    content = bytearray((tmp_path / "ct.nii").read_bytes())
    struct.pack_into("<2h", content, 252, 0, 1)  # qform_code 0, sform_code 1
    struct.pack_into("<12f", content, 280, 2, 0.3, 0, 0, 0, 1, 0, 0, 0, 0.2, 0.5, 0)
    (tmp_path / "ct.nii").write_bytes(content)
    with pytest.raises(InputError, match=r"expected perpendicular axes, got sheared .*Slicer"):
        read_volume(tmp_path / "ct.nii")


def an_nrrd(directions: str) -> bytes:
    header = f"NRRD0004\ntype: int16\ndimension: 3\nspace: left-posterior-superior\nsizes: 2 3 4\n{directions}\n"
    return header.encode() + b"encoding: raw\nendian: little\nspace origin: (0,0,0)\n\n" + bytes(48)


def test_sheared_nrrd_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ct.nrrd").write_bytes(an_nrrd("space directions: (2,0.5,0) (0,1,0) (0,0,0.5)"))
    with pytest.raises(
        InputError, match=r"expected perpendicular axes, got sheared ones .*Resample it to an orthogonal"
    ):
        read_volume(tmp_path / "ct.nrrd")


@pytest.mark.parametrize("first", ["(0,0,0)", "(nan,0,0)"])
def test_spacing_that_is_not_positive_is_refused(tmp_path: Path, first: str) -> None:
    (tmp_path / "ct.nrrd").write_bytes(an_nrrd(f"space directions: {first} (0,1,0) (0,0,0.5)"))
    with pytest.raises(InputError, match="expected a spacing above 0 mm along each axis"):
        read_volume(tmp_path / "ct.nrrd")


@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
@pytest.mark.parametrize("x_mm", [0.0, -2.0, float("nan")])
def test_nifti_spacing_that_is_not_positive_is_refused(
    a_straight_ct: Volume, tmp_path: Path, x_mm: float, ending: str
) -> None:
    write_volume(tmp_path / "good.nii", a_straight_ct)
    content = bytearray((tmp_path / "good.nii").read_bytes())
    struct.pack_into("<f", content, 80, x_mm)
    (tmp_path / "bad.nii").write_bytes(content)
    if ending == "nii.gz":
        (tmp_path / "bad.nii.gz").write_bytes(gzip.compress(bytes(content), 1))
    with pytest.raises(InputError, match=r"got \((0\.0|-2\.0|nan), 1\.0, 0\.5\) in the NIfTI header"):
        read_volume(tmp_path / f"bad.{ending}")


def test_probability_map_is_no_label_map(tmp_path: Path) -> None:
    mask = a_mask({20: slice(10, 40)}, np.float32)
    write_volume(tmp_path / "soft.nrrd", replace(mask, voxels=mask.voxels * 0.033))
    with pytest.raises(InputError, match=r"whole numbers, got fractions between 0 and 0\.66"):
        read_labels(tmp_path / "soft.nrrd")


# CT


def test_good_ct_passes(a_ct: Volume) -> None:
    check_ct(a_ct)


@pytest.mark.parametrize(
    ("scale", "offset", "message"),
    [
        (1, 1024, r"got values from 24 to .*offset by 1024.*subtract 1024.*Rescale Intercept"),
        (255 / 3000, 86, "8-bit grey values; export the CT with its original"),
        (1 / 3000, 0.34, "scaled to a unit range"),
        (0.1, 0, "nothing as dark as air"),
        (0.1, -700, "nothing as bright as bone"),
        (0, 40, "every voxel is the same"),
    ],
)
def test_values_that_are_no_hu_are_named(a_straight_ct: Volume, scale: float, offset: float, message: str) -> None:
    voxels = (a_straight_ct.voxels * scale + offset).astype(np.float32)
    with pytest.raises(InputError, match=message):
        check_ct(Volume(voxels, a_straight_ct.grid))


def test_label_map_in_place_of_the_ct_is_named() -> None:
    with pytest.raises(InputError, match="looks like a label map; use it as the mask"):
        check_hounsfield(a_mask({20: slice(5, 9), 22: slice(10, 14)}).voxels)


def test_ct_smaller_than_a_vertebra_is_refused() -> None:
    with pytest.raises(InputError, match=r"at least 40 mm and 8 voxels .*got 100\.0 x 100\.0 x 39\.0 mm"):
        check_extent(Grid((100, 100, 39), (1, 1, 1)))
    with pytest.raises(InputError, match=r"\(100, 100, 7\) voxels; choose the whole series"):
        check_extent(Grid((100, 100, 7), (1, 1, 10)))
    check_extent(Grid((100, 100, 8), (1, 1, 5)))


@pytest.mark.parametrize("padding", [-2000, -3024, -32768])
def test_padding_and_a_little_metal_pass(a_straight_ct: Volume, padding: int) -> None:
    voxels = a_straight_ct.voxels.copy()
    voxels[:, :40] = padding  # most of the voxels
    voxels[50, 50, 20:30] = 30000
    check_hounsfield(voxels)


@pytest.mark.parametrize(
    ("slope", "intercept", "message"),
    [
        (20, 0, r"0\.1 % of them above \d{4,}: looks like stored values before Rescale Slope"),
        (1, -1400, r"half of them above -1[34]\d\d: a body and the air around it have a median from -1100 to 300"),
        (1, 700, r"half of them above 7\d\d: a body"),
    ],
)
def test_values_of_another_scale_are_refused(slope: float, intercept: float, message: str) -> None:
    """Soft tissue with bone and air: a body that fills most of the field."""
    tissue = np.random.default_rng(1).normal(40, 100, (30, 40, 50))
    tissue[:, :4], tissue[:, 4:8] = -1000, 600
    check_hounsfield(tissue)
    shifted = tissue * slope + intercept
    shifted[0, 0, :3] = (-1100, 150, 200)  # a few values cannot hide it
    with pytest.raises(InputError, match=message):
        check_hounsfield(np.where(shifted < -1100, -1100, shifted) if intercept > 0 else shifted)


def test_stored_values_with_padding_are_refused(a_straight_ct: Volume) -> None:
    stored = a_straight_ct.voxels + 1024
    stored[:, :9] = -2000
    with pytest.raises(InputError, match="apart from padding nothing below 0"):
        check_hounsfield(stored)


# Masks


def test_radiograph_guards_name_what_they_got() -> None:
    good = np.random.default_rng(1).random((64, 70), dtype=np.float32)
    check_radiograph(Radiograph(good, (0.2, 0.2)))
    wrong = {
        "got 63 x 70 ": Radiograph(good[:63]),
        "got the one value 3 everywhere": Radiograph(np.full((70, 70), 3, np.float32)),
        "got 1 NaN": Radiograph(np.where(good == good.max(), np.nan, good)),
        r"got shape \(1, 64, 70\)": Radiograph(good[None]),
        r"got \(0\.0, 0\.2\); check Imager Pixel Spacing": Radiograph(good, (0.0, 0.2)),
    }
    for message, radiograph in wrong.items():
        with pytest.raises(InputError, match=f"The AP radiograph: .*{message}"):
            check_radiograph(radiograph, "The AP radiograph")
