"""Scores of predictions with known errors, next to both baselines; stages that are computed once."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from surface_distance import compute_average_surface_distance, compute_surface_distances

from support.prepared_cases import a_prepared_case, case_files, case_settings
from TomoRayLib.base.errors import InputError
from TomoRayLib.evaluation.case_scoring import CaseTask, ScoredModel, score_case
from TomoRayLib.evaluation.predictions import PredictionFolder, read_predictions
from TomoRayLib.evaluation.prepared import PreparedCase
from TomoRayLib.evaluation.stage_store import StageStore
from TomoRayLib.images.types import Volume
from TomoRayLib.images.writing import write_volume
from TomoRayLib.metrics.scores import METRIC_KEYS
from TomoRayLib.metrics.surface import surface_of
from TomoRayLib.weights import find_model

WITH_MASK = 'kind = "volume"\nfile = "{case}.nrrd"\nmask = "{case}_mask.nrrd"\n'


pytestmark = pytest.mark.usefixtures("small_network")


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> PreparedCase:
    return a_prepared_case(tmp_path_factory.mktemp("case"))


def predicted(folder: Path, name: str, hu: np.ndarray, mask: np.ndarray, case: PreparedCase) -> PredictionFolder:
    """A folder with one volume and mask, written by hand."""
    folder.mkdir()
    write_volume(folder / "a.nrrd", Volume(hu.astype(np.float32), case.grid))
    write_volume(folder / "a_mask.nrrd", Volume(mask.astype(np.uint8), case.grid))
    (folder / "predictions.toml").write_text(f'name = "{name}"\n{WITH_MASK}', encoding="utf-8")
    return read_predictions(folder)


def a_task(folder: Path, *predictions: PredictionFolder, models: tuple[str, ...] = ()) -> CaseTask:
    files = case_files(folder)
    entry = find_model("geolift-s")
    rows = tuple(ScoredModel(row, entry.id, entry.sha256) for row in models)
    store, atlas = StageStore(str(folder / "stages")), entry.atlas_sha256
    return CaseTask("a", "a", files, case_settings(), rows, predictions, entry.id, atlas, "float32", store)


@pytest.fixture(scope="module")
def a_record(case: PreparedCase, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The truth, an empty volume, the truth one voxel (2 mm) higher, and points of its surface 3 mm in front."""
    folder = tmp_path_factory.mktemp("methods")
    hu = case.truth.table.dequantise(case.truth.grey)
    mask = case.truth.vertebrae().voxels > 0
    points = folder / "points"
    points.mkdir()
    lps = surface_of(mask, case.grid.spacing_mm).points_mm[:, ::-1] + np.array(case.grid.origin_mm)
    np.save(points / "a.npy", lps - [0, 3, 0])
    (points / "predictions.toml").write_text('name = "points"\nkind = "points"\nfile = "{case}.npy"\n')
    up = np.roll(mask, 1, axis=0)
    folders = (
        predicted(folder / "truth", "truth", hu, case.truth.vertebrae().voxels, case),
        predicted(folder / "empty", "empty", np.full_like(hu, -250.0), np.zeros_like(mask), case),
        predicted(folder / "up", "2 mm up", np.roll(hu, 1, axis=0), up, case),
        read_predictions(points),
    )
    return score_case(a_task(folder, *folders))


def number(record: dict[str, Any], row: str, key: str) -> float:
    value = record["metrics"]["rows"][row][key]
    infinite = key in record["metrics"]["flags"][row]["infinite"]
    return math.inf if infinite else math.nan if value is None else float(value)


def test_the_truth_is_perfect(a_record: dict[str, Any]) -> None:
    assert number(a_record, "truth", "dice") == 1
    assert number(a_record, "truth", "hd95_mm") == number(a_record, "truth", "assd_mm") == 0
    assert number(a_record, "truth", "nsd_1mm") == 1
    assert number(a_record, "truth", "cosine_similarity") == pytest.approx(1, abs=1e-6)
    assert number(a_record, "truth", "psnr_3d_db") > 90  # HU are kept as float32
    assert number(a_record, "truth", "mae_in_mask_hu") < 0.01


def test_an_empty_prediction_is_the_blank_volume_to_the_last_digit(a_record: dict[str, Any]) -> None:
    assert a_record["metrics"]["rows"]["empty"] == a_record["metrics"]["rows"]["blank"]
    assert a_record["metrics"]["flags"]["empty"] == a_record["metrics"]["flags"]["blank"]
    assert number(a_record, "blank", "hd95_mm") == math.inf


