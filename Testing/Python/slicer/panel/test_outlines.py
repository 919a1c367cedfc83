"""The synthetic outline over the radiographs: where the views project the bone, on the image as it is shown."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from support import panel_driver as drive
from support.panel_views import annotated
from support.results_folders import write_results
from support.slicer_data import add_radiograph, add_volume, oblique_case
from TomoRayLib.geometry.beams import ConeBeam, SlotScan
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.view_json import view_to_dict
from TomoRayLib.geometry.views import Biplanar, View
from TomoRayLib.images.files import read_volume
from TomoRayLib.projector.projection import project
from TomoRayLib.synthesis.reprojection import Reprojection, coarse_detector, write_reprojection

PICTURES = Path(__file__).resolve().parents[4] / "output" / "panel"
CENTER_MM = (31.0, -47.0, 260.0)
AP_SHAPE, LATERAL_SHAPE = (66, 70), (740, 610)  # the lateral's outline has coarser pixels
ORANGE = (230, 158, 0)


def the_views(lateral_shape: tuple[int, int] = LATERAL_SHAPE) -> Biplanar:
    """A cone from in front and a slot scan from the left, both off centre and with uneven pixels."""
    ap = View(ConeBeam(900.0, 1300.0), Detector(*AP_SHAPE, (4.0, 4.7), (11.0, -17.0)), 3.0, isocenter_mm=CENTER_MM)
    spacing_mm = (240.0 / lateral_shape[0], 250.0 / lateral_shape[1])
    lateral = Detector(*lateral_shape, spacing_mm, (-9.0, -21.0))
    return Biplanar(ap, View(SlotScan(918.0, 1300.0), lateral, 91.0, isocenter_mm=CENTER_MM))


def results(folder: Path, pair: Biplanar, **changes) -> Path:
    """A results folder of these views, with the bone of its mask as they see it."""
    write_results(folder)
    bone = read_volume(folder / "synthetic_vertebrae.nrrd")
    for name, view in (("ap", pair.ap), ("lat", pair.lateral)):
        coarse = View(view.beam, coarse_detector(view.detector), view.gantry_angle_deg, isocenter_mm=CENTER_MM)
        thickness_mm = project(torch.from_numpy(bone.voxels.astype(np.float32)), bone.grid, coarse).numpy()
        write_reprojection(folder / f"{name}_bone.nrrd", Reprojection(thickness_mm, 0.6), view)
    provenance = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    provenance["views"] = {"ap": view_to_dict(pair.ap), "lateral": view_to_dict(pair.lateral)}
    provenance |= {"agreement": {"ap": 0.651, "lateral": 0.447}, "certainty": 0.283}
    (folder / "provenance.json").write_text(json.dumps(provenance | changes), encoding="utf-8")
    return folder


def projected(folder: Path, view: View, half: float) -> np.ndarray:
    """(row, column) on the upright radiograph of the mask's voxels, each as a cube of this half edge in voxels."""
    bone = read_volume(folder / "synthetic_vertebrae.nrrd")
    centers = np.argwhere(bone.voxels)[:, ::-1].astype(float)
    offsets = half * np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    corners = (centers[:, None] + offsets).reshape(-1, 3)
    points = np.c_[corners, np.ones(len(corners))] @ bone.grid.index_to_world.T
    return view.project_points(points[:, :3])[:, ::-1]


def stored_as(pixels: np.ndarray, mirrored: bool, turned_deg: int) -> np.ndarray:
    """The picture that is upright once it was turned clockwise, then mirrored."""
    return np.rot90(pixels[:, ::-1] if mirrored else pixels, turned_deg // 90)


def places(node, indices: np.ndarray) -> np.ndarray:
    """RAS of (row, column) of a single-slice node."""
    import slicer.util
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    rows, columns = indices.T.astype(float)
    homogeneous = np.stack([columns, rows, np.zeros_like(rows), np.ones_like(rows)], axis=1)
    return (homogeneous @ slicer.util.arrayFromVTKMatrix(matrix).T)[:, :3]


def box(points: np.ndarray) -> np.ndarray:
    """Lowest and highest coordinate of points along each axis."""
    return np.stack([points.min(axis=0), points.max(axis=0)])


def drawn(view_name: str) -> np.ndarray:
    """RAS of the pixels that a view draws in the outline's colour."""
    import slicer
    import slicer.util
    from vtk.util.numpy_support import vtk_to_numpy

    widget = slicer.app.layoutManager().sliceWidget(view_name)
    widget._slice_view.render()
    producer = widget.sliceLogic().GetImageDataConnection().GetProducer()
    producer.Update()
    image = producer.GetOutputDataObject(0)
    columns, rows, _ = image.GetDimensions()
    colors = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, -1)[:, :, :3].astype(int)
    y, x = np.nonzero((abs(colors - ORANGE) < 3).all(axis=2))
    matrix = slicer.util.arrayFromVTKMatrix(widget.sliceLogic().GetSliceNode().GetXYToRAS())
    return (np.stack([x, y, 0 * x, 0 * x + 1], axis=1) @ matrix.T)[:, :3]


