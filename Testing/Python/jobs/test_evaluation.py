"""A cohort from folder to tables: one phantom that can be scored and cases that cannot."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from support.command_line import tomoray
from support.tiny_model import SIZE
from TomoRayLib.base.errors import InputError
from TomoRayLib.evaluation import prepared
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.types import Volume
from TomoRayLib.images.writing import write_volume
from TomoRayLib.jobs.demonstration_phantom import phantom_volumes
from TomoRayLib.jobs.evaluation import run_evaluation
from TomoRayLib.jobs.evaluation_cases import names_in
from TomoRayLib.jobs.evaluation_job import EvaluationJob
from TomoRayLib.jobs.events import Event, ExitCode, Finished, Warned
from TomoRayLib.jobs.failures import run_guarded
from TomoRayLib.report.cohort_tables import PARQUET_NAMES, TABLE_NAMES
from TomoRayLib.synthesis.acquisition import vertebrae_center_mm
from TomoRayLib.synthesis.model_run import LINEAR
from TomoRayLib.synthesis.truth import ground_truth

ROOT = Path(__file__).resolve().parents[3]
Events = list[Event]


def shared_data() -> Path | None:
    """``shared/data`` next to the checkout or further up, with real CTs that the repository must not hold."""
    places = [parent / "shared" / "data" for parent in ROOT.parents]
    return next((place for place in places if (place / "verse").is_dir()), None)


def evaluated(folder: Path, out: Path, **options: Any) -> Events:
    events: Events = []
    run_evaluation(EvaluationJob(str(folder), str(out), workers=1, **options), events.append)
    return events


def lines_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


pytestmark = pytest.mark.usefixtures("small_network")


@pytest.fixture(scope="module")
def a_cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VerSe's layout: a phantom, its CT without anything but air, and a subject without mask."""
    folder = tmp_path_factory.mktemp("cohort")
    ct, labels = phantom_volumes()
    air = Volume(np.full_like(ct.voxels, -1000.0), ct.grid)
    for subject, volume in (("sub-verse901", ct), ("sub-verse902", air), ("sub-verse903", ct)):
        place = folder / "rawdata" / subject
        place.mkdir(parents=True)
        if subject == "sub-verse903":
            (place / f"{subject}_ct.nii.gz").touch()
            continue
        write_volume(place / f"{subject}_ct.nii.gz", volume)
        mask = folder / "derivatives" / subject
        mask.mkdir(parents=True)
        write_volume(mask / f"{subject}_seg-vert_msk.nii.gz", labels)
    return folder


