"""Segmentations and label maps to VerSe labels: names, terminology, transforms, other representations, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from support.slicer_data import add_segmentation, add_volume, oblique_case
from TomoRayLib.anatomy.vertebrae import NAME_OF_LABEL, WHOLE_SPINE_LABEL
from TomoRayLib.base.errors import InputError

pytestmark = pytest.mark.usefixtures("scene")


@pytest.fixture
def segments():
    from TomoRayLib.slicer.scene import segments

    return segments


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("T5", 12),
        ("l1", 20),
        ("20", 20),
        ("vert_T5", 12),
        ("vertebrae_L1", 20),
        ("L1 vertebra", 20),
        ("Vertebra C7", 7),
        ("fifth thoracic vertebra", 12),
        ("Seventh cervical vertebra", 7),
        ("twelfth thoracic vertebra", 19),
        ("rib_left_3", None),
        ("sacrum", None),
        ("T5 and T6 vertebrae", None),
        ("99", None),
        ("T5 lesion", None),
        ("", None),
    ],
)
def test_names_that_mean_a_vertebra(segments, text: str, label: int | None) -> None:
    assert segments.label_of_text(text) == label


def test_segments_come_back_as_the_labels_they_were_made_of(segments) -> None:
    ct, labels = oblique_case()
    node = add_volume(ct, "CT")
    volume, notes = segments.labels_of(add_segmentation(labels, node), node)
    np.testing.assert_array_equal(volume.voxels, labels.voxels)
    assert volume.grid.same_as(ct.grid)
    assert notes == ()


def test_totalsegmentator_names_and_what_is_left_out(segments) -> None:
    ct, labels = oblique_case()
    node = add_volume(ct, "CT")
    present = [int(value) for value in np.unique(labels.voxels) if value]
    names = {value: f"vertebrae_{NAME_OF_LABEL[value]}" for value in present}
    names[present[0]] = "heart"
    volume, notes = segments.labels_of(add_segmentation(labels, node, names=names), node)
    expected = np.where(labels.voxels == present[0], 0, labels.voxels)
    np.testing.assert_array_equal(volume.voxels, expected)
    assert "heart" in notes[0]


def test_terminology_names_a_segment_that_has_no_telling_name(segments) -> None:
    ct, labels = oblique_case()
    node = add_volume(ct, "CT")
    values = [int(value) for value in np.unique(labels.voxels) if value]
    segmentation = add_segmentation(labels, node, names={value: f"Segment_{value}" for value in values})
    wanted = values[2]
    segment = segmentation.GetSegmentation().GetSegment(f"s{wanted}")
    meaning = f"{NAME_OF_LABEL[wanted]} vertebra"
    segment.SetTag("TerminologyEntry", f"List~SCT^123037004^Anatomical Structure~SCT^1^{meaning}~^^~List~^^~^^")
    volume, notes = segments.labels_of(segmentation, node)
    np.testing.assert_array_equal(volume.voxels != 0, labels.voxels == wanted)
    assert set(np.unique(volume.voxels)) == {0, wanted}
    assert "ignored" in notes[0]


def test_one_unnamed_segment_is_the_whole_spine(segments) -> None:
    ct, labels = oblique_case()
    node = add_volume(ct, "CT")
    spine = type(labels)((labels.voxels > 0).astype(np.uint8), labels.grid)
    volume, notes = segments.labels_of(add_segmentation(spine, node, names={1: "Segment_1"}), node)
    np.testing.assert_array_equal(volume.voxels, np.where(labels.voxels > 0, WHOLE_SPINE_LABEL, 0))
    assert "whole spine" in notes[0]


def test_a_transform_of_the_segmentation_is_applied(segments) -> None:
    import slicer
    import slicer.util

    ct, labels = oblique_case()
    node = add_volume(ct, "CT")
    segmentation = add_segmentation(labels, node)
    step = 3  # voxels along k, in the CT's own direction
    matrix = np.eye(4)
    column = ct.grid.index_to_world[:3, 2]
    matrix[:3, 3] = np.array([-1.0, -1.0, 1.0]) * column * step
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "shift")
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    segmentation.SetAndObserveTransformNodeID(transform.GetID())
    volume, _notes = segments.labels_of(segmentation, node)
    np.testing.assert_array_equal(volume.voxels[step:], labels.voxels[:-step])


def test_a_closed_surface_is_drawn_without_changing_the_users_node(segments) -> None:
    ct, labels = oblique_case()
    node = add_volume(ct, "CT")
    block = np.zeros(labels.voxels.shape, np.uint8)  # solid, as smoothing eats thin processes
    block[30:45, 20:48, 61:80] = 20
    labels = type(labels)(block, labels.grid)
    segmentation = add_segmentation(labels, node)
    segmentation.CreateClosedSurfaceRepresentation()
    segmentation.GetSegmentation().SetSourceRepresentationName("Closed surface")
    segmentation.GetSegmentation().RemoveRepresentation("Binary labelmap")
    volume, _notes = segments.labels_of(segmentation, node)
    assert not segmentation.GetSegmentation().ContainsRepresentation("Binary labelmap")
    both = np.count_nonzero((volume.voxels > 0) & (labels.voxels > 0))
    dice = 2 * both / (np.count_nonzero(volume.voxels) + np.count_nonzero(labels.voxels))
    assert dice > 0.9
    middles = [np.argwhere(voxels > 0).mean(axis=0) for voxels in (volume.voxels, labels.voxels)]
    np.testing.assert_allclose(*middles, atol=0.25)  # half a voxel off would show here


def test_a_label_map_keeps_its_numbers_and_its_own_grid(segments) -> None:
    ct, labels = oblique_case()
    node, label_map = add_volume(ct, "CT"), add_volume(labels, "labels", "vtkMRMLLabelMapVolumeNode")
    volume, notes = segments.labels_of(label_map, node)
    np.testing.assert_array_equal(volume.voxels, labels.voxels)
    assert notes == ()


def test_a_numbering_that_is_stated_wins_over_the_names_of_a_color_table(segments) -> None:
    import slicer

    ct, labels = oblique_case()
    node, label_map = add_volume(ct, "CT"), add_volume(labels, "labels", "vtkMRMLLabelMapVolumeNode")
    assert not segments.goes_by_names(label_map)
    present = [int(value) for value in np.unique(labels.voxels) if value]
    table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLColorTableNode", "names")
    table.SetTypeToUser()
    table.SetNumberOfColors(max(present) + 1)
    for value in present:
        table.SetColor(value, f"vertebrae_{NAME_OF_LABEL[value - 1]}", 1.0, 0.0, 0.0, 1.0)
    label_map.CreateDefaultDisplayNodes()
    label_map.GetDisplayNode().SetAndObserveColorNodeID(table.GetID())
    assert segments.goes_by_names(label_map)
    named, _notes = segments.labels_of(label_map, node)
    np.testing.assert_array_equal(named.voxels, np.where(labels.voxels > 0, labels.voxels - 1, 0))
    assert not segments.goes_by_names(label_map, "spider")
    stated, _notes = segments.labels_of(label_map, node, "spider")
    np.testing.assert_array_equal(stated.voxels, labels.voxels)


def test_refusals_say_what_to_do(segments) -> None:
    import slicer

    ct, labels = oblique_case()
    node = add_volume(ct, "CT")
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "empty one")
    assert "empty one is empty" in segments.segmentation_problem(empty)
    organs = add_segmentation(labels, node, "organs", {int(v): f"organ {v}" for v in np.unique(labels.voxels)})
    with pytest.raises(InputError, match=r"No segment of .* is named as a vertebra"):
        segments.labels_of(organs, node)
    far = type(labels)(labels.voxels, type(labels.grid)(labels.grid.size, labels.grid.spacing_mm, (5000.0, 0.0, 0.0)))
    other = add_segmentation(far, add_volume(far, "far"), "of another patient")
    with pytest.raises(InputError, match="another patient"):
        segments.labels_of(other, node)
    slicer.mrmlScene.RemoveNode(other)
    assert "was deleted" in segments.segmentation_problem(other)


def test_nothing_is_left_in_the_scene(segments) -> None:
    import slicer

    ct, labels = oblique_case()
    node = add_volume(ct, "CT")
    segmentation = add_segmentation(labels, node)
    before = slicer.mrmlScene.GetNumberOfNodes()
    segments.labels_of(segmentation, node)
    assert slicer.mrmlScene.GetNumberOfNodes() == before