def show_case(panel, folder: Path, main_input, inputs):
    from TomoRayLib.slicer.panel.parameters import Layout
    from TomoRayLib.slicer.scene.case_nodes import add_case

    case = add_case(folder, "case", main_input, inputs=inputs)
    panel.ui.layoutComboBox.currentIndex = list(Layout).index(Layout.SYNTHETIC)
    panel.panel.parameters.currentCase = case.synthetic
    drive.settle()
    return case


def label_volumes() -> list[str | None]:
    from TomoRayLib.slicer.views import layouts
    from TomoRayLib.slicer.views.display import slice_logic

    return [slice_logic(name).GetSliceCompositeNode().GetLabelVolumeID() for name in layouts.RADIOGRAPH_VIEWS]


def assert_outline_lies_on(folder, case, view: str, shown, mirrored=False, turned_deg=0) -> None:
    """The label map and what the view draws end between the outermost voxels' centres and their outer corners.

    ``shown`` is the node in the view, which holds the radiograph as it was stored.
    """
    import slicer.util

    from TomoRayLib.slicer.views import layouts

    of_view = getattr(the_views(AP_SHAPE if case.ap is not None else LATERAL_SHAPE), view)
    boxes = []
    for half in (0.0, 0.5):
        mask = np.zeros(of_view.shape, dtype=bool)
        mask[tuple(np.rint(projected(folder, of_view, half)).astype(int).T)] = True
        boxes.append(box(places(shown, np.argwhere(stored_as(mask, mirrored, turned_deg)))))
    view_name = layouts.RADIOGRAPH_VIEWS[("ap", "lateral").index(view)]
    composite = slicer.app.layoutManager().sliceWidget(view_name).sliceLogic().GetSliceCompositeNode()
    assert composite.GetBackgroundVolumeID() == shown.GetID()
    outline = slicer.mrmlScene.GetNodeByID(composite.GetLabelVolumeID())
    label = slicer.util.arrayFromVolume(outline)[0]
    assert max(label.shape) <= 360
    corner, *next_ones = places(outline, np.array([[0, 0], [0, 1], [1, 0]]))
    pixel_mm = max(float(np.linalg.norm(one - corner)) for one in next_ones)
    for found, slack_mm in ((places(outline, np.argwhere(label)), pixel_mm), (drawn(view_name), 1.5 * pixel_mm + 1)):
        assert len(found) > 20
        (low, high), (inner_low, inner_high), (outer_low, outer_high) = box(found), *boxes
        assert (low <= inner_low + slack_mm).all(), (found.shape, low, inner_low)
        assert (low >= outer_low - slack_mm).all(), (found.shape, low, outer_low)
        assert (high >= inner_high - slack_mm).all(), (found.shape, high, inner_high)
        assert (high <= outer_high + slack_mm).all(), (found.shape, high, outer_high)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.fixture
def of_ct(panel, folder: Path):
    """The case of a CT, whose radiographs are upright nodes of its own."""
    ct, _labels = oblique_case()
    node = add_volume(ct, "CT")
    drive.choose_ct(panel, node)
    return show_case(panel, results(folder, the_views(AP_SHAPE)), node, [node])


def test_the_outline_lies_on_rendered_radiographs(of_ct, panel, folder: Path, slicer_host) -> None:
    import slicer

    for view in ("ap", "lateral"):
        assert_outline_lies_on(folder, of_ct, view, getattr(of_ct, view))
        assert getattr(of_ct, f"{view}_outline").GetName().startswith("SYNTHETIC outline")
        assert getattr(of_ct, f"{view}_outline").GetAttribute("TomoRay.Notice")
    assert annotated(slicer.app.layoutManager().sliceWidget("TomoRayAP")._slice_view.renderWindow())
    assert panel.ui.agreementLabel.text == ("Agreement with the radiographs: AP 0.65, lateral 0.45; certainty 0.28")
    slicer_host.grab_window(PICTURES / "outline.png", 1366, 768)
    panel.ui.outlineCheckBox.checked = False
    drive.settle()
    assert label_volumes() == [None, None]
    assert len(drawn("TomoRayAP")) == 0


