"""A synthetic CT written as a DICOM series: where its voxels are, what every slice says, whose it is."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import UID

from support.written_dicom import (
    DIRECTIONS,
    MADE_AT,
    PERSON,
    UNSURE,
    WEIGHTS_SHA256,
    WrittenResult,
    a_file_of_a_person,
    a_result,
    write_result,
)
from TomoRayLib.base.errors import InputError
from TomoRayLib.base.notices import NOTICE
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.dicom.writing.ct_series import ct_slices
from TomoRayLib.images.dicom.writing.identity import identity_in, nobody
from TomoRayLib.images.files import read_volume
from TomoRayLib.images.quiet import no_warnings
from TomoRayLib.images.types import Volume, volume_from_sitk


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> WrittenResult:
    return write_result(tmp_path_factory.mktemp("series") / "dicom")


def assert_same_voxels(found: Volume, expected: Volume) -> None:
    """Each voxel of either lies in the other, with its value; axes may run the other way."""
    assert sorted(found.grid.size) == sorted(expected.grid.size)
    index = np.indices(found.grid.shape).reshape(3, -1)[::-1]
    world = found.grid.index_to_world @ np.vstack([index, np.ones(index.shape[1])])
    i, j, k = (expected.grid.world_to_index @ world)[:3]
    places = np.rint([i, j, k]).astype(int)
    np.testing.assert_allclose([i, j, k], places, atol=1e-5)
    np.testing.assert_array_equal(found.voxels.ravel(), expected.voxels[places[2], places[1], places[0]])


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_two_readers_give_every_voxel_its_hu_at_its_place(tmp_path: Path, direction: str) -> None:
    written = write_result(tmp_path / "dicom", direction)
    assert_same_voxels(read_volume(written.folder / "ct"), written.synthetic)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(written.folder / "ct")))
    assert_same_voxels(volume_from_sitk(reader.Execute()), written.synthetic)


def test_a_synthetic_ct_is_told_from_a_real_one_when_it_is_read(written: WrittenResult) -> None:
    (said,) = read_volume(written.folder / "ct").warnings
    assert said.startswith("Synthetic Data (0008,001C) is YES")


def test_a_file_is_what_pydicom_itself_would_write(written: WrittenResult, tmp_path: Path) -> None:
    one = pydicom.dcmread(written.slices[7])
    again = BytesIO()
    one.save_as(again, enforce_file_format=True)
    assert again.getvalue() == written.slices[7].read_bytes()
    assert one.InstanceNumber == 8
    assert [path.name for path in written.slices[:2]] == ["0001.dcm", "0002.dcm"]


def test_every_text_that_a_viewer_shows_says_synthetic(written: WrittenResult) -> None:
    one = pydicom.dcmread(written.slices[0])
    shown = ("PatientName", "PatientID", "StudyDescription", "SeriesDescription", "ProtocolName", "ImageComments")
    for keyword in (*shown, "DerivationDescription", "StudyID"):
        assert "SYNTHETIC" in str(one[keyword].value), keyword
    assert list(one.ImageType) == ["DERIVED", "SECONDARY", "AXIAL", "SYNTHETIC"]
    assert one.SyntheticData == "YES"
    assert one.ImageComments == NOTICE
    assert WEIGHTS_SHA256 in one.DerivationDescription
    assert (one.Manufacturer, one.ManufacturerModelName, one.SoftwareVersions) == (
        "The TomoRay project",
        "geolift-s",
        "TomoRay 1.2.3",
    )


def test_the_overlay_marks_slices_and_leaves_voxels_alone(tmp_path: Path) -> None:
    grid = Grid((192, 64, 2), (1.0, 1.0, 1.0))
    series = ct_slices(Volume(np.zeros(grid.shape, np.int16), grid), nobody("a", MADE_AT), UNSURE, "a")
    overlay = series[0].overlay_array(0x6000)
    assert overlay.shape == (64, 192)
    assert overlay[:45].sum() == 0 < 200 < overlay[45:].sum() < 2000
    assert not np.frombuffer(series[0].PixelData, np.int16).any()
    narrow = ct_slices(
        Volume(np.zeros((2, 9, 9), np.int16), Grid((9, 9, 2), (1.0,) * 3)), nobody("a", MADE_AT), UNSURE, "a"
    )
    assert 0x60003000 not in narrow[0]


def test_nobody_is_named_and_uids_come_from_the_content(written: WrittenResult, tmp_path: Path) -> None:
    one = pydicom.dcmread(written.slices[0])
    assert (str(one.PatientName), one.PatientBirthDate, one.PatientSex) == ("SYNTHETIC^RESEARCH", "", "")
    assert one.PatientIdentityRemoved == "YES"
    again = write_result(tmp_path / "again")
    assert [a.read_bytes() == b.read_bytes() for a, b in zip(written.files, again.files, strict=True)] == [True] * 24
    later = write_result(tmp_path / "later", making=replace(UNSURE, made_at=MADE_AT.replace(hour=16)))
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID", "PatientID"):
        other = pydicom.dcmread(later.slices[0])[keyword].value
        assert other != one[keyword].value, keyword
    uids = {pydicom.dcmread(path).SOPInstanceUID for path in written.files}
    assert len(uids) == 24
    assert all(uid.startswith("2.25.") and UID(uid).is_valid for uid in uids)


def test_a_file_of_the_patient_files_everything_beside_it(tmp_path: Path) -> None:
    patient = identity_in(a_file_of_a_person(tmp_path))
    written = write_result(tmp_path / "dicom", patient=patient)
    for path in (written.slices[0], written.segmentation):
        one = pydicom.dcmread(path)
        for keyword, value in PERSON.items():
            assert str(one[keyword].value) == value, (path.name, keyword)
        assert "SYNTHETIC" in one.SeriesDescription
        assert "PatientIdentityRemoved" not in one
    assert pydicom.dcmread(written.slices[0]).FrameOfReferenceUID.startswith("2.25.")


@pytest.mark.parametrize(
    ("keyword", "value", "expected"),
    [
        ("PatientSex", "U", ""),
        ("PatientBirthDate", "1950", ""),
        ("StudyDate", "2026.01.02", "20260102"),
        ("StudyTime", "03:04:05.5", "030405.5"),
        ("StudyTime", "noon", ""),
        ("PatientName", "DOE", "DOE"),
        ("AccessionNumber", "A number that is too long", "A number that is too long"),
    ],
)
def test_odd_values_of_a_patients_file_do_not_stop_the_writing(
    tmp_path: Path, keyword: str, value: str, expected: str
) -> None:
    with no_warnings():
        written = write_result(
            tmp_path / "dicom", patient=identity_in(a_file_of_a_person(tmp_path, **{keyword: value}))
        )
        for path in (written.slices[0], written.segmentation):
            assert str(pydicom.dcmread(path)[keyword].value) == expected


@pytest.mark.parametrize(
    ("sets", "name"),
    [
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["ISO 2022 IR 13", "ISO 2022 IR 87"], "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        ("ISO_IR 126", "Διονυσιος"),
        ("ISO_IR 192", "Ødegård^Čeněk"),
    ],
)
def test_names_in_any_script_stay_what_they_are(tmp_path: Path, sets: str | list[str], name: str) -> None:
    person = a_file_of_a_person(tmp_path, PatientName=name, SpecificCharacterSet=sets)
    written = write_result(tmp_path / "dicom", patient=identity_in(person))
    for path in (written.slices[0], written.segmentation):
        one = pydicom.dcmread(path)
        assert str(one.PatientName) == name
        assert one.SpecificCharacterSet == sets


def test_the_same_result_under_a_name_has_other_uids(written: WrittenResult, tmp_path: Path) -> None:
    named = write_result(tmp_path / "dicom", patient=identity_in(a_file_of_a_person(tmp_path)))
    pair = [pydicom.dcmread(one.slices[0]).SOPInstanceUID for one in (written, named)]
    assert pair[0] != pair[1]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"StudyInstanceUID": ""}, "expected a Study Instance UID"),
        ({"PatientName": "", "PatientID": ""}, "expected a Patient ID"),
    ],
)
def test_a_file_without_study_or_patient_is_refused(tmp_path: Path, values: dict[str, str], expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        identity_in(a_file_of_a_person(tmp_path, **values))


def test_what_is_no_dicom_file_names_nobody(tmp_path: Path) -> None:
    (tmp_path / "ap.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"1" * 500)
    for path in (tmp_path / "ap.png", tmp_path):
        with pytest.raises(InputError, match="expected a DICOM file of the patient's study"):
            identity_in(path)


def test_other_voxels_than_int16_are_refused() -> None:
    synthetic, _ = a_result()
    with pytest.raises(ValueError, match="int16"):
        ct_slices(Volume(synthetic.voxels.astype(np.float32), synthetic.grid), nobody("a", MADE_AT), UNSURE, "a")


def test_positions_have_sixteen_characters_at_most() -> None:
    grid = Grid((4, 4, 3), (9.999999999999998,) * 3, (-99.99999999999999, 9.999999999999999, 1 / 3))
    for one in ct_slices(Volume(np.zeros(grid.shape, np.int16), grid), nobody("a", MADE_AT), UNSURE, "a"):
        for keyword in ("ImagePositionPatient", "PixelSpacing"):
            assert all(len(str(value)) <= 16 for value in one[keyword].value)
