"""The tables of a cohort and their page."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.cohort_scores import counting_json, metrics_json, three_scores
from TomoRayLib.cli.display import cohort_table
from TomoRayLib.metrics.scores import METRIC_COLUMNS
from TomoRayLib.metrics.statistics import (
    CaseScore,
    statistic,
    summarise,
)
from TomoRayLib.metrics.vertebra_pooling import PooledCounts
from TomoRayLib.report.cohort_numbers import mean_and_sd, median_and_quartiles
from TomoRayLib.report.cohort_result import CohortResult
from TomoRayLib.report.cohort_tables import PARQUET_NAMES, TABLE_NAMES, write_tables
from TomoRayLib.report.vertebra_section import pooled_sentences

PSNR = METRIC_COLUMNS[0]


@pytest.fixture
def scores() -> tuple[CaseScore, ...]:
    return three_scores()


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


def test_one_case_prints_its_mean_alone() -> None:
    assert mean_and_sd(PSNR, statistic([(22.0, "a")])) == "22.00"


def test_every_table_is_written_with_what_it_should_hold(a_result: CohortResult, tmp_path: Path) -> None:
    write_tables(tmp_path, a_result)
    assert {path.name for path in tmp_path.iterdir()} == {*TABLE_NAMES, *PARQUET_NAMES}
    cases = read_csv((tmp_path / "cases.csv").read_text(encoding="utf-8"))
    assert [(line["case"], line["row"]) for line in cases[:3]] == [
        ("sub-a_split-1", "tomoray"),
        ("sub-a_split-1", "blank"),
        ("sub-a_split-1", "mean_atlas"),
    ]
    assert len(cases) == 9
    assert cases[0]["regions"] == "thoracic lumbar"
    assert float(cases[6]["hd95_mm"]) == math.inf
    summary = {
        (line["group"], line["row"], line["metric"]): line
        for line in read_csv((tmp_path / "summary.csv").read_text(encoding="utf-8"))
    }
    ours = summary["all", "tomoray", "psnr_3d_db"]
    assert (ours["n"], float(ours["mean"]), float(ours["median"]), ours["unit"]) == ("3", 23.0, 22.0, "dB")
    assert float(ours["sd"]) == pytest.approx(np.std([20, 22, 27], ddof=1))
    assert len(read_csv((tmp_path / "vertebrae.csv").read_text(encoding="utf-8"))) == 3 * 5
    assert [line["what"] for line in read_csv((tmp_path / "not_scored.csv").read_text(encoding="utf-8"))] == [
        "failed",
        "left out",
    ]
    content = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert (content["n_cases"], content["n_subjects"]) == (3, 2)
    assert content["psnr_3d_db_above"]["tomoray"]["blank"]["mean"] == 5.0
    assert content["statistics"]["all"]["tomoray"]["hd95_mm"]["mean"] == "inf"


def test_the_page_is_in_the_manner_of_the_papers_table(a_result: CohortResult, tmp_path: Path) -> None:
    write_tables(tmp_path, a_result)
    page = (tmp_path / "summary.html").read_text(encoding="utf-8")
    assert "three &lt;cases&gt;" in page
    assert "research use only" in page
    assert "23.00 ± 3.61<br>22.00 (21.00–24.50)<br>[21.00, 27.00]" in page  # TomoRay's PSNR
    assert "18.00 ± 0.00<br>18.00 (18.00–18.00)" in page  # the blank volume's
    assert "5.00 ± 3.61 dB above that of the blank volume" in page
    assert "<td>3 of 3</td><td>2 of 3</td>" in page  # better than the blank volume, than the atlas
    assert '<th scope="row">cervical</th><td>1</td>' in page
    assert "expected a CT in HU &amp; got none" in page
    assert "labelmaps/v1_seg.nii.gz" in page
    without_scripts = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"""(src|href)=["'](https?:)?//""", without_scripts)
    assert not re.search(r"<script[^>]* src=", page)


