"""The report: pictures the right way round, honest text, one file that needs nothing else."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from support.report_cases import GRID, a_case, metrics_table, spine_labels
from TomoRayLib.anatomy.vertebrae import WHOLE_SPINE_LABEL
from TomoRayLib.base.errors import OutputError
from TomoRayLib.base.notices import NOTICE
from TomoRayLib.cli.display import Display, escaped
from TomoRayLib.cli.display import metrics_table as terminal_table
from TomoRayLib.images.types import Volume
from TomoRayLib.jobs.events import Finished, Note, Warned
from TomoRayLib.metrics.scores import METRIC_COLUMNS
from TomoRayLib.report.case_page import render_report, write_report
from TomoRayLib.report.content import ReportContent, shown_volumes
from TomoRayLib.report.figures import slice_row
from TomoRayLib.report.overview import overview_figure
from TomoRayLib.report.slices import choose_slices
from TomoRayLib.report.solids import surface_views
from TomoRayLib.report.tables import at_a_glance, best_of_row, provenance_table, scores_section

SHA256 = "0123abcd" * 8


def test_page_is_whole_in_itself_and_small() -> None:
    page = render_report(a_case())
    assert len(page) < 4e6
    assert "<script" not in page
    addresses = re.findall(r'(?:src|href|url)\s*[=(]\s*["\']?([^"\'\s>)]+)', page)
    assert addresses
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in addresses)
    assert "@import" not in page
    assert page.count(NOTICE) >= 2


def test_text_is_escaped() -> None:
    page = render_report(a_case())
    assert "case &lt;1&gt; &amp; co" in page
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "&lt;script&gt;1&lt;/script&gt;" in page
    assert "A demonstration &amp; no patient." in page


def test_table_has_all_scores_and_both_references_and_boldens_only_the_best() -> None:
    page = render_report(a_case())
    table = metrics_table()
    for column in METRIC_COLUMNS:
        assert column.heading in page
        best = best_of_row(column, table)
        if best is not None:
            assert f"<b>{column.format(table[best][column.key])}</b>" in page
    assert "Blank volume" in page
    assert "Mean atlas" in page
    assert page.count('<th scope="row">L1</th>') == 1  # open on the screen, so once
    assert SHA256 in page
    assert "3.25 s" in page


def test_equal_scores_have_no_best() -> None:
    row = metrics_table()["tomoray"]
    table = replace(metrics_table(), rows=(("tomoray", row), ("mean_atlas", row)))
    assert {best_of_row(column, table) for column in METRIC_COLUMNS} == {None}


def test_the_hardest_score_is_at_the_top_and_losses_are_pointed_at() -> None:
    assert at_a_glance(metrics_table()).count('class="tile"') == 5
    assert "PSNR in bone" in at_a_glance(metrics_table())
    model, atlas = metrics_table()["tomoray"], metrics_table()["mean_atlas"]
    losing = replace(metrics_table(), rows=(("tomoray", atlas), ("mean_atlas", model)))
    assert "the table shows which it loses" in scores_section(losing)
    whole = [c for c in METRIC_COLUMNS if not c.key.endswith(("_axial", "_coronal", "_sagittal"))]
    worst = replace(atlas, **{c.key: getattr(atlas, c.key) + (-1e3 if c.higher_is_better else 1e3) for c in whole})
    winning = replace(metrics_table(), rows=(("tomoray", model), ("mean_atlas", worst)))
    assert f"in {len(whole)} of {len(whole)} scores" in scores_section(winning)
    assert "see what it loses" not in scores_section(winning)


def test_provenance_leaves_out_what_says_nothing() -> None:
    identity = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    grid = {"size": [2, 3, 4], "direction": identity}
    page = provenance_table({"notes": [], "options": {}, "only": {"direction": identity}, "grid": grid, "zero": 0})
    for absent in ("Notes", "Options", "Only", "Direction"):
        assert absent not in page
    assert "2, 3, 4" in page
    assert "Zero" in page
    oblique = [*identity[3:6], *identity[:3], *identity[6:]]
    assert "Direction" in provenance_table({"grid": {"direction": oblique}})
    assert provenance_table({"notes": []}) == ""


def test_distance_scale_reaches_10_mm() -> None:
    assert ">10 mm or more</text>" in render_report(a_case())


def test_without_a_ct_there_is_no_truth_and_no_score() -> None:
    page = render_report(a_case(truth=None, truth_labels=None, metrics=None))
    assert "No CT of this patient was given" in page
    assert "<h2>Scores</h2>" not in page
    assert "Truth (CT)" not in page
    assert NOTICE in page


def test_an_empty_synthetic_mask_is_said_and_shown() -> None:
    empty = Volume(np.zeros(GRID.shape, np.uint8), GRID)
    blank = Volume(np.full(GRID.shape, -250.0, np.float32), GRID)
    alone = a_case(synthetic=blank, synthetic_mask=empty, truth=None, truth_labels=None, metrics=None)
    assert "No bone was found" in render_report(alone)
    told = replace(alone, notes=("No vertebra was found in these radiographs: the synthetic CT is empty.",))
    assert "No bone was found" not in render_report(told)  # once is enough
    assert "No bone was found" in render_report(a_case(synthetic=blank, synthetic_mask=empty, metrics=None))
    assert Image.open(io.BytesIO(overview_figure(alone))).size == (1600, 900)


@pytest.mark.parametrize(("count", "kind"), [(3, "callout"), (12, "callout many")])
def test_all_notes_are_on_the_page_and_many_are_set_close(count: int, kind: str) -> None:
    page = render_report(a_case(notes=tuple(f"Remark {n}." for n in range(count))))
    assert re.findall(r"<li>(Remark \d+\.)</li>", page) == [f"Remark {n}." for n in range(count)]
    assert f'<div class="{kind}"><p><b>Please note</b>' in page


def unscored(**changes: object) -> ReportContent:
    """A CT with soft tissue, no segmentation."""
    body = np.full(GRID.shape, 40.0, np.float32)
    return a_case(truth=Volume(body, GRID), truth_labels=None, metrics=None, **changes)


def test_a_ct_without_segmentation_is_shown_and_not_scored() -> None:
    page = render_report(unscored())
    assert page.count("CT (not scored):") == 5  # next to each synthetic slice
    assert "no vertebra segmentation was given" in page
    for absent in ("No CT of this patient", "Truth (CT)", "<h2>Scores</h2>", "Difference", "outline of the truth"):
        assert absent not in page
    shown = shown_volumes(unscored())
    row = slice_row(shown, choose_slices(shown)[2])
    assert np.asarray(row.truth)[30, 30] == pytest.approx((40 + 250) / 1300 * 255, abs=1)
    assert row.outlined is row.difference is None
    assert all(view.truth is view.distance is None for view in surface_views(shown))


def test_overview_of_an_unscored_ct_has_its_slices_above_and_no_true_surface() -> None:
    picture = np.asarray(Image.open(io.BytesIO(overview_figure(unscored()))))
    alone = np.asarray(Image.open(io.BytesIO(overview_figure(a_case()))))
    assert picture.shape == alone.shape == (900, 1600, 3)
    upper_right = (slice(180, 454), slice(1000, 1560))  # below the sentence that says why
    assert (picture[upper_right] == 255).all()
    assert (alone[upper_right] < 200).any()
    assert (picture[104:454, 500:720] < 250).any()


def test_labels_without_any_vertebra_are_as_good_as_none() -> None:
    sacrum = Volume(np.full(GRID.shape, 26, np.int16), GRID)
    page = render_report(a_case(truth_labels=sacrum))
    assert "none of its vertebrae lies in this field of view" in page
    assert "<h2>Scores</h2>" not in page


def test_a_spine_whose_vertebrae_are_not_told_apart_is_scored_without_names() -> None:
    whole = Volume(np.where(spine_labels() > 0, WHOLE_SPINE_LABEL, 0).astype(np.uint8), GRID)
    shown = shown_volumes(a_case(truth_labels=whole))
    assert shown.truth_mask is not None
    assert shown.truth_mask.sum() == (spine_labels() > 0).sum()
    captions = [choice.caption for choice in choose_slices(shown)[2:]]
    assert all(re.fullmatch(r"Axial, z = \N{MINUS SIGN}?\d+ mm", caption) for caption in captions), captions
    page = render_report(a_case(truth_labels=whole, metrics=metrics_table(whole=True)))
    assert "<h2>Scores</h2>" in page
    assert "Vertebra by vertebra" not in page


def test_scores_per_vertebra_are_shown_next_to_the_mean_atlas() -> None:
    page = render_report(a_case())
    model, atlas = (metrics_table()[name].per_vertebra[0] for name in ("tomoray", "mean_atlas"))
    line = re.search(r'<th scope="row">T12</th>(.*?)</tr>', page).group(1)
    cells = [re.sub(r"</?b>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", line)]
    assert cells[:4] == [
        f"{model.dice:.3f}",
        f"{model.hd95_mm:.1f}",
        f"{model.assd_mm:.2f}",
        f"{model.nsd_2mm:.3f}",
    ]
    assert cells[4:7] == [f"{model.centroid_error_mm:.1f}", "4 left", "1.000"]  # two voxels of 2 mm
    assert cells[7:] == [f"{atlas.dice:.3f}", f"{atlas.assd_mm:.2f}", "TomoRay", ""]


def test_terminal_tells_an_infinite_distance_from_an_undefined_one() -> None:
    console = Console(file=io.StringIO(), width=200)
    values = metrics_table().to_json_dict()
    values["rows"]["mean_atlas"]["hd95_mm"] = None  # undefined: not among the infinite ones
    console.print(terminal_table(values))
    text = console.file.getvalue()
    line = next(line for line in text.splitlines() if "HD95" in line)
    assert [cell.strip() for cell in line.strip("│ ").split("│")][3:] == ["∞", "-"]
    assert "no bone predicted" in text
    assert escaped("[bold]x") == r"\[bold]x"


@pytest.mark.parametrize("synthetic", [True, False])
def test_terminal_tells_warnings_from_notes_and_marks_only_synthetic_results(synthetic: bool, capsys) -> None:
    console = Console(file=io.StringIO(), width=200, force_terminal=True, color_system="standard")
    display = Display(console)
    display(Finished({"files": ["ct.nrrd"], "seconds": 1.0, "synthetic": synthetic}))
    display(Note("resampled [x]"))
    display(Warned("looks [bold]inverted"))
    text = console.file.getvalue()
    assert "\x1b[33mNote\x1b[0m resampled [x]" in text
    assert "\x1b[1;31mWarning\x1b[0m looks [bold]inverted" in text
    display.close()  # neither of them takes the place of the result
    shown = capsys.readouterr().out
    assert "ct.nrrd" in shown
    assert (NOTICE in shown) is synthetic


def test_synthetic_pictures_are_marked_and_true_ones_are_not() -> None:
    shown = shown_volumes(a_case())
    row = slice_row(shown, choose_slices(shown)[0])
    corner = (slice(0, 34), slice(0, 150))
    amber = [
        (np.asarray(p)[corner] == (255, 196, 61)).all(axis=2).any() for p in (row.synthetic, row.outlined, row.truth)
    ]
    assert amber == [True, True, False]


def test_radiograph_of_another_detector_labels_without_ct_and_scores_without_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="ap must have its detector's rows and columns"):
        a_case(ap=np.zeros((30, 40)))
    with pytest.raises(ValueError, match="truth_labels need the CT"):
        a_case(truth=None, metrics=None)
    with pytest.raises(ValueError, match="metrics need the truth's vertebra labels"):
        a_case(truth_labels=None)


def test_overview_is_one_wide_picture() -> None:
    picture = Image.open(io.BytesIO(overview_figure(a_case())))
    assert picture.size == (1600, 900)
    assert picture.format == "PNG"


def test_report_is_written_whole_or_not_at_all(tmp_path) -> None:
    content = a_case(truth=None, truth_labels=None, metrics=None)
    write_report(tmp_path / "new" / "report.html", content)
    assert (tmp_path / "new" / "report.html").read_text(encoding="utf-8").endswith("</html>\n")
    assert len(list((tmp_path / "new").iterdir())) == 1
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Expected"):
        write_report(tmp_path / "file" / "report.html", content)


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_page_prints_on_a4(tmp_path) -> None:
    write_report(tmp_path / "report.html", a_case())
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    flags += "--disable-component-update --disable-sync --no-pdf-header-footer"
    command = ["chromium", *flags.split(), f"--user-data-dir={tmp_path / 'profile'}"]
    command += [f"--print-to-pdf={tmp_path / 'report.pdf'}", (tmp_path / "report.html").as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    pdf = (tmp_path / "report.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    boxes = {tuple(round(float(n)) for n in box.split()) for box in re.findall(rb"/MediaBox\s*\[([^\]]+)\]", pdf)}
    assert boxes in ({(0, 0, 595, 842)}, {(0, 0, 596, 842)})
