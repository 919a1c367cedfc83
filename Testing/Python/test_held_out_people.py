"""The tables of held_out.py, the reading of scouts, and the blinded sheet: Testing/Benchmarks is no package."""

from __future__ import annotations

import importlib
import json
import math
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim.swa_utils import AveragedModel

from support.body_columns import body_column
from support.labelled_cts import a_labelled_ct, written
from support.training_runs import TINY
from TomoRayLib.geometry.beams import SlotScan
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.types import Volume
from TomoRayLib.images.writing import write_volume
from TomoRayLib.metrics.vertebra_pooling import PooledCounts
from TomoRayLib.networks.geolift import GeoLiftUNet
from TomoRayLib.synthesis.inputs import SourceCT
from TomoRayLib.training.data.licences import CASES, to_record, uses_of
from TomoRayLib.training.data.roles import Role, role_of
from TomoRayLib.training.engine.checkpoints import save_checkpoint
from TomoRayLib.training.engine.progress import Progress

BENCHMARKS = Path(__file__).resolve().parents[1] / "Benchmarks"
MODULES = ("scouts_as_study", "held_out_people", "held_out_scores", "held_out_tables", "blinded_sheet")


@pytest.fixture(scope="module")
def benchmarks() -> Iterator[dict[str, ModuleType]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield {name: importlib.import_module(name) for name in MODULES}


def person(tables: ModuleType, name: str, dice: float, atlas: float, **roles: Role) -> Any:
    """One person's scores for models a and b; b's Dice is .1 higher, its atlas is not looked at."""
    rows = {
        model: {
            "tomoray": {"dice": dice + plus, "assd_mm": 2.0, "found": 0.5},
            "blank": {"dice": 0.0, "assd_mm": math.inf},
            "mean_atlas": {"dice": atlas, "assd_mm": 4.0},
            "truth": {"endplate_rise_mm": 1.0},
        }
        for model, plus in (("a", 0.0), ("b", 0.1))
    }
    return tables.PersonScores(name, name, rows, roles)


@pytest.fixture(scope="module")
def scores(benchmarks: dict[str, ModuleType]) -> list[Any]:
    tables, held = benchmarks["held_out_tables"], Role.HELD_OUT
    return [
        person(tables, "sub-verse005", 0.5, 0.6, a=held, b=Role.CHOSEN_ON),
        person(tables, "sub-verse006", 0.8, 0.6, a=held, b=Role.TRAINED_ON),
        person(tables, "LIDC-IDRI-0001", 0.7, 0.6, a=held, b=held),
    ]


def test_a_person_that_one_model_was_trained_on_is_compared_apart(
    benchmarks: dict[str, ModuleType], scores: list[Any]
) -> None:
    groups = benchmarks["held_out_tables"].groups_of(scores)
    names = {group: [one.name for one in members] for group, members in groups.items()}
    assert names == {
        "not trained on": ["sub-verse005", "LIDC-IDRI-0001"],
        "chosen on": ["sub-verse005"],
        "never looked at": ["LIDC-IDRI-0001"],
        "trained on": ["sub-verse006"],
    }


def test_the_summary_has_mean_and_sd_of_models_and_baselines(
    benchmarks: dict[str, ModuleType], scores: list[Any]
) -> None:
    tables = benchmarks["held_out_tables"]
    lines = tables.summary_table(tables.groups_of(scores)["not trained on"], ["dice", "assd_mm", "found"]).splitlines()
    assert lines[0] == (
        "|  | TomoRay a | TomoRay b | blank | mean atlas | truth | a: ahead of the atlas | b: ahead of the atlas |"
    )
    # (.5, .7): mean .6, SD .141; model a is ahead of .6 once, b (.6 + .1, a tie for neither) twice in ASSD
    assert lines[2] == ("| Dice | 0.600 ± 0.141 | 0.700 ± 0.141 | 0.000 | 0.600 | – | 1 of 2 | 1 of 2 |")
    assert lines[3] == "| ASSD, mm | 2.00 | 2.00 | ∞ | 4.00 | – | 2 of 2 | 2 of 2 |"
    assert lines[4].startswith("| Vertebrae found | 0.50 | 0.50 | – | – | – | – | – |")


def test_the_readme_has_the_people_not_trained_on_alone(benchmarks: dict[str, ModuleType], scores: list[Any]) -> None:
    tables = benchmarks["held_out_tables"]
    text = tables.readme_text(scores)
    first, empty, *table = text.splitlines()
    assert first == (
        "Mean ± SD over 2 real people whom it was not trained on (never looked at: LIDC-IDRI-0001; looked at to choose "
        "the weights: sub-verse005):"
    )
    assert not empty
    assert [line.split(" | ")[0] for line in table[2:]] == [
        "| Dice",
        "| ASSD, mm",
        "| Vertebrae found",
    ]  # what there is
    assert "not trained on" in tables.readme_text([scores[1]])


def test_the_page_and_the_json_hold_every_person(benchmarks: dict[str, ModuleType], scores: list[Any]) -> None:
    tables = benchmarks["held_out_tables"]
    page = tables.full_text(scores)
    assert page.count("| (mean atlas) |") == 6
    assert "| sub-verse006 | trained on |" in page
    content = json.loads(json.dumps(tables.to_json(scores), allow_nan=False))
    assert content["people"][0]["roles"] == {"a": "held out", "b": "chosen on"}
    assert content["people"][0]["rows"]["a"]["blank"]["assd_mm"] == "inf"
    assert content["groups"]["not trained on"]["rows"]["b"]["tomoray"]["dice"]["mean"] == pytest.approx(0.7)


def with_counts(tables: ModuleType, one: Any, model: str, whole: int, found: int, named: int, unsure: bool) -> Any:
    """The person with counts of a model; all that were found are named right up to a shift."""
    counts = {"whole": whole, "found": found, "named": named, "named_up_to_shift": found, "extra": 1, "shift": 0}
    row = {f"count_{name}": float(value) for name, value in counts.items()} | {"numbering_unsure": float(unsure)}
    rows = {**one.rows[model], "tomoray": {**one.rows[model]["tomoray"], **row}}
    return replace(one, rows={**one.rows, model: rows})


def test_vertebrae_are_pooled_for_each_model_that_counts_within_a_group(
    benchmarks: dict[str, ModuleType], scores: list[Any]
) -> None:
    """Model a does not count; b was trained on the second person, whose counts are in its own group alone."""
    tables = benchmarks["held_out_tables"]
    counts = [(9, 8, 2, True), (20, 20, 20, False), (1, 1, 1, False)]
    counted = [with_counts(tables, one, "b", *values) for one, values in zip(scores, counts, strict=True)]
    page = tables.full_text(counted)
    lines = [line for line in page.splitlines() if "Whole vertebrae in view" in line]
    assert [line.partition(";")[0] for line in lines] == [
        "b: Whole vertebrae in view: 10 in 2 cases",
        "b: Whole vertebrae in view: 9 in 1 case",
        "b: Whole vertebrae in view: 1 in 1 case",
        "b: Whole vertebrae in view: 20 in 1 case",
    ]
    assert lines[0] == (
        "b: Whole vertebrae in view: 10 in 2 cases; found within 10 mm 9 (90 %), named right 3 (30 %), up to a common "
        "shift 9 (90 %); numbering unsure in 1 of 2 cases. An empty volume finds none, and the mean atlas tells no "
        "vertebrae apart."
    )
    table = page.split("\n\n").index(tables.summary_table(tables.groups_of(counted)["chosen on"], list(tables.COLUMN)))
    assert page.split("\n\n")[table + 1] == lines[1]
    groups = tables.to_json(counted)["groups"]
    pooled = PooledCounts(20, 20, 20, 20, extra=1, cases=1, cases_unsure=0, cases_not_counted=0)
    assert groups["trained on"]["counting"] == {"b": pooled.to_json_dict()}


def test_without_a_model_that_counts_the_page_says_nothing_of_counts(
    benchmarks: dict[str, ModuleType], scores: list[Any]
) -> None:
    tables = benchmarks["held_out_tables"]
    assert "Whole vertebrae in view" not in tables.full_text(scores)
    assert {str(group["counting"]) for group in tables.to_json(scores)["groups"].values()} == {"{}"}


def test_kept_scores_are_used_for_the_same_files_alone(benchmarks: dict[str, ModuleType], tmp_path: Path) -> None:
    kept_rows = benchmarks["held_out_scores"].kept_rows
    record = {"made_with": {"scoring": 1}, "rows": {"blank": {"dice": 0.0, "assd_mm": "inf", "found": "nan"}}}
    path = tmp_path / "case.json"
    assert kept_rows(path, {"scoring": 1}) is None
    path.write_text(json.dumps(record), encoding="utf-8")
    rows = kept_rows(path, {"scoring": 1})
    assert rows["blank"]["assd_mm"] == math.inf
    assert math.isnan(rows["blank"]["found"])
    assert kept_rows(path, {"scoring": 2}) is None


SHOWN_MM = {"ap": (31.0, 0.0, -171.0), "lateral": (0.0, -52.0, -171.0)}  # in the planes through the gantry's axis


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("mirrored", "head_down"), [(False, False), (True, False), (False, True)])
def test_a_scout_shows_a_point_where_its_view_says(
    benchmarks: dict[str, ModuleType], tmp_path: Path, turned: bool, mirrored: bool, head_down: bool
) -> None:
    """Whichever way the scanner stored it; spacing 1.0 mm along the body and 0.5 mm across it."""
    for name, across in (("ap", 0), ("lateral", 1)):
        right, down = np.zeros(3), np.array([0.0, 0.0, 1.0 if head_down else -1.0])
        right[across] = -1.0 if mirrored else 1.0
        first = np.zeros(3)
        first[across], first[2] = (300.0 if mirrored else -300.0), (-500.0 if head_down else 50.0)
        pixels = np.full((551, 1201), -2048, np.int16)
        pixels[20:530, 100:1100] = 5
        mark = SHOWN_MM[name]
        row, column = (
            round((mark[2] - first[2]) / down[2]),
            round((mark[across] - first[across]) / right[across] / 0.5),
        )
        pixels[row, column] = 400
        spacing = [1.0, 0.5]
        if turned:
            pixels, right, down, spacing = pixels.T, down, right, spacing[::-1]
        np.save(tmp_path / f"{name}.npy", pixels)
        header = {
            "row_direction_lps": right.tolist(),
            "column_direction_lps": down.tolist(),
            "first_pixel_lps_mm": first.tolist(),
            "pixel_spacing_mm": spacing,
        }
        (tmp_path / f"{name}.json").write_text(json.dumps(header), encoding="utf-8")
    grid = Grid((24, 26, 22), (5.0, 6.0, 7.0), (-57.5, -75.0, -283.5))  # about (0, 0, -210)
    ct = Volume(np.random.default_rng(6).integers(-100, 500, grid.shape).astype(np.float32), grid)
    write_volume(tmp_path / "ct_sagittal_2mm.nii.gz", ct)
    ap, lateral, views = benchmarks["held_out_people"].scout_radiographs(tmp_path, SourceCT(ct))
    assert views.center_mm == pytest.approx((0.0, 0.0, -210.0))
    for name, image, view in (("ap", ap, views.ap), ("lateral", lateral, views.lateral)):
        assert isinstance(view.beam, SlotScan)
        assert image.shape == view.detector.shape == (551, 1201)
        row, column = np.unravel_index(np.argmax(image), image.shape)
        assert view.project_points(np.array([SHOWN_MM[name]]))[0] == pytest.approx((column, row), abs=1e-6)
        assert image.min() == 5  # padding became air


