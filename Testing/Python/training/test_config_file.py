"""A run as a TOML file: the keys that there are, what a wrong one is told, and the run that it describes."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from support.anatomies import a_coarse_anatomy
from support.labelled_cts import written
from support.training_runs import TINY
from support.validation_data import moved_away
from TomoRayLib.base.toml_files import read_toml
from TomoRayLib.images.cohort_finder import CohortCase
from TomoRayLib.images.files import read_labels
from TomoRayLib.images.writing import write_volume
from TomoRayLib.training import run as experiment
from TomoRayLib.training.config_file import StageConfig, read_config
from TomoRayLib.training.data.anatomy import Anatomy
from TomoRayLib.training.data.licences import CASES, WATCHED, from_record, recorded_sources
from TomoRayLib.training.data.training_cases import TrainingCases
from TomoRayLib.training.engine import trainer as loop
from TomoRayLib.training.engine.checkpoints import averaged_weights
from TomoRayLib.training.engine.trainer_config import TrainingConfig
from TomoRayLib.training.run import find_data, run_config, settings_of_stage
from TomoRayLib.training.segmenter.run import SegmenterRun

EXAMPLES = sorted((Path(__file__).resolve().parents[3] / "docs" / "configurations").glob("*.toml"))
NETWORK = """
[stages.training.network]
image_widths = [4, 4, 8, 8, 8]
volume_widths = [4, 4, 4, 8, 8]
convolutions = [1, 1, 1, 1, 1]
output_size = 32
"""
RUN = f"""
[data]
cohorts = ["cohort"]
held_out = ["b"]

[[stages]]
name = "coarse"
epochs = 2
[stages.training]
batch_size = 1
precision = "32-true"
workers = 0
loss = {{ squared = 2, edge = 0.0 }}
{NETWORK}
[stages.stream]
size = 32
kept = 1
scene = {{ spacing_mm = 8 }}

[[stages]]
name = "fine"
[stages.training]
steps = 1
batch_size = 1
finest_level = 0
precision = "32-true"
workers = 0
{NETWORK}
[stages.stream]
size = 32
kept = 1
scene = {{ spacing_mm = 8.0 }}
"""


def a_file(folder: Path, text: str) -> Path:
    path = folder / "run.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_in_the_documentation_can_be_read(path: Path) -> None:
    if path.stem == "segmenter":
        assert read_toml(SegmenterRun, path).data.held_out
    else:
        assert read_config(path).stages


def test_keys_set_fields_and_the_rest_keeps_its_defaults(tmp_path: Path) -> None:
    config = read_config(a_file(tmp_path, RUN))
    first, second = config.stages
    assert config.data.cohorts == ("cohort",)
    assert (first.name, first.epochs, second.epochs) == ("coarse", 2, None)
    assert first.training.network == TINY
    assert (first.training.loss.squared, first.training.loss.edge) == (2.0, 0.0)
    assert first.training.loss.mask == TrainingConfig().loss.mask
    assert first.stream.scene.spacing_mm == 8.0
    assert second.training.finest_level == 0


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("batch_size = 1", "bach_size = 1", r"unknown key 'stages\[0\].training.bach_size'; did you mean 'batch_size'"),
        (
            "squared = 2",
            "wonder_7 = 2",
            r"unknown key 'stages\[0\].training.loss.wonder_7'; expected one of axis_mean, count, edge",
        ),
        ("epochs = 2", "epochs = 2.5", r"stages\[0\].epochs must be a whole number; got 2.5"),
        ("epochs = 2", "epochs = true", r"stages\[0\].epochs must be a whole number; got True"),
        ('held_out = ["b"]', 'held_out = "b"', "data.held_out must be a list; got 'b'"),
        ('held_out = ["b"]', "held_out = [3]", r"data.held_out\[0\] must be a text; got 3"),
        ('name = "fine"', 'name = "coarse"', "each with a name of its own"),
        ('name = "fine"', "", r"lacks stages\[1\].name"),
        ('cohorts = ["cohort"]', "", "phantoms .* cohorts .* got neither"),
        ("[data]", "[data]\nmyo_sim = true", "myo_sim needs phantoms"),
        ("[data]", "[data]\npermissive = 1", "data.permissive must be true or false; got 1"),
        ("finest_level = 0", "finest_level = 7", r"stages\[1\].training: finest_level must be 0"),
        ("batch_size = 1", "batch_size = 0", "must be at least 1"),
        ("scene = { spacing_mm = 8 }", "scene = 8", r"stages\[0\].stream.scene must be a table; got 8"),
        ("[data]", "[data", "no TOML file"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, before: str, after: str, told: str) -> None:
    assert before in RUN
    with pytest.raises(ValueError, match=told):
        read_config(a_file(tmp_path, RUN.replace(before, after, 1)))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nothing\.toml, which does not exist"):
        read_config(tmp_path / "nothing.toml")


def a_cohort(count: int) -> Anatomy:
    return Anatomy(cohort=TrainingCases([CohortCase(str(i), str(i), Path(), Path()) for i in range(count)]))


def test_epochs_are_passes_over_the_training_cases() -> None:
    """The paper's 209 cases for 100 epochs at batch 2 are 10 450 steps."""
    stage = StageConfig("a", epochs=100, training=TrainingConfig(batch_size=2))
    assert settings_of_stage(stage, None, a_cohort(209)).steps == 10450
    assert settings_of_stage(dataclasses.replace(stage, epochs=1), None, a_cohort(1)).steps == 1
    with pytest.raises(ValueError, match="epochs need"):
        settings_of_stage(stage, None, Anatomy())