@pytest.fixture(scope="module")
def an_evaluation(a_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Events]:
    out = tmp_path_factory.mktemp("evaluation") / "tables"
    return out, evaluated(a_cohort, out)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The reading of a CT replaced by one that only notes it and fails: shows which cases are computed anew."""
    asked: list[str] = []

    def refuse(files: Any, *_: Any) -> Any:
        asked.append(Path(files.ct).name)
        raise InputError("not scored in this test")

    monkeypatch.setattr(prepared, "_prepared", refuse)
    return asked


def test_a_case_that_fails_is_listed_and_does_not_stop_the_others(an_evaluation: tuple[Path, Events]) -> None:
    out, events = an_evaluation
    assert isinstance(events[-1], Finished)
    assert (events[-1].values["scored"], events[-1].values["failed"]) == (1, 1)
    assert {path.name for path in out.iterdir() if path.is_file() and path.name[0] != "."} == {
        *TABLE_NAMES,
        *PARQUET_NAMES,
    }
    failed, left_out = lines_of(out / "not_scored.csv")
    assert (failed["what"], failed["name"]) == ("failed", "sub-verse902")
    assert "every voxel is the same" in failed["reason"]
    assert left_out["name"] == "rawdata/sub-verse903/sub-verse903_ct.nii.gz"
    assert any(isinstance(event, Warned) and "sub-verse902 failed" in event.text for event in events)


@pytest.mark.usefixtures("no_network")
def test_a_gpu_that_pytorch_has_no_code_for_is_told(
    a_cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (12, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "a newer one")
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_80"])
    events: Events = []
    with pytest.raises(InputError, match="at least one of 2 cases"):
        run_evaluation(EvaluationJob(str(a_cohort), str(tmp_path / "out"), workers=1), events.append)
    warnings = [event.text for event in events if isinstance(event, Warned)]
    assert any("has no code for the GPU a newer one" in text and "CPU is used" in text for text in warnings)


def test_a_case_has_a_row_for_tomoray_and_for_both_floors(an_evaluation: tuple[Path, Events]) -> None:
    rows = {line["row"]: line for line in lines_of(an_evaluation[0] / "cases.csv")}
    assert list(rows) == ["tomoray", "blank", "mean_atlas"]
    assert {line["case"] for line in rows.values()} == {"sub-verse901"}
    assert rows["blank"]["cosine_similarity"] == "0.0"
    assert 0 < float(rows["tomoray"]["cosine_similarity"]) < 1


def test_the_blank_row_is_the_energy_of_the_truth(an_evaluation: tuple[Path, Events]) -> None:
    """-10 log10 of the mean square of the target, made here without the evaluation."""
    ct, labels = phantom_volumes()
    truth = ground_truth(ct, labels, Grid.cube(vertebrae_center_mm(labels), 256.0, SIZE), LINEAR)
    expected_db = -10 * np.log10(np.mean(truth.grey.astype(float) ** 2))
    blank = next(line for line in lines_of(an_evaluation[0] / "cases.csv") if line["row"] == "blank")
    assert float(blank["psnr_3d_db"]) == pytest.approx(expected_db, abs=0.01)


def test_the_summary_says_how_the_scores_were_made(an_evaluation: tuple[Path, Events]) -> None:
    content = json.loads((an_evaluation[0] / "summary.json").read_text(encoding="utf-8"))
    settings = content["settings"]
    assert settings["models"]["tomoray"]["id"] == "geolift-s"
    assert len(settings["models"]["tomoray"]["weights_sha256"]) == 64
    assert (settings["fov_mm"], settings["quantisation"], settings["case_list"]) == (256.0, "linear", "all cases")
    assert settings["models"]["tomoray"]["made_from"]
    assert content["statistics"]["all"]["tomoray"]["cosine_similarity"]["n"] == 1


def test_resuming_scores_only_what_has_no_score(
    a_cohort: Path, an_evaluation: tuple[Path, Events], no_network: list[str], tmp_path: Path
) -> None:
    """The failed case is tried again, the scored one is not, and the tables are the same."""
    out = tmp_path / "tables"
    shutil.copytree(an_evaluation[0], out)
    before = (out / "cases.csv").read_text(encoding="utf-8")
    evaluated(a_cohort, out, resume=True)
    assert no_network == ["sub-verse902_ct.nii.gz"]
    assert (out / "cases.csv").read_text(encoding="utf-8") == before


def test_other_settings_or_no_resume_score_everything_anew(
    a_cohort: Path, an_evaluation: tuple[Path, Events], no_network: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "tables"
    shutil.copytree(an_evaluation[0], out)
    for options in ({"resume": True, "fov_mm": 192.0}, {"resume": True, "quantisation": "equal_frequency"}, {}):
        no_network.clear()
        with pytest.raises(InputError, match="at least one of 2 cases"):
            evaluated(a_cohort, out, **options)
        assert no_network == ["sub-verse901_ct.nii.gz", "sub-verse902_ct.nii.gz"]


def test_a_changed_segmentation_is_scored_anew(
    a_cohort: Path, an_evaluation: tuple[Path, Events], no_network: list[str], tmp_path: Path
) -> None:
    cohort, out = tmp_path / "cohort", tmp_path / "tables"
    shutil.copytree(a_cohort, cohort)
    shutil.copytree(an_evaluation[0], out)
    mask = cohort / "derivatives" / "sub-verse901" / "sub-verse901_seg-vert_msk.nii.gz"
    ct, labels = phantom_volumes()
    write_volume(mask, Volume(np.where(labels.voxels == 20, 0, labels.voxels), ct.grid))
    with pytest.raises(InputError, match="at least one of 2 cases"):
        evaluated(cohort, out, resume=True)
    assert "sub-verse901_ct.nii.gz" in no_network


def test_a_changed_table_of_names_beside_the_mask_is_scored_anew(
    a_cohort: Path, an_evaluation: tuple[Path, Events], no_network: list[str], tmp_path: Path
) -> None:
    cohort, out = tmp_path / "cohort", tmp_path / "tables"
    shutil.copytree(a_cohort, cohort)
    shutil.copytree(an_evaluation[0], out)
    table = cohort / "derivatives" / "sub-verse901" / "dataset.json"
    table.write_text('{"labels": {"background": 0, "L1": 19}}', encoding="utf-8")
    with pytest.raises(InputError, match="at least one of 2 cases"):
        evaluated(cohort, out, resume=True)
    assert "sub-verse901_ct.nii.gz" in no_network


def test_damaged_stages_and_records_are_made_anew(
    a_cohort: Path, an_evaluation: tuple[Path, Events], no_network: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "tables"
    shutil.copytree(an_evaluation[0], out)
    for stage in (out / "stages").rglob("*.npz"):
        stage.write_bytes(stage.read_bytes()[:-40])
    (out / "cases" / "sub-verse901.json").write_text('{"case": ')
    with pytest.raises(InputError):
        evaluated(a_cohort, out, resume=True)
    assert no_network[0] == "sub-verse901_ct.nii.gz"


def test_where_no_case_is_scored_the_tables_still_say_why(
    a_cohort: Path, no_network: list[str], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"got none; the first reason: sub-verse901: not scored in this test .*csv"):
        evaluated(a_cohort, tmp_path / "out")
    assert [line["name"] for line in lines_of(tmp_path / "out" / "not_scored.csv")][:2] == [
        "sub-verse901",
        "sub-verse902",
    ]


def test_masks_that_cannot_be_right_are_listed_with_their_reason(tmp_path: Path) -> None:
    """The phantom's labels moved into the air beside it, and numbered from the feet up."""
    ct, labels = phantom_volumes()
    present = np.unique(labels.voxels)
    upwards = np.zeros(int(present.max()) + 1, labels.voxels.dtype)
    upwards[present[1:]] = present[:0:-1]
    beside = np.roll(labels.voxels, labels.grid.size[0] // 2 - 4, axis=2)
    (tmp_path / "cases").mkdir()
    for name, voxels in (("beside", beside), ("upwards", upwards[labels.voxels])):
        write_volume(tmp_path / "cases" / f"{name}.nrrd", ct, compressed=False)
        write_volume(tmp_path / "cases" / f"{name}_seg.nrrd", Volume(voxels, labels.grid))
    with pytest.raises(InputError, match="got none; the first reason: beside"):
        evaluated(tmp_path / "cases", tmp_path / "out")
    reasons = {line["name"]: line["reason"] for line in lines_of(tmp_path / "out" / "not_scored.csv")}
    assert "at least 40 HU denser than their surroundings" in reasons["beside"]
    assert "which VerSe's numbering does not explain" in reasons["upwards"]


def test_an_internal_error_in_one_case_is_told_from_its_input(
    a_cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("somewhere deep")

    monkeypatch.setattr(prepared, "_prepared", broken)
    events: Events = []
    with pytest.raises(InputError):
        run_evaluation(EvaluationJob(str(a_cohort), str(tmp_path / "out"), workers=1), events.append)
    warning = next(event for event in events if isinstance(event, Warned) and "failed:" in event.text)
    assert "Internal error in TomoRay (ZeroDivisionError: somewhere deep)" in warning.text
    assert "broken" in warning.details


def test_an_interrupted_evaluation_keeps_what_it_scored_and_says_so(
    a_cohort: Path, an_evaluation: tuple[Path, Events], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(prepared, "_prepared", interrupted)
    out = tmp_path / "tables"
    for part in ("cases", "stages"):
        shutil.copytree(an_evaluation[0] / part, out / part)
    job, events = EvaluationJob(str(a_cohort), str(out), resume=True, workers=1), []
    code = run_guarded(lambda: run_evaluation(job, events.append), events.append, "what is scored is kept")
    assert (code, events[-1].message) == (ExitCode.INTERRUPTED, "Interrupted; what is scored is kept.")
    assert {path.name for path in (out / "cases").iterdir()} == {"sub-verse901.json", "sub-verse901.html"}
    assert not (out / "cases.csv").exists()


def test_only_the_cases_of_a_list_are_scored(a_cohort: Path, no_network: list[str], tmp_path: Path) -> None:
    names = tmp_path / "split.txt"
    names.write_text("# seed 7\n\nsub-verse902  # second\n")
    assert names_in(names) == ["sub-verse902"]
    with pytest.raises(InputError, match="one of 1 cases"):
        evaluated(a_cohort, tmp_path / "out", cases=str(names))
    assert no_network == ["sub-verse902_ct.nii.gz"]
    with pytest.raises(InputError, match="cannot be read"):
        names_in(tmp_path / "absent.txt")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("absent --out out", "which is not a folder"),
        ("EMPTY --out out", "no volume at all"),
        ("COHORT --out COHORT", "which holds the cases"),
        ("COHORT --out out --fov 200", "256 or 192"),
        ("COHORT --out out --model nobody", "geolift-s"),
        ("COHORT --out out --geometry absent.json", "absent.json"),
        ("COHORT --out out --cases absent.txt", "absent.txt"),
    ],
)
def test_a_wrong_command_gets_a_sentence_and_leaves_nothing(
    words: str, sentence: str, a_cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    before = sorted(a_cohort.rglob("*"))
    result = tomoray("evaluate", *words.replace("COHORT", str(a_cohort)).replace("EMPTY", "empty").split())
    assert result.returncode == 2, result.stderr
    assert sentence in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()
    assert sorted(a_cohort.rglob("*")) == before


def test_the_command_scores_totalsegmentators_folders_and_prints_the_table(tmp_path: Path) -> None:
    ct, labels = phantom_volumes()
    case = tmp_path / "cohort" / "s0001"
    (case / "segmentations").mkdir(parents=True)
    write_volume(case / "ct.nii.gz", ct)
    for name, label in (("L2", 21), ("L3", 22)):
        mask = (labels.voxels == label).astype(np.uint8)
        write_volume(case / "segmentations" / f"vertebrae_{name}.nii.gz", Volume(mask, labels.grid))
    result = tomoray("evaluate", str(tmp_path / "cohort"), "--out", str(tmp_path / "out"), "--workers", "1")
    assert result.returncode == 0, result.stderr
    assert "1 case scored, 0 failed" in " ".join(result.stdout.split())
    vertebrae = {line["name"] for line in lines_of(tmp_path / "out" / "vertebrae.csv")}
    assert vertebrae == {"L2", "L3"}


@pytest.mark.slow
def test_real_cases_are_found_and_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the real network."""
    monkeypatch.delenv("TOMORAY_MODELS")
    data = shared_data()
    if data is None:
        pytest.skip("the real CTs of shared/data are not next to this checkout")
    names = tmp_path / "names.txt"
    names.write_text("sub-verse014\nsub-verse230\n")  # the folder may hold more people
    events = evaluated(data / "verse", tmp_path / "out", cases=str(names), include_seen=True)
    assert events[-1].values["scored"] == 2
    rows = {(line["case"], line["row"]): line for line in lines_of(tmp_path / "out" / "cases.csv")}
    assert rows["sub-verse230", "tomoray"]["regions"] == "cervical thoracic"
    assert rows["sub-verse014", "tomoray"]["regions"] == "lumbar"
    for case in ("sub-verse014", "sub-verse230"):
        assert float(rows[case, "tomoray"]["cosine_similarity"]) > 0.1
        assert float(rows[case, "blank"]["dice"]) == 0