def test_a_sheet_shows_each_name_once_and_its_key_says_which(benchmarks: dict[str, ModuleType], tmp_path: Path) -> None:
    sheet = benchmarks["blinded_sheet"]
    column = body_column()
    truth = np.round(column.grey * 255).astype(np.uint8)
    for model, share in (("first", 0.5), ("second/last", 0.25)):
        folder = tmp_path / "cases" / f"{model.replace('/', '_')}-0123abcd"
        folder.mkdir(parents=True)
        for name in ("one", "two"):
            volume = np.round(truth * share).astype(np.uint8)
            np.savez_compressed(
                folder / f"{name}.npz", synthetic=volume, truth=truth, labels=column.labels, spacing_mm=(1.2, 0.8, 0.5)
            )
    sheet.draw(tmp_path, ["first", "second/last"], None, tmp_path / "out", random.Random(3))
    key = json.loads((tmp_path / "out" / "key.json").read_text(encoding="utf-8"))
    assert sorted(entry["person"] for entry in key.values()) == ["one", "two"]
    brightness = {"truth": 0.6, "first": 0.3, "second/last": 0.15}
    for entry in key.values():
        order = {letter: name for letter, name in entry.items() if letter != "person"}
        assert sorted(order.values()) == sorted(brightness)
        volumes = {name: np.round(truth / 0.6 * share).astype(np.uint8) for name, share in brightness.items()}
        row = np.asarray(sheet.person_row(volumes, order, column.labels, (1.2, 0.8, 0.5), "")).max(axis=2)
        pictures = row[2 * sheet.HEAD_PX :]
        width = (pictures.shape[1] - sheet.GAP_PX) // 3
        for place, name in enumerate(order.values()):
            part = pictures[:, sheet.GAP_PX + place * width : (place + 1) * width]
            assert np.percentile(part[part < 255], 97) == pytest.approx(255 * brightness[name], abs=4)
    assert (tmp_path / "out" / "sheet-1.png").is_file()
    answers = (tmp_path / "out" / "answers.csv").read_text(encoding="utf-8").splitlines()
    assert answers[0] == "person,letter,is_the_truth,sharpness_rank,remark"
    assert len(answers) == 1 + 2 * 3


