"""The campaign of marked patients: its marks are in the files, and nowhere else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Faults"))
import marked_patient
import markers

from support.byte_search import words_below


def test_every_mark_is_in_the_patient_s_files(tmp_path: Path) -> None:
    marked_patient.write_radiographs(tmp_path / "pair")
    wanted = {word for texts in marked_patient.words().values() for word in texts} - {"1.2.3.4"}
    wanted -= set(marked_patient.words()["FrameOfReferenceUID"])  # projection radiographs have none
    assert set(words_below(tmp_path, wanted)["pair/ap.dcm"]) == wanted


@pytest.mark.slow
def test_no_mark_is_lost(tmp_path: Path) -> None:
    for row in markers.results(False, tmp_path):
        assert row.tried > 0
        assert row.lost == []
