"""Volume nodes: geometry in LPS with transforms, what is refused and why, and the way to files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from support.slicer_data import add_radiograph, add_volume, oblique_case, rotation
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.files import read_volume

pytestmark = pytest.mark.usefixtures("scene")


@pytest.fixture
def nodes():
    from TomoRayLib.slicer.scene import nodes

    return nodes


def linear_transform(matrix: np.ndarray):
    import slicer
    import slicer.util

    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    return transform


def test_the_grid_of_an_oblique_volume_is_that_of_the_file(nodes) -> None:
    ct, _labels = oblique_case()
    assert nodes.grid_of(add_volume(ct, "CT")).same_as(ct.grid, tolerance_mm=1e-6)


def test_a_linear_transform_moves_the_grid_as_it_moves_every_voxel(nodes) -> None:
    ct, _labels = oblique_case()
    node = add_volume(ct, "CT")
    matrix = np.eye(4)
    matrix[:3, :3] = rotation((20.0, 0.0, -35.0))
    matrix[:3, 3] = (5.0, -17.0, 40.0)
    node.SetAndObserveTransformNodeID(linear_transform(matrix).GetID())
    index = np.array([10.0, 70.0, 33.0, 1.0])
    in_ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ ct.grid.index_to_world @ index
    expected_lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix @ in_ras
    np.testing.assert_allclose(nodes.grid_of(node).index_to_world @ index, expected_lps, atol=1e-6)


def test_an_export_reads_back_to_the_bit_with_its_transform_applied(nodes, tmp_path: Path) -> None:
    ct, _labels = oblique_case()
    node = add_volume(ct, "CT")
    assert nodes.export_volume(node, tmp_path / "a.nrrd") is None
    read = read_volume(tmp_path / "a.nrrd")
    assert read.grid.same_as(ct.grid, tolerance_mm=1e-6)
    np.testing.assert_array_equal(read.voxels, ct.voxels)
    matrix = np.eye(4)
    matrix[:3, 3] = (30.0, 0.0, 0.0)
    node.SetAndObserveTransformNodeID(linear_transform(matrix).GetID())
    note = nodes.export_volume(node, tmp_path / "b.nrrd")
    assert "moved" in note
    shift = np.subtract(read_volume(tmp_path / "b.nrrd").grid.origin_mm, ct.grid.origin_mm)
    np.testing.assert_allclose(shift, (-30.0, 0.0, 0.0), atol=1e-6)  # to the right in RAS is down in L


def test_a_sheared_volume_is_refused_with_a_remedy(nodes, tmp_path: Path) -> None:
    ct, _labels = oblique_case()
    node = add_volume(ct, "tilted")
    matrix = np.eye(4)
    matrix[1, 2] = 0.2
    node.SetAndObserveTransformNodeID(linear_transform(matrix).GetID())
    assert "not orthogonal" in nodes.problem_of(node, nodes.Role.CT)
    with pytest.raises(InputError, match="Crop Volume"):
        nodes.export_volume(node, tmp_path / "c.nrrd")


def test_a_non_linear_transform_is_refused_with_its_name(nodes) -> None:
    import slicer
    import vtk

    ct, _labels = oblique_case()
    node = add_volume(ct, "CT")
    grid = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "breathing")
    spline = slicer.vtkOrientedBSplineTransform()
    coefficients = vtk.vtkImageData()
    coefficients.SetDimensions(5, 5, 5)
    coefficients.SetSpacing(100, 100, 100)
    coefficients.AllocateScalars(vtk.VTK_DOUBLE, 3)
    spline.SetCoefficientData(coefficients)
    grid.SetAndObserveTransformToParent(spline)
    node.SetAndObserveTransformNodeID(grid.GetID())
    problem = nodes.problem_of(node, nodes.Role.CT)
    assert "non-linear transform breathing" in problem
    assert "Harden" in problem


def test_what_cannot_be_a_ct_or_a_radiograph_is_said(nodes) -> None:
    import slicer
    import vtk

    ct, labels = oblique_case()
    volume, radiograph = add_volume(ct, "CT"), add_radiograph(np.ones((80, 90)), "AP")
    label_map = add_volume(labels, "labels", "vtkMRMLLabelMapVolumeNode")
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    colour = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "photo")
    image = vtk.vtkImageData()
    image.SetDimensions(90, 80, 1)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    colour.SetAndObserveImageData(image)
    role = nodes.Role
    assert nodes.problem_of(volume, role.CT) is None
    assert nodes.problem_of(radiograph, role.AP) is None
    assert "not a CT volume" in nodes.problem_of(radiograph, role.CT)
    assert "72 slices" in nodes.problem_of(volume, role.LATERAL)
    assert "label map" in nodes.problem_of(label_map, role.CT)
    assert "no image" in nodes.problem_of(empty, role.CT)
    assert "3 values" in nodes.problem_of(colour, role.AP)
    assert nodes.problem_of(None, role.AP) == "Choose the AP radiograph."
    slicer.mrmlScene.RemoveNode(volume)
    assert "was deleted" in nodes.problem_of(volume, role.CT)


def test_the_original_file_counts_only_while_the_node_is_what_it_holds(nodes, tmp_path: Path) -> None:
    import slicer
    import slicer.util

    from TomoRayLib.images.writing import write_volume
    from TomoRayLib.slicer.scene import source_files

    ct, _labels = oblique_case()
    write_volume(tmp_path / "ct.nrrd", ct)
    node = slicer.modules.volumes.logic().AddArchetypeScalarVolume(str(tmp_path / "ct.nrrd"), "CT", 0, None)
    assert source_files.source_file(node) == tmp_path / "ct.nrrd"
    assert nodes.grid_of(node).same_as(ct.grid, tolerance_mm=1e-3)
    slicer.util.arrayFromVolume(node)[0] = 5
    slicer.util.arrayFromVolumeModified(node)
    assert source_files.source_file(node) is None
