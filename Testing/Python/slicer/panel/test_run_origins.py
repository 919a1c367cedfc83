"""What the report of a panel's run keeps: names of its inputs, where each number came from, the sample's citation."""

from __future__ import annotations

import json
from html import unescape

import pytest

from support import panel_driver as drive
from support.slicer_data import add_segmentation, add_volume, oblique_case


def provenance(panel) -> dict:
    from TomoRayLib.slicer.scene.case_nodes import PROVENANCE_KEY

    content: dict = json.loads(panel.panel.compare.case.synthetic.GetAttribute(PROVENANCE_KEY))
    return content


def report(panel) -> str:
    return unescape(panel.panel.compare.case.report.GetText())


def run(panel) -> None:
    drive.click(panel.ui.synthesizeButton)
    assert drive.wait_for_end(panel).startswith(("Done", "Empty"))


@pytest.fixture
def of_ct(ready, tiny_worker):
    ready.ui.ctSelector.currentNode().SetName("Thorax 1.0 B60f")
    run(ready)
    return ready


def test_inputs_keep_the_names_that_they_have_in_slicer(of_ct) -> None:
    assert {field: one["name"] for field, one in provenance(of_ct)["inputs"].items()} == {
        "ct": "Thorax 1.0 B60f",
        "segmentation": "vertebrae",
    }
    assert "ct.nrrd" not in report(of_ct)
    assert "Thorax 1.0 B60f" in report(of_ct)


def test_each_number_of_two_radiographs_keeps_its_origin(of_ct) -> None:
    """Rendered radiographs as plain images: spacing from the image, distances from the preset, one by hand."""
    from support.slicer_data import add_radiograph
    from TomoRayLib.slicer.scene.nodes import Role
    from TomoRayLib.slicer.scene.radiographs import radiograph_of

    case = of_ct.panel.compare.case
    pixels = [radiograph_of(node, role).pixels for node, role in ((case.ap, Role.AP), (case.lateral, Role.LATERAL))]
    spacing_mm = case.ap.GetSpacing()[0]
    names = ("Chest a.p.", "Chest lat.")
    nodes = [add_radiograph(image, name, (spacing_mm,) * 2) for image, name in zip(pixels, names, strict=True)]
    drive.choose_radiographs(of_ct, *nodes)
    of_ct.ui.lateralSadSpinBox.value = 990.0
    drive.settle()
    run(of_ct)
    made = provenance(of_ct)
    assert {field: one["name"] for field, one in made["inputs"].items()} == dict(
        zip(("ap", "lateral"), names, strict=True)
    )
    told = "\n".join(made["notes"])
    assert "AP: SID 1536 mm (preset), SAD 1000 mm (preset), pixel spacing" in told
    assert "mm (header), gantry angle 0.0 deg (standard)" in told
    assert "lateral: SID 1536 mm (preset), SAD 990 mm (given)" in told
    assert "geometry.json" not in told
    assert "SAD 990 mm (given)" in report(of_ct)


def test_a_case_of_the_sample_carries_its_citation_and_so_do_its_radiographs(panel, tiny_worker) -> None:
    """The note is that of ``tomoray demo``, here of another public case, so that nothing is downloaded."""
    from TomoRayLib.jobs.demonstration import origin_note
    from TomoRayLib.slicer.scene.sample_nodes import sample_note

    stated = {"name": "A case", "source": "An archive", "licence": "CC BY 3.0", "citation": "Doe J. A set. 2015."}
    ct, labels = oblique_case()
    node = add_volume(ct, "A case CT")
    assert sample_note(node) is None
    for key, text in stated.items():
        node.SetAttribute(f"TomoRay.{key.capitalize()}", text)
    drive.choose_ct(panel, node, add_segmentation(labels, node))
    run(panel)
    note = "A case. An archive. Licence CC BY 3.0. Doe J. A set. 2015."
    assert origin_note(**stated) == note
    assert note in report(panel)
    case = panel.panel.compare.case
    assert sample_note(case.ap) == sample_note(case.lateral) == note


def test_the_button_marks_the_sample_with_what_its_reports_need(panel, without_network) -> None:
    from TomoRayLib.slicer.scene.sample_nodes import sample_note

    drive.click(panel.ui.sampleButton)
    drive.wait_for_end(panel)
    for node in (panel.ui.ctSelector.currentNode(), panel.ui.segmentationSelector.currentNode()):
        assert sample_note(node) == (
            "built-in phantom. analytical phantom made by TomoRay; no patient data. Licence Apache-2.0."
        )
