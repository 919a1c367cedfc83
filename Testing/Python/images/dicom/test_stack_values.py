"""HU of CT stacks in each of their forms: rescaling, units, padding, bits and compression."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import JPEGLSNearLossless, RLELossless

from support.dicom_files import a_dataset
from support.dicom_stacks import (
    CT_CLASS,
    STACK_UID,
    a_lopsided_ct,
    assert_same,
    forms,
    slices_of,
    write_enhanced,
    write_folder,
    write_stack,
)
from support.dicom_syntaxes import BRIGHT, BRIGHT_NEAR_LOSSLESS, COMPRESSED, NATIVE, PICTURE, save_in_syntax
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.files import read_volume
from TomoRayLib.images.types import Volume


def test_a_slice_without_the_rescale_of_the_others_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "series", slices_of(a_lopsided_ct()))
    path = next(folder.iterdir())
    dataset = pydicom.dcmread(path)
    del dataset.RescaleSlope, dataset.RescaleIntercept
    dataset.save_as(path)
    with pytest.raises(InputError, match=rf"Slope and Intercept .* got 1 of \d+ without both \(such as {path.name}\)"):
        read_volume(folder)


@forms
@pytest.mark.parametrize("keyword", ["RescaleIntercept", "RescaleSlope"])
def test_a_slice_without_rescaling_among_others_is_refused(tmp_path: Path, form: str, keyword: str) -> None:
    slices = slices_of(a_lopsided_ct())
    slices[3] = replace(slices[3], more={keyword: None})
    with pytest.raises(InputError, match=r"in every slice, got 1 of 8 without both \(such as"):
        read_volume(write_stack(form, tmp_path, slices))


@forms
def test_stored_values_without_any_rescaling_are_hu(tmp_path: Path, form: str) -> None:
    ct = a_lopsided_ct()
    lifted = replace(ct, voxels=ct.voxels - ct.voxels.min())  # the support's slices are unsigned
    none = {"RescaleSlope": None, "RescaleIntercept": None}
    slices = [replace(slice_, rescale=(1.0, 0.0), more=none) for slice_ in slices_of(lifted)]
    assert_same(read_volume(write_stack(form, tmp_path, slices)), lifted)


def test_a_stack_in_another_unit_is_refused(tmp_path: Path) -> None:
    slices = [replace(slice_, spacing_mm=(0.001, 0.002)) for slice_ in slices_of(a_lopsided_ct())]
    with pytest.raises(InputError, match=r"voxels of 0\.05 to 20 mm, got 0\.002 x 0\.001 x 3 mm \(Pixel Spacing"):
        read_volume(write_folder(tmp_path / "series", slices))


@forms
def test_each_slice_has_its_own_slope_and_intercept(tmp_path: Path, form: str) -> None:
    ct = a_lopsided_ct()
    slices = [replace(slice_, rescale=(1 + k % 2 * 4, -1000 - 5 * k)) for k, slice_ in enumerate(slices_of(ct))]
    assert_same(read_volume(write_stack(form, tmp_path, slices)), ct)


@forms
def test_fractional_slopes_are_not_cut_to_whole_numbers(tmp_path: Path, form: str) -> None:
    ct = a_lopsided_ct()
    slices = [replace(slice_, rescale=(0.5 if k else 1.0, -1024.25)) for k, slice_ in enumerate(slices_of(ct))]
    voxels = read_volume(write_stack(form, tmp_path, slices)).voxels
    right = [slice_.stored() * slice_.rescale[0] + slice_.rescale[1] for slice_ in slices]
    assert voxels.dtype == np.float32
    np.testing.assert_allclose(voxels, right, rtol=0, atol=1e-4)


def test_inverted_display_does_not_invert_hu(tmp_path: Path) -> None:
    ct = a_lopsided_ct()
    plain = read_volume(write_folder(tmp_path / "series", slices_of(ct)))
    inverse = [
        replace(s, more={"PhotometricInterpretation": "MONOCHROME1"} if k % 2 else {})
        for k, s in enumerate(slices_of(ct))
    ]
    assert_same(read_volume(write_folder(tmp_path / "inverse", inverse)), plain)
    path = write_enhanced(tmp_path / "ct.dcm", slices_of(ct), PhotometricInterpretation="MONOCHROME1")
    assert_same(read_volume(path), plain)


def test_bits_and_sign_may_differ_from_slice_to_slice(tmp_path: Path) -> None:
    ct = a_lopsided_ct()
    folder = write_folder(tmp_path / "series", slices_of(ct))
    for number, path in enumerate(sorted(folder.iterdir())[:4]):
        dataset = pydicom.dcmread(path)
        hu = dataset.pixel_array.astype(np.int32) - 1024
        if number % 2:
            dataset.PixelRepresentation, dataset.RescaleIntercept = 1, 0
            dataset.BitsStored, dataset.HighBit = 12, 11
            dataset.PixelData = ((hu & 0xFFF) | 0x5000).astype("<u2").tobytes()  # something lies in the unused bits
        else:
            dataset.BitsStored, dataset.HighBit = 12, 11
        dataset.save_as(path)
    assert_same(read_volume(folder), ct)


def by_simpleitk(folder: Path, stored: np.ndarray, compressor: str) -> pydicom.Dataset:
    """One 16-bit image compressed by GDCM."""
    writer = sitk.ImageFileWriter()
    writer.SetFileName(str(folder / "compressed.dcm"))
    writer.SetImageIO("GDCMImageIO")
    writer.SetUseCompression(True)
    writer.SetCompressor(compressor)
    writer.Execute(sitk.GetImageFromArray(stored[None]))
    return pydicom.dcmread(folder / "compressed.dcm")


def compressed(folder: Path, stored: np.ndarray, kind: str) -> tuple[str, list[bytes]]:
    """The transfer syntax and one compressed frame for each slice of ``stored`` (n, rows, columns)."""
    if kind == "RLE":
        frames = []
        for pixels in stored:
            dataset = a_dataset("1.2.840.10008.5.1.4.1.1.2", np.ascontiguousarray(pixels))
            dataset.compress(RLELossless)
            frames.append(next(generate_frames(dataset.PixelData, number_of_frames=1)))
        return RLELossless, frames
    datasets = [by_simpleitk(folder, pixels, kind) for pixels in stored]
    return datasets[0].file_meta.TransferSyntaxUID, [
        next(generate_frames(dataset.PixelData, number_of_frames=1)) for dataset in datasets
    ]


@pytest.mark.parametrize("kind", ["RLE", "JPEG", "JPEG2000"])
def test_compressed_slices_and_frames_equal_their_plain_twins(tmp_path: Path, kind: str) -> None:
    ct = a_lopsided_ct()
    tiled = Volume(np.tile(ct.voxels, (1, 6, 8)), replace(ct.grid, size=(40, 36, 8)))
    slices = slices_of(tiled)
    syntax, frames = compressed(tmp_path, np.stack([slice_.stored() for slice_ in slices]), kind)
    folder = write_folder(tmp_path / "series", slices)
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.PixelData = encapsulate([frames[len(slices) - dataset.InstanceNumber]])
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.save_as(path)
    assert_same(read_volume(folder), tiled)
    dataset = pydicom.dcmread(write_enhanced(tmp_path / "ct.dcm", slices))
    dataset.PixelData = encapsulate(frames)
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(tmp_path / "ct.dcm")
    assert_same(read_volume(tmp_path / "ct.dcm"), tiled)


@forms
def test_padding_as_dark_as_air_is_left_and_bright_padding_becomes_air(tmp_path: Path, form: str) -> None:
    ct = a_lopsided_ct()
    slices = []
    for slice_ in slices_of(ct):
        hu = slice_.hu.copy()
        hu[0, :3] = 0
        hu[3, 2] = 0  # the padding's value amid the body
        slices.append(replace(slice_, hu=hu))
    volume = read_volume(write_stack(form, tmp_path, slices, PixelPaddingValue=1024))
    assert (volume.voxels[:, 0, :3] == -1024).all()
    assert (volume.voxels[:, 3, 2] == 0).all()
    np.testing.assert_array_equal(volume.voxels[:, 1:3], ct.voxels[:, 1:3])
    assert volume.notes == ("Pixel Padding Value (0028,0120): set to air (-1024 HU) in 8 slices.",)


def test_padding_of_minus_2000_written_as_63536_is_air(tmp_path: Path) -> None:
    slices = slices_of(a_lopsided_ct())
    folder = write_folder(tmp_path / "series", slices, PixelPaddingValue=63536)
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        stored = dataset.pixel_array.copy()
        stored[0] = 63536
        dataset.PixelData = stored.tobytes()
        dataset.save_as(path)
    volume = read_volume(folder)
    assert (volume.voxels[:, 0] == -1024).all()
    assert volume.voxels.max() < 700


@forms
def test_other_quantities_than_hu_are_refused_and_unspecified_ones_are_warned_of(tmp_path: Path, form: str) -> None:
    ct = a_lopsided_ct()
    for kind in ("OD", "ED", "US"):
        (tmp_path / kind).mkdir()
        slices = [replace(slice_, more={"RescaleType": kind}) for slice_ in slices_of(ct)]
        path = write_stack(form, tmp_path / kind, slices)
        if kind == "US":
            volume = read_volume(path)
            assert_same(volume, ct)
            assert "Rescale Type (0028,1054) is US" in volume.warnings[0]
        else:
            with pytest.raises(InputError, match=rf"Rescale Type \(0028,1054\) HU, got {kind}"):
                read_volume(path)


def test_lossy_compression_is_noted(tmp_path: Path) -> None:
    values = {"LossyImageCompression": "01", "LossyImageCompressionRatio": 8}
    volume = read_volume(write_folder(tmp_path / "series", slices_of(a_lopsided_ct()), **values))
    assert volume.notes == (
        "Lossy Image Compression (0028,2110), 8 : 1: grey values are not those that were acquired.",
    )


def test_metal_that_lossy_compression_carried_beyond_the_stored_bits_stays_bright(tmp_path: Path) -> None:
    slices = [replace(s, hu=BRIGHT.astype(float) - 1024) for s in slices_of(a_lopsided_ct())]
    folder = write_folder(tmp_path / "series", slices)
    for file in folder.iterdir():
        dataset = pydicom.dcmread(file)
        dataset.PixelData = encapsulate([BRIGHT_NEAR_LOSSLESS])
        dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
        dataset.file_meta.TransferSyntaxUID, dataset.BitsStored, dataset.HighBit = JPEGLSNearLossless, 12, 11
        dataset.save_as(file, enforce_file_format=True)
    voxels = read_volume(folder).voxels.astype(int)
    assert voxels.max() == 3071
    assert np.abs(voxels - (BRIGHT.astype(int) - 1024)).max() <= 3


@pytest.mark.parametrize("syntax", ["", *NATIVE, *COMPRESSED])
def test_every_transfer_syntax_gives_the_plain_values(tmp_path: Path, syntax: str) -> None:
    place = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [1, 1], "RescaleIntercept": -1024}
    values = {"Modality": "CT", "BitsStored": 12, "HighBit": 11, "SeriesInstanceUID": STACK_UID, **place}
    (tmp_path / "series").mkdir()
    for k in range(2):
        dataset = a_dataset(CT_CLASS, PICTURE, ImagePositionPatient=[0, 0, 2 * k], RescaleSlope=1, **values)
        save_in_syntax(dataset, tmp_path / "series" / f"{k}", syntax)
    voxels = read_volume(tmp_path / "series").voxels
    np.testing.assert_array_equal(voxels, [PICTURE.astype(np.int32) - 1024] * 2)
