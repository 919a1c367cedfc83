"""What the panel takes from a DICOM header, and what it says of it before the run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from support import panel_driver as drive
from support.panel_driver import shown_column
from support.slicer_data import a_lateral, a_picture, add_radiograph


def test_the_dicom_header_gives_geometry_and_orientation(panel, tmp_path: Path) -> None:
    """A radiograph from Slicer's DICOM database: MONOCHROME1, SID and spacing in the header."""
    import slicer

    path = tmp_path / "ap.dcm"
    stored = (3000 - 1000 * a_picture()).astype(np.uint16)  # MONOCHROME1: the bright column is stored dark
    distances = {"DistanceSourceToDetector": 1700.0, "DistanceSourceToPatient": 1200.0}
    display = {"PhotometricInterpretation": "MONOCHROME1", "PatientOrientation": ["R", "F"]}
    node = dicom_node(path, stored, "AP from DICOM", **display, **distances)
    row_mm, column_mm = 0.2, 0.3
    drive.choose_radiographs(panel, node, add_radiograph(a_lateral(), "lateral"))
    ui = panel.ui
    assert (ui.apSidSpinBox.value, ui.apSadSpinBox.value) == (1700.0, 1200.0)
    assert "(file)" in ui.apSidSpinBox.suffix
    assert "From: DICOM header." in ui.apSidSpinBox.toolTip
    assert "preset" in ui.lateralSidSpinBox.suffix
    assert panel.panel.request().inputs.ap_geometry.pixel_spacing_mm == pytest.approx((row_mm, column_mm))
    assert shown_column(ui.apPreview) > 0.5  # columns run to the patient's right in this file: mirrored for AP

    slicer.util.arrayFromVolume(node)[0, :40] = 7.0  # edited in Slicer: the file is no longer what is on the screen
    slicer.util.arrayFromVolumeModified(node)
    drive.settle()
    assert ui.apSidSpinBox.value == 1536.0
    assert "preset" in ui.apSidSpinBox.suffix


def dicom_node(path: Path, stored: np.ndarray, name: str, **values: object):
    """A volume node of a DICOM file in Slicer's database, as the DICOM module loads it."""
    import slicer
    from pydicom import dcmread

    from support.dicom_files import a_radiograph_file

    a_radiograph_file(path, stored, **values)
    uid = str(dcmread(path).SOPInstanceUID)
    slicer.dicomDatabase.register(uid, path)
    row_mm, column_mm = (float(value) for value in dcmread(path).ImagerPixelSpacing)
    node = add_radiograph(stored, name, (row_mm, column_mm))
    node.SetAttribute("DICOM.instanceUIDs", uid)
    return node


def test_a_plain_film_is_taken_for_one_at_a_wall_until_the_user_says_otherwise(panel, tmp_path: Path) -> None:
    from TomoRayLib.slicer.panel.parameters import DefaultGeometry

    stored = (1000 * a_picture()).astype(np.uint16)
    values = {"ImagerPixelSpacing": [0.9, 0.9], "DistanceSourceToDetector": 1800.0}
    film = dicom_node(tmp_path / "ap.dcm", stored, "AP", **values)
    drive.choose_radiographs(panel, film, add_radiograph(a_lateral(), "lateral", (0.9, 0.9)))
    ui = panel.ui
    assert (ui.apSidSpinBox.value, ui.apSadSpinBox.value) == (1800.0, 1500.0)
    assert "wall stand or table" in drive.status(panel)
    ui.apSadSpinBox.value = 1450.0
    drive.settle()
    assert "wall stand or table" not in drive.status(panel)
    drive.click(ui.rereadGeometryButton)
    ui.presetComboBox.currentIndex = list(DefaultGeometry).index(DefaultGeometry.C_ARM)
    drive.settle()
    assert ui.apSadSpinBox.value == pytest.approx(1171.9, abs=0.05)
    assert "(you)" not in ui.apSadSpinBox.suffix
    assert "wall stand or table" not in drive.status(panel)


def test_what_the_reader_warns_of_is_said_before_the_run(panel, tmp_path: Path) -> None:
    stored = (1000 * a_picture()).astype(np.uint16)
    values = {"ImagerPixelSpacing": [0.9, 0.9], "FieldOfViewDimensions": [324, 270]}  # three times the pixels' 108 x 90
    film = dicom_node(tmp_path / "ap.dcm", stored, "AP", **values)
    drive.choose_radiographs(panel, film, add_radiograph(a_lateral(), "lateral", (0.9, 0.9)))
    assert "was the image resized?" in drive.status(panel)
    panel.ui.apSadSpinBox.value = 1450.0
    drive.settle()
    assert "was the image resized?" in drive.status(panel)
    assert panel.ui.synthesizeButton.enabled


def test_distances_that_the_header_leaves_open_can_be_entered(panel, tmp_path: Path) -> None:
    stored = (1000 * a_picture()).astype(np.uint16)
    values = {"ImagerPixelSpacing": [0.9, 0.9], "DistanceSourceToPatient": 1600.0}
    film = dicom_node(tmp_path / "ap.dcm", stored, "AP", **values)
    drive.choose_radiographs(panel, film, add_radiograph(a_lateral(), "lateral", (0.9, 0.9)))
    ui = panel.ui
    assert "an SID together with the SAD of 1600 mm" in drive.status(panel)
    assert not ui.synthesizeButton.enabled
    assert ui.apSadSpinBox.value == 1600.0
    ui.apSidSpinBox.value = 1800.0
    drive.settle()
    assert ui.synthesizeButton.enabled
    geometry = panel.panel.request().inputs.ap_geometry
    assert (geometry.sid_mm, geometry.sad_mm) == (1800.0, 1600.0)


def test_positioner_angles_of_the_header_are_taken_over(panel, tmp_path: Path) -> None:
    stored = (1000 * a_picture()).astype(np.uint16)
    distances = {"DistanceSourceToDetector": 1100.0, "DistanceSourceToPatient": 700.0}
    angles = {"PositionerPrimaryAngle": -172.0, "PositionerSecondaryAngle": -6.0}
    film = dicom_node(
        tmp_path / "ap.dcm", stored, "AP", Modality="XA", ImagerPixelSpacing=[0.9, 0.9], **distances, **angles
    )
    drive.choose_radiographs(panel, film, add_radiograph(a_lateral(), "lateral", (0.9, 0.9)))
    assert panel.ui.apAngleSpinBox.value == pytest.approx(8.0)
    assert "(file)" in panel.ui.apAngleSpinBox.suffix
    geometry = panel.panel.request().inputs.ap_geometry
    assert (geometry.angle_deg, geometry.tilt_deg) == pytest.approx((8.0, 6.0))
