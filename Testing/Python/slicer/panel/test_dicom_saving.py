"""Save as DICOM: the button writes the current case, asks for what is missing, and says what it did."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest

from support import panel_driver as drive
from support.results_folders import write_results
from TomoRayLib.base.notices import SHORT


@pytest.fixture
def a_case(panel, tmp_path: Path):
    from TomoRayLib.slicer.scene.case_nodes import add_case

    case = add_case(write_results(tmp_path / "results"), "case")
    panel.panel.parameters.currentCase = case.synthetic
    drive.settle()
    return case


def test_the_button_writes_the_current_case(panel, slicer_host, a_case, tmp_path: Path) -> None:
    slicer_host.dialogs.answer_file(tmp_path)
    drive.click(panel.dicomSaving.button)
    folder = tmp_path / "TomoRay_DICOM"
    assert str(folder) in drive.status(panel)
    assert SHORT in drive.status(panel)
    assert len(list((folder / "ct").iterdir())) == 40
    assert SHORT in str(pydicom.dcmread(folder / "vertebrae.dcm").PatientName)


def test_nothing_is_written_if_no_folder_is_chosen(panel, a_case, tmp_path: Path) -> None:
    before = drive.status(panel)
    drive.click(panel.dicomSaving.button)
    assert drive.status(panel) == before
    assert not list(tmp_path.rglob("*.dcm"))


def test_a_folder_that_cannot_be_written_is_told(panel, slicer_host, a_case, tmp_path: Path) -> None:
    (tmp_path / "TomoRay_DICOM").write_text("not a folder")
    slicer_host.dialogs.answer_file(tmp_path)
    drive.click(panel.dicomSaving.button)
    assert "TomoRay_DICOM" in drive.status(panel)
    assert (tmp_path / "TomoRay_DICOM").read_text(encoding="utf-8") == "not a folder"


def test_without_highdicom_it_says_what_to_install(
    panel, slicer_host, a_case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "highdicom" else found(name))
    slicer_host.dialogs.answer_file(tmp_path)
    drive.click(panel.dicomSaving.button)
    assert "highdicom" in drive.status(panel)
    assert not (tmp_path / "TomoRay_DICOM").exists()


def test_there_is_nothing_to_save_without_a_case(panel) -> None:
    assert not panel.dicomSaving.button.enabled
    assert panel.ui.compareButtons.layout().indexOf(panel.dicomSaving.button) >= 0
