"""Statistics of a cohort by hand and by numpy, and the tables they are printed in."""

from __future__ import annotations

import csv
import doctest
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest

from TomoRayLib.cli.display import cohort_table
from TomoRayLib.metrics import statistics as cohort_statistics
from TomoRayLib.metrics.scores import METRIC_COLUMNS, METRIC_KEYS
from TomoRayLib.metrics.statistics import (
    CaseScore,
    Statistic,
    cases_better_than,
    gain_over,
    mean_interval,
    quantile,
    region_of,
    statistic,
    summarise,
)
from TomoRayLib.report.cohort_page import TABLE_NAMES, CohortResult, mean_and_sd, median_and_quartiles, write_tables

PSNR = METRIC_COLUMNS[0]


def metrics_json(offset: float, vertebrae: tuple[str, ...], finite_hd95: bool = True) -> dict:
    """The JSON form of a table: TomoRay's PSNR is 20 + offset dB, the blank's 18, the atlas' 21; all else 0.5."""
    rows = {row: dict.fromkeys(METRIC_KEYS, 0.5) for row in ("tomoray", "blank", "mean_atlas")}
    for row, value in (("tomoray", 20 + offset), ("blank", 18.0), ("mean_atlas", 21.0)):
        rows[row]["psnr_3d_db"] = value
    rows["blank"]["hd95_mm"] = None
    rows["tomoray"]["hd95_mm"] = 4.0 if finite_hd95 else None
    infinite = {"tomoray": [] if finite_hd95 else ["hd95_mm"], "blank": ["hd95_mm"], "mean_atlas": []}
    vertebra = {"label": 20, "dice": 0.5, "hd95_mm": None, "assd_mm": 1.0, "nsd_1mm": 0.5, "nsd_2mm": 0.5}
    vertebra |= {"centroid_error_mm": 1.0, "height_error_mm": 1.0, "height_mm": 30.0, "touches_edge": False}
    return {
        "rows": rows,
        "flags": {row: {"prediction_is_empty": False, "infinite": infinite[row]} for row in rows},
        "per_vertebra": {row: [{**vertebra, "name": name} for name in vertebrae] for row in rows},
    }


@pytest.fixture
def scores() -> tuple[CaseScore, ...]:
    return (
        CaseScore.from_metrics("sub-a_split-1", "sub-a", metrics_json(0.0, ("T12", "L1"))),
        CaseScore.from_metrics("sub-a_split-2", "sub-a", metrics_json(2.0, ("C3", "T1"))),
        CaseScore.from_metrics("sub-b", "sub-b", metrics_json(7.0, ("L4",), finite_hd95=False)),
    )


@pytest.fixture
def a_result(scores: tuple[CaseScore, ...]) -> CohortResult:
    return CohortResult(
        title="three <cases>",
        scores=scores,
        failed=(("sub-c", "expected a CT in HU & got none"),),
        left_out=(("labelmaps/v1_seg.nii.gz", "segmentation without a CT"),),
        settings={"model": {"id": "geolift-s"}, "fov_mm": 256.0},
    )


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_mean_sd_median_and_quartiles_are_numpys() -> None:
    values = np.random.default_rng(3).normal(22.0, 1.0, size=55)
    found = statistic([(value, str(number)) for number, value in enumerate(values)])
    assert found.n == 55
    assert found.mean == pytest.approx(values.mean())
    assert found.sd == pytest.approx(values.std(ddof=1))
    assert (found.q1, found.median, found.q3) == pytest.approx(tuple(np.quantile(values, (0.25, 0.5, 0.75))))


def test_undefined_values_are_left_out_and_infinite_ones_stay() -> None:
    found = statistic([(math.nan, "a"), (2.0, "b"), (math.inf, "c"), (4.0, "d"), (3.0, "e")])
    assert (found.n, found.n_infinite, found.mean) == (4, 1, math.inf)
    assert (found.q1, found.median) == (2.75, 3.5)
    assert found.q3 == math.inf  # three quarters of the way from 4 to infinity
    assert math.isnan(found.sd)
    assert math.isnan(found.ci_low)
    assert quantile([1.0, math.inf], 0.0) == 1.0
    assert math.isnan(statistic([]).median)