def test_orders_differ_and_answers_are_compared_with_the_key(benchmarks: dict[str, ModuleType]) -> None:
    sheet = benchmarks["blinded_sheet"]
    orders = {tuple(sheet.order_for(["truth", "a", "b"], random.Random(seed)).values()) for seed in range(40)}
    assert len(orders) == 6
    key = {"1": {"person": "one", "A": "a", "B": "truth"}, "2": {"person": "two", "A": "truth", "B": "a"}}
    answers = [
        {"person": "1", "letter": "A", "is_the_truth": "x", "sharpness_rank": "2"},
        {"person": "1", "letter": "B", "is_the_truth": "", "sharpness_rank": "1"},
        {"person": "2", "letter": "A", "is_the_truth": "yes", "sharpness_rank": "1"},
        {"person": "2", "letter": "B", "is_the_truth": "", "sharpness_rank": "1"},
    ]
    assert sheet.scored(answers, key) == {
        "a": {"shown": 2, "taken_for_truth": 1, "sharpness_rank": 1.5},
        "truth": {"shown": 2, "taken_for_truth": 1, "sharpness_rank": 1.0},
    }


def test_a_checkpoint_is_scored_with_its_averaged_weights_at_its_level(
    benchmarks: dict[str, ModuleType], tmp_path: Path
) -> None:
    config = replace(TINY, output_size=64)
    model = GeoLiftUNet(config)
    ema = AveragedModel(model)
    with torch.no_grad():
        ema.module.position.fill_(0.25)
    sources = to_record(uses_of(CASES, ["sub-verse006"]))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    save_checkpoint(tmp_path / "last.ckpt", model, ema, optimizer, None, Progress(3, 9.0), sources, {"size": 32})
    of_checkpoint = benchmarks["held_out_scores"].of_checkpoint
    contestant = of_checkpoint(tmp_path / "last.ckpt")
    assert contestant.name == f"{tmp_path.parent.name}/{tmp_path.name}/last"
    assert contestant.level == 1  # 32 of 64
    assert of_checkpoint(tmp_path / "last.ckpt", 2).level == 2
    assert of_checkpoint(tmp_path / "last.ckpt", name="geolift-s").entry.id == "geolift-s"
    (tmp_path / "config.json").write_text('{"training": {"finest_level": 2}}', encoding="utf-8")
    assert of_checkpoint(tmp_path / "last.ckpt").level == 2
    assert float(contestant.network.position.detach().max()) == 0.25
    assert role_of(("sub-verse006",), contestant.uses) is Role.TRAINED_ON