def test_vertebrae_told_apart_are_pooled_over_the_cases_of_the_means(a_result: CohortResult, tmp_path: Path) -> None:
    """One case has no counts, and one that nobody has segmented is in no sum, as it is in no mean."""

    def counted(name: str, labels_by: str | None, *counts: Any) -> CaseScore:
        metrics = {
            **metrics_json(0.0, ("L1",)),
            "labels_by": labels_by,
            "countings": {"tomoray": counting_json(*counts)},
        }
        return CaseScore.from_metrics(name, name, metrics)

    more = (
        counted("sub-c", None, 9, 8, 2, "unsure"),
        counted("sub-d", None, 1, 1, 1, "sure"),
        counted("sub-e", "labels by TomoRay", 100, 100, 100, "unsure"),
    )
    write_tables(tmp_path, replace(a_result, scores=(a_result.scores[0], *more)))
    silent = PooledCounts(10, 9, 3, 9, extra=0, cases=2, cases_unsure=None, cases_not_counted=0)
    assert "unsure" not in pooled_sentences(silent)
    pooled = PooledCounts(10, 9, 3, 9, extra=0, cases=2, cases_unsure=1, cases_not_counted=1)
    assert json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))["counting"] == {
        "tomoray": pooled.to_json_dict()
    }
    page = (tmp_path / "summary.html").read_text(encoding="utf-8")
    assert "Whole vertebrae in view: 10 in 2 cases; found within 10 mm 9 (90 %), named right 3 (30 %)" in page
    assert "numbering unsure in 1 of 2 cases. Not counted: 1 case without vertebrae told apart." in page


def test_without_counts_nothing_is_said_of_vertebrae_told_apart(a_result: CohortResult, tmp_path: Path) -> None:
    write_tables(tmp_path, a_result)
    assert "counting" not in json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert "told apart" not in (tmp_path / "summary.html").read_text(encoding="utf-8")


def test_a_long_list_of_files_is_cut_on_the_page_and_whole_in_the_table(a_result: CohortResult, tmp_path: Path) -> None:
    many = tuple((f"file{number}.nii.gz", "CT without a segmentation") for number in range(130))
    write_tables(tmp_path, CohortResult("many", a_result.scores, (), many, a_result.settings))
    assert "And 30 more, all in not_scored.csv" in (tmp_path / "summary.html").read_text(encoding="utf-8")
    assert len(read_csv((tmp_path / "not_scored.csv").read_text(encoding="utf-8"))) == 130


def test_a_cohort_without_scores_still_lists_why(a_result: CohortResult, tmp_path: Path) -> None:
    empty = CohortResult("none", (), a_result.failed, a_result.left_out, a_result.settings)
    write_tables(tmp_path, empty)
    assert "sub-c" in (tmp_path / "summary.html").read_text(encoding="utf-8")
    assert read_csv((tmp_path / "cases.csv").read_text(encoding="utf-8")) == []


def test_infinite_and_single_values_are_printed_without_a_false_spread() -> None:
    endless = statistic([(math.inf, "a"), (math.inf, "b")])
    assert (mean_and_sd(PSNR, endless), median_and_quartiles(PSNR, endless)) == ("∞", "∞")
    several = statistic([(22.0, "a"), (23.0, "b")])
    assert mean_and_sd(PSNR, several) == "22.50 ± 0.71"
    assert median_and_quartiles(PSNR, several) == "22.50 (22.25–22.75)"


def test_the_terminal_shows_the_same_numbers(scores: tuple[CaseScore, ...]) -> None:
    rows = summarise(scores)["all"]
    as_event = {row: {key: value.to_json_dict() for key, value in values.items()} for row, values in rows.items()}
    table = cohort_table(as_event, "3 cases scored, 1 failed")
    cells = [list(column.cells) for column in table.columns]
    psnr = cells[0].index("PSNR 3D (dB)")
    assert cells[2][psnr] == "23.00 ± 3.61\n22.00 (21.00–24.50)"
    assert table.caption == "mean ± SD, median (IQR); 3 cases scored, 1 failed"
    wide = cohort_table({**as_event, "theirs": as_event["tomoray"]}, "3 cases scored, 1 failed")
    cells = [list(column.cells) for column in wide.columns]
    assert cells[1][cells[0].index("PSNR 3D (dB), higher")] == "23.00 ± 3.61\n22.00"
    assert "quartiles are in summary.csv" in str(wide.caption)