def test_one_case_has_a_mean_but_no_spread() -> None:
    found = statistic([(22.0, "a")])
    assert (found.n, found.mean, found.median) == (1, 22.0, 22.0)
    assert math.isnan(found.sd)
    assert math.isnan(found.ci_low)
    assert mean_and_sd(PSNR, found) == "22.00"


def test_the_interval_of_the_mean_is_the_normal_one_for_many_subjects() -> None:
    """Mean ± 1.96 SD / sqrt(n) for 400 independent values; 2000 resamples leave some 3 % of the width."""
    values = np.random.default_rng(5).normal(10.0, 2.0, size=400)
    low, high = mean_interval([(value, str(number)) for number, value in enumerate(values)])
    half = 1.96 * values.std(ddof=1) / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)


def test_cases_of_one_subject_do_not_narrow_the_interval() -> None:
    values = np.random.default_rng(5).normal(10.0, 2.0, size=30)
    once = mean_interval([(value, str(number)) for number, value in enumerate(values)])
    fourfold = mean_interval([(value, str(number)) for number, value in enumerate(values) for _ in range(4)])
    assert fourfold == pytest.approx(once)
    assert mean_interval([(1.0, "a"), (2.0, "a")])[0] != mean_interval([(1.0, "a"), (2.0, "a")])[0]  # NaN


def test_a_statistic_survives_json() -> None:
    found = statistic([(2.0, "b"), (math.inf, "c")])
    again = Statistic.from_json_dict(json.loads(json.dumps(found.to_json_dict(), allow_nan=False)))
    np.testing.assert_equal(vars(again), vars(found))


def test_scores_come_back_from_json_with_infinity_told_from_undefined() -> None:
    metrics = metrics_json(0.0, ())
    metrics["rows"]["tomoray"]["ssim_in_mask"] = None
    score = CaseScore.from_metrics("a", "a", metrics)
    assert score.rows["blank"]["hd95_mm"] == math.inf
    assert math.isnan(score.rows["tomoray"]["ssim_in_mask"])


def test_the_summary_has_all_cases_and_each_part_of_the_spine(scores: tuple[CaseScore, ...]) -> None:
    summary = summarise(scores)
    counts = {group: rows["tomoray"]["psnr_3d_db"].n for group, rows in summary.items()}
    assert counts == {"all": 3, "cervical": 1, "thoracic": 2, "lumbar": 2}
    assert summary["thoracic"]["tomoray"]["psnr_3d_db"].mean == 21.0
    assert list(summary["all"]) == ["tomoray", "blank", "mean_atlas"]
    assert [region_of(name) for name in ("C7", "T13", "L6")] == ["cervical", "thoracic", "lumbar"]
    with pytest.raises(ValueError, match="name of a vertebra"):
        region_of("S1")


def test_gains_are_paired_case_by_case(scores: tuple[CaseScore, ...]) -> None:
    gain = gain_over(scores, "blank")
    assert (gain.mean, gain.median) == (5.0, 4.0)
    assert cases_better_than(scores, "mean_atlas", "psnr_3d_db", True) == (2, 3)
    assert cases_better_than(scores, "blank", "hd95_mm", False) == (2, 3)


