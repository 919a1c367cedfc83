"""A cohort and a model that tells vertebrae apart: what it finds and names over all cases together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.command_line import tomoray
from support.labelled_cts import written
from support.tiny_model import write_tiny_model
from TomoRayLib import weights
from TomoRayLib.report.vertebra_section import FLOORS_SENTENCE

SUMS = ("whole", "found", "named", "named_up_to_shift", "extra")


@pytest.fixture(scope="module")
def a_cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two CTs of unlike many vertebrae."""
    folder = tmp_path_factory.mktemp("cohort")
    for name, labels in (("sub-a", (19, 20, 21, 22)), ("sub-b", (20, 21))):
        written(folder / f"{name}_ct.nii.gz", folder / f"{name}_seg.nii.gz", labels)
    return folder


def test_the_command_pools_what_its_cases_count_and_so_does_a_resumed_one(
    a_cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiny_model(tmp_path / "models", counts=True)
    monkeypatch.setattr(weights, "models_folder", lambda: tmp_path / "models")
    out = tmp_path / "out"
    for more in ((), ("--resume",)):
        result = tomoray("evaluate", str(a_cohort), "--out", str(out), "--workers", "1", *more)
        assert result.returncode == 0, result.stderr
        cases = [
            json.loads(path.read_text(encoding="utf-8"))["metrics"]["countings"]["tomoray"]
            for path in sorted(out.glob("cases/*.json"))
        ]
        whole = [case["counts"]["whole"] for case in cases]
        assert whole == [4, 2]
        summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))["counting"]["tomoray"]
        assert {name: summary[name] for name in SUMS} == {
            name: sum(case["counts"][name] for case in cases) for name in SUMS
        }
        assert (summary["cases"], summary["cases_not_counted"]) == (2, 0)
        unsure = sum(case["numbering"] == "unsure" for case in cases)
        assert summary["cases_unsure"] == unsure == 2
        beginning, end = "Whole vertebrae in view: 6 in 2 cases; ", f"unsure in 2 of 2 cases. {FLOORS_SENTENCE}"
        for text in (result.stdout, (out / "summary.html").read_text(encoding="utf-8")):
            assert beginning in text
            assert end in text
    lines = tomoray(
        "evaluate", str(a_cohort), "--out", str(out), "--workers", "1", "--resume", "--json"
    ).stdout.splitlines()
    assert json.loads(lines[-1])["counting"] == {"tomoray": summary}


@pytest.mark.usefixtures("tiny_model")
def test_a_model_that_does_not_count_has_nothing_to_pool(a_cohort: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = tomoray("evaluate", str(a_cohort), "--out", str(out), "--workers", "1")
    assert result.returncode == 0, result.stderr
    assert "counting" not in json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert "vertebrae in view" not in result.stdout + (out / "summary.html").read_text(encoding="utf-8")