def test_a_shift_of_2_mm_costs_what_it_costs_by_hand(a_record: dict[str, Any], case: PreparedCase) -> None:
    grey, mask = case.truth.grey, case.truth.vertebrae().voxels > 0
    moved, moved_mask = np.roll(grey, 1, axis=0), np.roll(mask, 1, axis=0)
    dice = 2 * (mask & moved_mask).sum() / (mask.sum() + moved_mask.sum())
    assert 0.8 < dice < 0.95
    assert number(a_record, "2 mm up", "dice") == pytest.approx(dice)
    psnr_db = -10 * np.log10(np.mean((grey.astype(float) - moved) ** 2))
    assert number(a_record, "2 mm up", "psnr_3d_db") == pytest.approx(psnr_db, abs=1e-3)
    cosine = (grey * moved).sum() / np.sqrt((grey**2).sum() * (moved**2).sum())
    assert number(a_record, "2 mm up", "cosine_similarity") == pytest.approx(cosine, abs=1e-5)
    assert number(a_record, "2 mm up", "mae_in_mask_hu") == pytest.approx(
        1300 * np.abs(grey - moved)[mask].mean(), abs=0.01
    )
    distances = compute_surface_distances(mask, moved_mask, case.grid.spacing_mm)
    there, back = compute_average_surface_distance(distances)
    areas = [distances[key].sum() for key in ("surfel_areas_gt", "surfel_areas_pred")]
    expected_mm = (there * areas[0] + back * areas[1]) / sum(areas)
    assert number(a_record, "2 mm up", "assd_mm") == pytest.approx(expected_mm, rel=1e-3)
    assert number(a_record, "2 mm up", "hd95_mm") == pytest.approx(2.0)


def test_points_have_scores_of_surfaces_alone(a_record: dict[str, Any]) -> None:
    scored = {key for key in METRIC_KEYS if not math.isnan(number(a_record, "points", key))}
    assert scored == {"hd95_mm", "assd_mm", "nsd_1mm", "nsd_2mm"}
    assert 0 < number(a_record, "points", "assd_mm") < 3
    assert 2 < number(a_record, "points", "hd95_mm") <= 3.01
    assert a_record["metrics"]["per_vertebra"]["points"] == []


def test_the_baselines_come_last_and_labels_are_counted(a_record: dict[str, Any]) -> None:
    assert list(a_record["metrics"]["rows"]) == ["truth", "empty", "2 mm up", "points", "blank", "mean_atlas"]
    counts = a_record["metrics"]["countings"]["truth"]["counts"]
    assert counts["found"] == counts["named"] == counts["whole"] > 0


def test_a_second_time_nothing_is_computed_and_nothing_differs(case: PreparedCase, tmp_path: Path) -> None:
    task = a_task(tmp_path, models=("tomoray",))
    first, second = score_case(task), score_case(task)
    assert set(first["stages"].values()) == {"made"}
    assert set(second["stages"].values()) == {"kept"}
    without = ("stages", "seconds", "peak_memory_mb")
    assert {k: v for k, v in first.items() if k not in without} == {k: v for k, v in second.items() if k not in without}


def test_another_method_repeats_only_what_depends_on_it(case: PreparedCase, tmp_path: Path) -> None:
    task = a_task(tmp_path, models=("tomoray",))
    score_case(task)
    hu, mask = case.truth.table.dequantise(case.truth.grey), case.truth.vertebrae().voxels > 0
    more = predicted(tmp_path / "more", "theirs", hu, mask, case)
    stages = score_case(replace(task, predictions=(more,)))["stages"]
    assert [name for name, how in stages.items() if how == "made"] == ["theirs"]
    write_volume(more.folder / "a_mask.nrrd", Volume(np.roll(mask, 1, axis=2).astype(np.uint8), case.grid))
    changed = score_case(replace(task, predictions=(more,)))
    assert [name for name, how in changed["stages"].items() if how == "made"] == ["theirs"]
    assert number(changed, "theirs", "dice") < 1