def test_every_table_is_written_with_what_it_should_hold(a_result: CohortResult, tmp_path: Path) -> None:
    write_tables(tmp_path, a_result)
    assert {path.name for path in tmp_path.iterdir()} == set(TABLE_NAMES)
    cases = read_csv((tmp_path / "cases.csv").read_text())
    assert [(line["case"], line["row"]) for line in cases[:3]] == [
        ("sub-a_split-1", "tomoray"),
        ("sub-a_split-1", "blank"),
        ("sub-a_split-1", "mean_atlas"),
    ]
    assert len(cases) == 9
    assert cases[0]["regions"] == "thoracic lumbar"
    assert float(cases[6]["hd95_mm"]) == math.inf
    summary = {
        (line["group"], line["row"], line["metric"]): line for line in read_csv((tmp_path / "summary.csv").read_text())
    }
    ours = summary["all", "tomoray", "psnr_3d_db"]
    assert (ours["n"], float(ours["mean"]), float(ours["median"]), ours["unit"]) == ("3", 23.0, 22.0, "dB")
    assert float(ours["sd"]) == pytest.approx(np.std([20, 22, 27], ddof=1))
    assert len(read_csv((tmp_path / "vertebrae.csv").read_text())) == 3 * 5
    assert [line["what"] for line in read_csv((tmp_path / "not_scored.csv").read_text())] == ["failed", "left out"]
    content = json.loads((tmp_path / "summary.json").read_text())
    assert (content["n_cases"], content["n_subjects"]) == (3, 2)
    assert content["psnr_3d_db_above"]["blank"]["mean"] == 5.0
    assert content["statistics"]["all"]["tomoray"]["hd95_mm"]["mean"] == "inf"


def test_the_page_is_in_the_manner_of_the_papers_table(a_result: CohortResult, tmp_path: Path) -> None:
    write_tables(tmp_path, a_result)
    page = (tmp_path / "summary.html").read_text(encoding="utf-8")
    assert "three &lt;cases&gt;" in page
    assert "research use only" in page
    assert "23.00 ± 3.61<br>22.00 (21.00–24.50)" in page  # TomoRay's PSNR
    assert "18.00 ± 0.00<br>18.00 (18.00–18.00)" in page  # the blank volume's
    assert "5.00 ± 3.61 dB above that of the empty volume" in page
    assert "<td>3 of 3</td><td>2 of 3</td>" in page  # better than the blank volume, than the atlas
    assert "cervical, n = 1" in page
    assert "expected a CT in HU &amp; got none" in page
    assert "labelmaps/v1_seg.nii.gz" in page
    assert "<script" not in page
    assert "http" not in page


def test_a_long_list_of_files_is_cut_on_the_page_and_whole_in_the_table(a_result: CohortResult, tmp_path: Path) -> None:
    many = tuple((f"file{number}.nii.gz", "CT without a segmentation") for number in range(130))
    write_tables(tmp_path, CohortResult("many", a_result.scores, (), many, a_result.settings))
    assert "And 30 more, all in not_scored.csv" in (tmp_path / "summary.html").read_text(encoding="utf-8")
    assert len(read_csv((tmp_path / "not_scored.csv").read_text())) == 130


def test_a_cohort_without_scores_still_lists_why(a_result: CohortResult, tmp_path: Path) -> None:
    empty = CohortResult("none", (), a_result.failed, a_result.left_out, a_result.settings)
    write_tables(tmp_path, empty)
    assert "sub-c" in (tmp_path / "summary.html").read_text(encoding="utf-8")
    assert read_csv((tmp_path / "cases.csv").read_text()) == []


def test_infinite_and_single_values_are_printed_without_a_false_spread() -> None:
    endless = statistic([(math.inf, "a"), (math.inf, "b")])
    assert (mean_and_sd(PSNR, endless), median_and_quartiles(PSNR, endless)) == ("∞", "∞")
    several = statistic([(22.0, "a"), (23.0, "b")])
    assert mean_and_sd(PSNR, several) == "22.50 ± 0.71"
    assert median_and_quartiles(PSNR, several) == "22.50 (22.25–22.75)"


def test_the_terminal_shows_the_same_numbers(scores: tuple[CaseScore, ...]) -> None:
    rows = summarise(scores)["all"]
    as_event = {row: {key: value.to_json_dict() for key, value in values.items()} for row, values in rows.items()}
    table = cohort_table(as_event, scored=3, failed=1)
    cells = [list(column.cells) for column in table.columns]
    psnr = cells[0].index("PSNR 3D (dB)")
    assert cells[2][psnr] == "23.00 ± 3.61\n22.00 (21.00–24.50)"
    assert table.caption == "mean ± SD, median (IQR); 3 cases scored, 1 failed"


def test_the_examples_in_the_statistics_are_right() -> None:
    assert doctest.testmod(cohort_statistics) == (0, 1)