def test_a_stage_starts_from_the_one_before_unless_it_says_otherwise(tmp_path: Path) -> None:
    stage = StageConfig("a")
    assert settings_of_stage(stage, "before.ckpt", Anatomy()).start_from == "before.ckpt"
    own = StageConfig("a", training=TrainingConfig(start_from="own.ckpt"))
    with pytest.raises(ValueError, match=r"Stage a: expected weights to start from in .*own\.ckpt, found none"):
        settings_of_stage(own, "before.ckpt", Anatomy(), tmp_path)
    (tmp_path / "own.ckpt").touch()
    assert settings_of_stage(own, "before.ckpt", Anatomy(), tmp_path).start_from == str(tmp_path / "own.ckpt")


def test_a_run_on_a_cohort_trains_its_stages_and_scores_what_is_held_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = itertools.count()
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: float(next(looks))))
    for name in ("a", "b", "c"):
        written(tmp_path / "cohort" / f"{name}.nii.gz", tmp_path / "cohort" / f"{name}_seg.nii.gz")
    (tmp_path / "cohort" / "lonely.nii.gz").touch()
    lines: list[str] = []
    last = run_config(read_config(a_file(tmp_path, RUN)), tmp_path, tmp_path / "out", lines.append)
    assert last == tmp_path / "out" / "fine" / "last.ckpt"
    assert averaged_weights(last)[0] == TINY
    told = "\n".join(lines)
    assert "2 labelled CTs to train on, 1 held out" in told
    assert "lonely.nii.gz: CT without a segmentation" in told
    assert "Stage coarse: 4 steps" in told  # two cases, twice
    assert "step 4" in told
    assert "b CS" in told
    for stage in ("coarse", "fine"):  # the second also inherits what the first was made from
        recorded = json.loads((tmp_path / "out" / stage / "config.json").read_text(encoding="utf-8"))["sources"]
        assert [(one["use"], one["items"]) for one in recorded] == [(CASES, ["a", "c"]), (WATCHED, ["b"])]
    assert recorded_sources(last) == from_record(recorded)
    again: list[str] = []
    run_config(read_config(a_file(tmp_path, RUN)), tmp_path, tmp_path / "out", again.append)
    assert "step 5" not in "\n".join(again)  # spent: nothing is trained again


def cohort_of(folder: Path, mask_labels: tuple[int, ...] = (20, 21)) -> Path:
    """A folder with cases a and b in its cohort/."""
    for name in ("a", "b"):
        written(folder / "cohort" / f"{name}.nii.gz", folder / "cohort" / f"{name}_seg.nii.gz", mask_labels)
    return folder