def test_a_detached_headers_voxels_are_part_of_the_key(tmp_path: Path) -> None:
    """The header and its time stay; only the file of voxels that it names changes, under a name of its own."""
    import SimpleITK as sitk

    task = a_task(tmp_path)
    image = sitk.ReadImage(task.files.ct)
    sitk.WriteImage(image, str(tmp_path / "b.mhd"))
    (tmp_path / "b.raw").rename(tmp_path / "voxels.bin")
    header = (tmp_path / "b.mhd").read_text(encoding="utf-8").replace("b.raw", "voxels.bin")
    (tmp_path / "b.mhd").write_text(header)
    entry = find_model()
    models = (ScoredModel("m", entry.id, entry.sha256),)
    task = replace(task, files=replace(task.files, ct=str(tmp_path / "b.mhd")), models=models)
    first = score_case(task)
    voxels = bytearray((tmp_path / "voxels.bin").read_bytes())
    voxels[len(voxels) // 2] ^= 1
    (tmp_path / "voxels.bin").write_bytes(voxels)
    second = score_case(task)
    assert second["stages"]["prepared"] == "made"
    assert second["made_from"]["prepared"] != first["made_from"]["prepared"]


def test_the_network_runs_once_though_a_picture_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is taken from the store, as without --resume."""
    from TomoRayLib.synthesis.model_run import ChosenModel

    runs, run = [], ChosenModel.synthesize

    def counted(self: ChosenModel, *given: Any) -> Any:
        runs.append(1)
        return run(self, *given)

    monkeypatch.setattr(ChosenModel, "synthesize", counted)
    task = a_task(tmp_path, models=("tomoray",))
    record = score_case(replace(task, store=StageStore(task.store.folder, reuse=False)))
    assert len(runs) == 1
    found = task.store.find(record["picture_key"])
    assert found is not None
    assert found.arrays["png"].tobytes().startswith(b"\x89PNG")


def test_other_weights_or_precision_than_meant_are_refused(tmp_path: Path) -> None:
    """As on a worker whose registry or processor is another one."""
    task = a_task(tmp_path, models=("tomoray",))
    with pytest.raises(InputError, match=r"Expected the weights of geolift-s .*TOMORAY_MODELS"):
        score_case(replace(task, models=(replace(task.models[0], sha256="0" * 64),)))
    with pytest.raises(InputError, match="in bfloat16, got one for float32"):
        score_case(replace(task, precision_name="bfloat16"))
    with pytest.raises(InputError, match="mean atlas of geolift-s"):
        score_case(replace(task, atlas_sha256="0" * 64))


@pytest.mark.parametrize("name", ["a.nrrd", "a.npz", "a.npy", "a.nii.gz", "a.h5", "a.vtk"])
def test_a_damaged_prediction_costs_the_other_methods_nothing(case: PreparedCase, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "damaged"
    folder.mkdir()
    kind = "points" if name.endswith("vtk") else "labels"
    place = (
        '[grid]\ncenter = "ct"\naxes = "LPS"\nspacing_mm = [2, 2, 2]\n' if name[-3:] in ("npy", "npz", ".h5") else ""
    )
    suffix = name.partition(".")[2]
    (folder / "predictions.toml").write_text(f'name = "d"\nkind = "{kind}"\nfile = "{{case}}.{suffix}"\n{place}')
    if name.endswith("npz"):
        np.savez_compressed(folder / name, a=np.random.default_rng(0).integers(0, 9, (40, 40, 40)))
    elif name.endswith("npy"):
        np.save(folder / name, np.ones((40, 40, 40)))
    elif name.endswith("h5"):
        import h5py

        with h5py.File(folder / name, "w") as file:
            file["a"] = np.ones((40, 40, 40))
    elif name.endswith("vtk"):
        (folder / name).write_bytes(b"# vtk DataFile Version 4.2\nx\nBINARY\nDATASET POLYDATA\nPOINTS 5000 float\n")
    else:
        write_volume(folder / name, case.truth.vertebrae())
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: max(20, len(content) * 2 // 3)])
    record = score_case(a_task(tmp_path, read_predictions(folder), models=("tomoray",)))
    assert list(record["metrics"]["rows"]) == ["tomoray", "blank", "mean_atlas"]
    assert "Expected" in record["failed"]["d"] or "expected" in record["failed"]["d"]


def test_a_method_that_fails_costs_the_others_nothing(case: PreparedCase, tmp_path: Path) -> None:
    folder = tmp_path / "none"
    folder.mkdir()
    (folder / "predictions.toml").write_text(f'name = "none"\n{WITH_MASK}')
    record = score_case(a_task(tmp_path, read_predictions(folder), models=("tomoray",)))
    assert list(record["metrics"]["rows"]) == ["tomoray", "blank", "mean_atlas"]
    assert "found none" in record["failed"]["none"]
    with pytest.raises(InputError, match="none: Expected the prediction"):
        score_case(a_task(tmp_path, read_predictions(folder)))


def test_the_result_does_not_depend_on_the_threads_around_it(tmp_path: Path) -> None:
    import torch

    rows = []
    for count in (1, 2):
        torch.set_num_threads(count)
        task = replace(a_task(tmp_path, models=("tomoray",)), store=StageStore(None))
        rows.append(score_case(task)["metrics"])
        assert torch.get_num_threads() == count
    assert rows[0] == rows[1]