@pytest.mark.parametrize(
    ("mirrored", "turned_deg"), [(False, 0), (True, 0), (True, 90), (False, 90), (True, 180), (True, 270)]
)
def test_the_outline_lies_on_radiographs_as_they_were_stored(
    panel, folder: Path, mirrored: bool, turned_deg: int
) -> None:
    """The views show the user's radiographs as loaded, the cursor as the network got them: right on both."""
    ap = add_radiograph(np.hypot(*np.indices(AP_SHAPE)), "AP", (4.0, 4.7))
    upright = np.arange(np.prod(LATERAL_SHAPE), dtype=float).reshape(LATERAL_SHAPE)
    lateral = add_radiograph(stored_as(upright, mirrored, turned_deg), "lateral", (0.31, 0.44))
    drive.choose_radiographs(panel, ap, lateral)
    how = {"flip_lateral": mirrored, "turn_lateral": turned_deg, "invert_lateral": True}
    inputs = {"ap": {"name": "ap"}, "lateral": {"name": "lateral"}}
    case = show_case(panel, results(folder, the_views(), arrangement=how, inputs=inputs), ap, [ap, lateral])
    assert case.ap is None
    assert_outline_lies_on(folder, case, "ap", ap)
    assert_outline_lies_on(folder, case, "lateral", lateral, mirrored, turned_deg)
    panel.ui.cursorCheckBox.checked = True
    drive.settle()
    views = panel.panel.cursor.views
    assert views.complete
    for view in ("ap", "lateral"):
        assert_outline_lies_on(folder, case, view, helper_in(view))
    panel.ui.outlineCheckBox.checked = False
    drive.settle()
    assert label_volumes() == [None, None]
    panel.ui.outlineCheckBox.checked = True
    panel.ui.cursorCheckBox.checked = False
    drive.settle()
    assert_outline_lies_on(folder, case, "lateral", lateral, mirrored, turned_deg)


def helper_in(view: str):
    """The volume that a view of radiographs shows."""
    import slicer

    from TomoRayLib.slicer.views import layouts
    from TomoRayLib.slicer.views.display import slice_logic

    name = layouts.RADIOGRAPH_VIEWS[("ap", "lateral").index(view)]
    return slicer.mrmlScene.GetNodeByID(slice_logic(name).GetSliceCompositeNode().GetBackgroundVolumeID())


def test_other_images_than_those_of_the_run_get_no_outline(panel, folder: Path) -> None:
    """One of other proportions in the same node, and another node in the view."""
    import slicer.util

    ap = add_radiograph(np.hypot(*np.indices(AP_SHAPE)), "AP", (4.0, 4.7))
    lateral = add_radiograph(np.hypot(*np.indices(LATERAL_SHAPE)), "lateral", (0.31, 0.44))
    drive.choose_radiographs(panel, ap, lateral)
    inputs = {"ap": {"name": "ap"}, "lateral": {"name": "lateral"}}
    show_case(panel, results(folder, the_views(), inputs=inputs), ap, [ap, lateral])
    assert None not in label_volumes()
    slicer.util.updateVolumeFromArray(lateral, np.ones((1, 610, 740), np.float32))
    another = add_radiograph(np.hypot(*np.indices(AP_SHAPE)), "another AP", (4.0, 4.7))
    drive.choose_radiographs(panel, another, lateral)
    panel.panel.compare.views.show_again()
    panel.panel.update()
    assert label_volumes() == [None, None]


def test_the_outline_goes_and_comes_with_its_case(of_ct, panel, folder: Path, slicer_host, tmp_path: Path) -> None:
    """Saved and found again; replaced by a run of a version without it; removed with the other nodes of the case."""
    import slicer
    import slicer.util

    from TomoRayLib.slicer.scene.case_nodes import add_case, cases_in_scene
    from TomoRayLib.slicer.scene.hierarchy import remove_nodes

    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    items = [hierarchy.GetItemByDataNode(node) for node in (of_ct.synthetic, of_ct.ap_outline, of_ct.lateral_outline)]
    assert len({hierarchy.GetItemParent(item) for item in items}) == 1
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(False)
    drive.settle()
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    drive.settle()
    (case,) = cases_in_scene()
    for view in ("ap", "lateral"):
        assert_outline_lies_on(folder, case, view, getattr(case, view))
    for name in ("ap_bone.nrrd", "lat_bone.nrrd"):
        (folder / name).unlink()
    source = case.synthetic.GetNodeReference("TomoRay.input")
    old = add_case(folder, "case", source, case.synthetic, case.vertebrae)
    assert old.ap_outline is None
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLLabelMapVolumeNode") == 0
    panel.panel.compare.views.show_again()
    panel.panel.update()
    assert label_volumes() == [None, None]
    assert not panel.ui.outlineCheckBox.enabled
    remove_nodes(old.all())
    assert cases_in_scene() == []


def test_a_result_without_figures_says_nothing_of_them(panel, folder: Path) -> None:
    """As of an older version, and of an empty result."""
    ct, _labels = oblique_case()
    node = add_volume(ct, "CT")
    drive.choose_ct(panel, node)
    figures = {"agreement": {"ap": None, "lateral": None}, "certainty": None}
    show_case(panel, results(folder, the_views(AP_SHAPE), **figures), node, [node])
    assert not panel.ui.agreementLabel.text
