"""The interactive part of a cohort's page, in a real browser without a network."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.cohort_scores import metrics_json, three_scores
from TomoRayLib.metrics.statistics import CaseScore
from TomoRayLib.report.cohort_explorer import WITHOUT_BOKEH, explorer
from TomoRayLib.report.cohort_page import summary_page
from TomoRayLib.report.cohort_result import CohortResult

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-sync", "--disable-component-update", "--disable-quic", "--window-size=1280,2400",
    "--virtual-time-budget=20000",
)  # fmt: skip
# Sets controls as a user does and writes down what the page then shows.
SCRIPT = """
<script>
const seen = {};
function deep(root, found) {
    for (const one of root.querySelectorAll("*")) {
        if (one.matches(".slick-row")) found.push(one.innerText);
        if (one.shadowRoot) deep(one.shadowRoot, found);
    }
    return found;
}
window.addEventListener("load", () => setTimeout(async () => {
    const rest = () => new Promise((done) => setTimeout(done, 200));  // callbacks run after the change
    const page = Bokeh.documents[0];
    const of = (name) => page.get_model_by_name(name);
    const cases = () => of("shown").indices.map((i) => of("lines").data.case[i] + "/" + of("lines").data.row[i]);
    seen.first = cases();
    seen.drawn = deep(document, []);
    of("rows").value = "all";
    await rest();
    seen.all = cases().length;
    of("words").value = "SPLIT-2";
    await rest();
    seen.named = cases();
    of("words").value = "";
    of("groups").value = "lumbar";
    await rest();
    seen.lumbar = cases();
    of("metrics").value = "psnr_3d_db";
    await rest();
    seen.points = [Array.from(of("points").data.x), Array.from(of("points").data.y)];
    of("up").value = "Blank volume";
    await rest();
    seen.blank = Array.from(of("points").data.y);
    const note = document.createElement("pre");
    note.id = "seen";
    note.textContent = JSON.stringify(seen);
    document.body.append(note);
}, 3000));
</script>
"""


@pytest.fixture
def a_result() -> CohortResult:
    scores = three_scores()
    named = {score.name: f"cases/{score.name}.html" for score in scores}
    return CohortResult("three", scores, (), (), {}, pages=named)


def in_chromium(page: str, folder: Path) -> dict[str, Any]:
    path = folder / "page.html"
    before, end, after = page.rpartition("</body>")
    path.write_text(f"{before}{SCRIPT}{end}{after}", encoding="utf-8")
    with tempfile.TemporaryDirectory() as profile:
        command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", "--dump-dom", path.absolute().as_uri()]
        printed = subprocess.run(command, capture_output=True, encoding="utf-8", check=True, timeout=120).stdout
    found = re.search(r'<pre id="seen">(.*?)</pre>', printed, re.DOTALL)
    assert found, printed[-3000:]
    seen: dict[str, Any] = json.loads(found[1].replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))
    return seen


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_the_table_filters_and_the_plot_follows(a_result: CohortResult, tmp_path: Path) -> None:
    hostile = replace(a_result.scores[2], name="<b>sub-b</b>", subject="sub-b")
    result = replace(a_result, scores=(*a_result.scores[:2], hostile))
    seen = in_chromium(summary_page(result, explorer(result)), tmp_path)
    assert seen["first"] == ["sub-a_split-1/TomoRay", "sub-a_split-2/TomoRay", "<b>sub-b</b>/TomoRay"]
    assert len(seen["drawn"]) == 3
    assert "20.00" in seen["drawn"][0]
    assert seen["drawn"][2].startswith("<b>sub-b</b>")  # text, not markup
    assert seen["all"] == 9
    assert {name.rpartition("/")[0] for name in seen["named"]} == {"sub-a_split-2"}
    assert {name.rpartition("/")[0] for name in seen["lumbar"]} == {"sub-a_split-1", "<b>sub-b</b>"}
    assert seen["points"] == [[21.0, 21.0, 21.0], [20.0, 22.0, 27.0]]
    assert seen["blank"] == [18.0, 18.0, 18.0]


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_thousand_cases_are_shown_as_few(a_result: CohortResult, tmp_path: Path) -> None:
    """The table draws the rows that are in sight, however many there are."""
    metrics = metrics_json(1.0, ("L1",))
    many = tuple(CaseScore.from_metrics(f"c{number:04d}", f"p{number}", metrics) for number in range(1000))
    result = replace(a_result, scores=many, pages=None)
    seen = in_chromium(summary_page(result, explorer(result)), tmp_path)
    assert len(seen["first"]) == 1000
    assert seen["all"] == 3000
    assert 5 < len(seen["drawn"]) < 100


def test_without_bokeh_the_page_says_how_to_get_it(a_result: CohortResult, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "bokeh.embed", None)
    assert explorer(a_result) == WITHOUT_BOKEH
    assert explorer(replace(a_result, scores=())) == ""