@pytest.mark.usefixtures("tiny_model")
def test_a_person_is_scored_once_with_all_measures(benchmarks: dict[str, ModuleType], tmp_path: Path) -> None:
    """The small network knows another column: every row has its measures, and they are kept."""
    people, scores = benchmarks["held_out_people"], benchmarks["held_out_scores"]
    written(tmp_path / "x_ct.nii.gz", tmp_path / "x_seg.nii.gz", (19, 20, 21, 22))
    person = people.Person("x", tmp_path / "x_ct.nii.gz", tmp_path / "x_seg.nii.gz")
    case = people.read_person(person)
    assert case.cut == frozenset()
    for contestant in (scores.published(None), scores.published(None, 1)):
        wanted = scores.made_with(person.inputs_sha256(), contestant)
        path = tmp_path / str(contestant.level) / "x.json"
        path.parent.mkdir()
        assert scores.kept_rows(path, wanted) is None
        rows = scores.score(case, contestant, wanted, path)
        again = scores.kept_rows(path, wanted)
        assert json.dumps(again, sort_keys=True) == json.dumps(rows, sort_keys=True)
        assert rows["truth"]["agreement_16_8_mm"] == rows["truth"]["power_16_8_mm"] == pytest.approx(1)
        assert rows["truth"]["gaps_in_mask"] > 0.5  # discs of 4 mm in voxels of 5.3 mm
        assert rows["truth"]["endplate_edges"] > 0.5
        assert rows["blank"]["gain_db"] == rows["blank"]["endplate_edges"] == 0.0
        shown = {"tomoray", "blank", "mean_atlas"}
        assert all({column.key for column in scores.MEASURES[:7]} <= rows[row].keys() for row in shown)
        assert {column.key for column in scores.MEASURES} <= rows["tomoray"].keys()
        with np.load(path.with_suffix(".npz")) as volumes:
            assert volumes["synthetic"].shape == volumes["labels"].shape == (48, 48, 48)
            assert set(np.unique(volumes["labels"])) == {0, 19, 20, 21, 22}
    assert math.isnan(rows["tomoray"]["found"])  # this network tells no vertebrae apart; one that does has a share:
    counting = GeoLiftUNet(replace(contestant.network.config, counts=True)).eval()
    counting.load_state_dict(contestant.network.state_dict(), strict=False)
    path = tmp_path / "counting.json"
    assert scores.counted_case(rows["tomoray"]) is None
    contestant = replace(contestant, network=counting)
    assert scores.made_with({}, contestant) == {**scores.made_with({}, scores.published(None, 1)), "counting": 1}
    rows = scores.score(case, contestant, wanted, path)
    assert 0 <= rows["tomoray"]["found"] <= 1
    counted = scores.counted_case(scores.kept_rows(path, wanted)["tomoray"])
    assert counted.counts.whole == rows["tomoray"]["count_whole"] == 4
    assert counted.counts.found_share == rows["tomoray"]["found"]
    assert counted.is_unsure  # its head has not learnt a level
    other = scores.made_with({"ct": "another"}, scores.published(None))
    assert scores.kept_rows(tmp_path / "0" / "x.json", other) is None


def test_vertebrae_at_the_end_of_the_scan_are_cut_whatever_its_axes(
    benchmarks: dict[str, ModuleType], tmp_path: Path
) -> None:
    """The lowest vertebra of six lies half outside the scan; the scan is stored along (z, x, y)."""
    ct, mask = a_labelled_ct((18, 19, 20, 21, 22, 23))
    for name, volume in (("ct", ct), ("seg", mask)):
        columns = volume.grid.direction_matrix[:, [2, 0, 1]]
        size, spacing = (tuple(values[i] for i in (2, 0, 1)) for values in (volume.grid.size, volume.grid.spacing_mm))
        grid = Grid(size, spacing, volume.grid.origin_mm, tuple(columns.ravel()))
        write_volume(tmp_path / f"x_{name}.nii.gz", Volume(volume.voxels.transpose(1, 2, 0), grid))
    person = benchmarks["held_out_people"].Person("x", tmp_path / "x_ct.nii.gz", tmp_path / "x_seg.nii.gz")
    assert benchmarks["held_out_people"].read_person(person).cut == {22}