def test_a_cohort_without_a_usable_case_is_refused_before_its_worker_processes_begin(tmp_path: Path) -> None:
    run = RUN.replace("workers = 0", "workers = 1").replace('held_out = ["b"]', "")
    with pytest.raises(ValueError, match="Expected at least one usable") as told:
        run_config(read_config(a_file(tmp_path, run)), cohort_of(tmp_path, (26, 27)), tmp_path / "out")
    assert "DataLoader" not in str(told.value)
    assert "a: a_seg.nii.gz: expected vertebra labels" in str(told.value)
    assert "b: b_seg.nii.gz: expected vertebra labels" in str(told.value)
    assert not (tmp_path / "out").exists()


def test_a_case_left_out_before_training_is_reported_with_its_reason(tmp_path: Path) -> None:
    written(tmp_path / "cohort" / "0.nii.gz", tmp_path / "cohort" / "0_seg.nii.gz", labels=(26,))
    data, lines = read_config(a_file(cohort_of(tmp_path), RUN)).data, []
    found = find_data(data, tmp_path, lines.append)
    assert "0: 0_seg.nii.gz: expected vertebra labels" in "\n".join(lines)
    assert found.training.cohort is not None
    assert [one.name for one in (*found.training.cohort.cases, *found.scored)] == ["0", "a", "b"]


def test_a_held_out_case_with_the_mask_of_another_ct_is_refused(tmp_path: Path) -> None:
    path = cohort_of(tmp_path) / "cohort" / "b_seg.nii.gz"
    write_volume(path, moved_away(read_labels(path)))
    with pytest.raises(ValueError, match=r"b, a case to be scored: .*a mask that lies in the CT"):
        run_config(read_config(a_file(tmp_path, RUN)), tmp_path, tmp_path / "out")


def test_a_run_on_phantoms_whose_spines_are_all_held_out_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiment, "load_anatomy", lambda *_: a_coarse_anatomy())
    run = RUN.replace('cohorts = ["cohort"]', 'phantoms = "."').replace('held_out = ["b"]', 'held_out = ["column"]')
    with pytest.raises(ValueError, match="Expected at least one spine"):
        run_config(read_config(a_file(tmp_path, run.replace("epochs = 2", ""))), tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_permissive_run_leaves_out_what_is_not_known_and_starts_from_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = itertools.count()
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: float(next(looks))))
    for name in ("sub-verse001", "sub-verse002", "stranger"):
        written(tmp_path / "cohort" / f"{name}_ct.nii.gz", tmp_path / "cohort" / f"{name}_seg.nii.gz")
    both = RUN.replace('held_out = ["b"]', 'held_out = ["sub-verse002"]')
    permissive = both.replace("[data]", "[data]\npermissive = true")
    lines: list[str] = []
    last = run_config(read_config(a_file(tmp_path, permissive)), tmp_path, tmp_path / "clean", lines.append)
    told = "\n".join(lines)
    assert "1 labelled CTs to train on, 1 held out" in told
    assert "stranger: not known to allow commercial use" in told
    assert "VerSe (sub-verse001), CC-BY-SA-4.0. A model of these alone is under CC-BY-SA-4.0." in told
    assert [one.items for one in recorded_sources(last)] == [("sub-verse001",), ("sub-verse002",)]
    run_config(read_config(a_file(tmp_path, both)), tmp_path, tmp_path / "mixed", lines.append)
    with pytest.raises(ValueError, match=r"coarse.last\.ckpt was trained on data .*\(not known\)"):
        run_config(read_config(a_file(tmp_path, permissive)), tmp_path, tmp_path / "mixed", lines.append)
    started = permissive.replace("epochs = 2", "epochs = 2\n").replace(
        "[stages.training]", f"[stages.training]\nstart_from = '{tmp_path / 'mixed' / 'fine' / 'last.ckpt'}'", 1
    )
    with pytest.raises(ValueError, match=r"fine.last\.ckpt was trained on data"):
        run_config(read_config(a_file(tmp_path, started)), tmp_path, tmp_path / "third", lines.append)
