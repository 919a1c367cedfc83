"""A run without a configuration, and settings given next to one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.anatomies import a_coarse_anatomy
from support.validation_data import a_case_with_another_mask
from TomoRayLib.base.errors import InputError
from TomoRayLib.training import run
from TomoRayLib.training.config_file import RECIPE, SEED_STEP, RunConfig, WatchedCase, read_config
from TomoRayLib.training.engine.trainer_config import TrainingConfig
from TomoRayLib.training.overrides import Overrides, overridden


@pytest.fixture
def the_recipe() -> RunConfig:
    return read_config(RECIPE)


def test_the_stages_of_the_recipe_spend_85_minutes_and_their_targets_suit_their_levels(the_recipe: RunConfig) -> None:
    assert [stage.training.minutes for stage in the_recipe.stages] == [51.0, 17.0, 17.0]
    assert [stage.training.finest_level for stage in the_recipe.stages] == [2, 1, 0]
    for stage in the_recipe.stages:
        edge = 192 >> stage.training.finest_level
        assert int(stage.name) == edge
        assert stage.stream.size % edge == 0
        assert stage.training.volume_size == edge


def test_minutes_are_shared_by_the_stages_that_are_trained(the_recipe: RunConfig) -> None:
    longer = overridden(the_recipe, Overrides(minutes=100.0))
    assert [stage.training.minutes for stage in longer.stages] == pytest.approx([60.0, 20.0, 20.0])
    two = overridden(the_recipe, Overrides(minutes=80.0, stages=("48", "192")))
    assert [(stage.name, stage.training.minutes) for stage in two.stages] == [("48", 60.0), ("192", 20.0)]
    with pytest.raises(InputError, match=r"Expected stages of \['48', '96', '192'\], got \['47'\]"):
        overridden(the_recipe, Overrides(stages=("47",)))


def test_minutes_are_refused_for_stages_that_count_steps_or_epochs() -> None:
    verse = Path(__file__).resolve().parents[3] / "docs" / "configurations" / "verse20.toml"
    with pytest.raises(InputError, match=r"got \['96', '192'\] with steps or epochs"):
        overridden(read_config(verse), Overrides(minutes=5.0))


def test_a_stage_draws_the_same_phantoms_whether_or_not_those_before_it_are_trained(the_recipe: RunConfig) -> None:
    """``run_config`` adds a step to the seed for each stage before."""
    (alone,) = overridden(the_recipe, Overrides(seed=7, stages=("192",))).stages
    assert (alone.training.seed, alone.stream.seed) == (7, 7 + 2 * SEED_STEP)
    assert {stage.stream.seed for stage in overridden(the_recipe, Overrides(seed=7)).stages} == {7}


def test_the_start_is_that_of_the_first_stage_and_workers_are_those_of_all(the_recipe: RunConfig) -> None:
    stages = overridden(the_recipe, Overrides(start_from="/a/start.ckpt", workers=3)).stages
    assert [stage.training.start_from for stage in stages] == ["/a/start.ckpt", None, None]
    assert {stage.training.workers for stage in stages} == {3}


def test_nothing_given_changes_nothing(the_recipe: RunConfig) -> None:
    assert overridden(the_recipe, Overrides()) == the_recipe


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[TrainingConfig, Any, Path, bool]]:
    """The stages that are trained, in place of training them on a made-up anatomy."""
    kept: list[tuple[TrainingConfig, Any, Path, bool]] = []

    def keep(config: Any, stream: Any, anatomy: Any, cases: Any, out: Path, resume: bool, report: Any) -> Path:
        kept.append((config, stream, out, resume))
        return out / "last.ckpt"

    monkeypatch.setattr(run, "train", keep)
    monkeypatch.setattr(run, "load_anatomy", lambda *_: a_coarse_anatomy())
    monkeypatch.setattr(run, "phantom_cases", lambda *_, **__: [])
    return kept


def test_each_stage_starts_from_the_one_before_and_draws_phantoms_of_its_own(
    tmp_path: Path, the_recipe: RunConfig, calls: list[tuple[TrainingConfig, Any, Path, bool]]
) -> None:
    (tmp_path / "48").mkdir()
    (tmp_path / "48" / "last.ckpt").touch()
    last = run.run_config(the_recipe, tmp_path, tmp_path, lambda line: None)
    assert last == tmp_path / "192" / "last.ckpt"
    starts = [None, str(tmp_path / "48" / "last.ckpt"), str(tmp_path / "96" / "last.ckpt")]
    assert [config.start_from for config, *_ in calls] == starts
    assert [resume for *_, resume in calls] == [True, False, False]
    assert [stream.seed for _, stream, *_ in calls] == [1, 1 + SEED_STEP, 1 + 2 * SEED_STEP]
    assert [config.freeze_coarse for config, *_ in calls] == [False, True, True]


def watching(recipe: RunConfig, name: str, ct: Path, labels: Path) -> RunConfig:
    return overridden(recipe, Overrides(minutes=1.0, watched=(WatchedCase(name, str(ct), str(labels)),)))


@pytest.mark.usefixtures("calls")
def test_a_run_tells_whose_phantoms_it_scores_and_refuses_to_train_on_none(
    tmp_path: Path, the_recipe: RunConfig
) -> None:
    lines: list[str] = []
    run.run_config(the_recipe, tmp_path, tmp_path, report=lines.append)
    assert lines[1] == "1 spines and 1 bodies for phantoms"
    assert "scored phantoms are of spines trained on" in lines[2]
    with pytest.raises(InputError, match="Expected at least one spine"):
        run.run_config(watching(the_recipe, "column", tmp_path, tmp_path), tmp_path, tmp_path, lines.append)


def test_the_case_of_the_published_figures_is_not_watched(tmp_path: Path, the_recipe: RunConfig) -> None:
    """Before anything is read: there are no data here."""
    watched = watching(the_recipe, "mine", tmp_path / "LIDC-IDRI-0001" / "ct.nii.gz", tmp_path / "labels.nii.gz")
    with pytest.raises(InputError, match=r"got mine .*held out for ever.*leave it out"):
        run.run_config(watched, tmp_path, tmp_path / "out", lambda line: None)


@pytest.mark.usefixtures("calls")
def test_a_watched_case_with_the_mask_of_another_ct_is_refused(tmp_path: Path, the_recipe: RunConfig) -> None:
    case = a_case_with_another_mask(tmp_path)
    watched = watching(the_recipe, case.name, case.ct, case.segmentation)
    with pytest.raises(InputError, match=r"x, a case to be scored: .*a mask that lies in the CT"):
        run.run_config(watched, tmp_path, tmp_path / "out", lambda line: None)
