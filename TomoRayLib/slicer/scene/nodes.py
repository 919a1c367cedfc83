"""Volume and point nodes: whether they can be used as chosen, and their voxels and geometry in LPS mm."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import slicer
import slicer.util
import vtk
from slicer.i18n import tr as _

from TomoRayLib.base.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from TomoRayLib.geometry.grid import Grid
    from TomoRayLib.images.types import Volume

LPS_OF_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  # its own inverse
NOTICE_KEY = "TomoRay.Notice"  # attribute of every node that is synthetic
LEAST_SLICES = 8
LEAST_PIXELS = 64


class Role(Enum):
    """The input that a volume node is chosen for."""

    AP = "AP radiograph"
    LATERAL = "lateral radiograph"
    CT = "CT"

    def label(self) -> str:
        return {
            Role.AP: _("AP radiograph"),
            Role.LATERAL: _("lateral radiograph"),
            Role.CT: _("CT"),
        }[self]


def in_scene(node) -> bool:
    """True for a node that is still part of the scene."""
    return node is not None and node.GetScene() is not None and node.GetID() is not None


@contextmanager
def nothing_left_over() -> Iterator[None]:
    """Remove every node that was added inside the block, helpers of Slicer's own logics included."""
    scene = slicer.mrmlScene
    before = {scene.GetNthNode(number).GetID() for number in range(scene.GetNumberOfNodes())}
    try:
        yield
    finally:
        nodes = [scene.GetNthNode(number) for number in range(scene.GetNumberOfNodes())]
        for node in nodes:
            if in_scene(node) and node.GetID() not in before:
                scene.RemoveNode(node)


def problem_of(node, role: Role) -> str | None:
    """Return why a node cannot be used as ``role``, in a sentence; None if it can.

    Asked at every click, so it looks at headers only, never at voxels.
    """
    if node is None:
        return _("Choose the {role}.").format(role=role.label())
    name = node.GetName() or role.label()
    if not in_scene(node):
        return _("The {role} was deleted. Choose another.").format(role=role.label())
    image = node.GetImageData()
    if image is None or image.GetNumberOfPoints() == 0:
        return _("{name} holds no image. Load it again, or choose another.").format(name=name)
    if node.IsA("vtkMRMLLabelMapVolumeNode"):
        return _("{name} is a label map. Choose the {role} itself.").format(name=name, role=role.label())
    values = image.GetNumberOfScalarComponents()
    if values != 1:
        return _(
            "{name} has {values} values in each voxel (colour or vector image). Convert it to grey values."
        ).format(name=name, values=values)
    columns, rows, slices = image.GetDimensions()
    if role is Role.CT:
        if slices < LEAST_SLICES or min(columns, rows) < LEAST_SLICES:
            return _(
                "{name} has {columns} x {rows} x {slices} voxels, so it is not a CT volume. To start from "
                "radiographs, choose Two radiographs above."
            ).format(name=name, columns=columns, rows=rows, slices=slices)
        if node.GetAttribute(NOTICE_KEY) is not None:
            return _("{name} is synthetic. Choose a real CT.").format(name=name)
        return transform_problem(node)
    if slices != 1:
        return _(
            "{name} has {slices} slices, so it is a volume, not a radiograph. To start from a CT, choose CT above."
        ).format(name=name, slices=slices)
    if min(columns, rows) < LEAST_PIXELS:
        return _("{name} has only {columns} x {rows} pixels. Choose the whole radiograph.").format(
            name=name, columns=columns, rows=rows
        )
    if node.GetParentTransformNode() is not None:
        return _(
            "{name} is under the transform {transform}, but a radiograph must be used as it was taken. Remove the "
            "transform from it (Transforms module), or harden it on a copy and choose the copy."
        ).format(name=name, transform=node.GetParentTransformNode().GetName())
    return None


def transform_problem(node) -> str | None:
    """Return why the node's transform cannot be used (non-linear, or it shears); None if it can."""
    transform = node.GetParentTransformNode()
    if transform is not None and not transform.IsTransformToWorldLinear():
        return _(
            "{name} is under the non-linear transform {transform}. Harden it (Transforms module, Harden) on a copy "
            "of the volume, and choose the copy."
        ).format(name=node.GetName(), transform=transform.GetName())
    if node.IsA("vtkMRMLVolumeNode"):
        try:
            grid_of(node)
        except InputError as error:
            return str(error)
    return None


def index_to_lps(node) -> NDArray[np.float64]:
    """4 x 4 matrix from ``(i, j, k, 1)`` to LPS mm, linear parent transforms included. Of a volume node."""
    ijk_to_ras = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(ijk_to_ras)
    matrix = slicer.util.arrayFromVTKMatrix(ijk_to_ras)
    transform = node.GetParentTransformNode()
    if transform is not None:
        to_world = vtk.vtkMatrix4x4()
        transform.GetMatrixTransformToWorld(to_world)
        matrix = slicer.util.arrayFromVTKMatrix(to_world) @ matrix
    return LPS_OF_RAS @ matrix


def grid_of(node) -> Grid:
    """The grid of a volume node in LPS mm. Raises InputError for one that is sheared (tilted gantry, transform)."""
    from TomoRayLib.geometry.grid import Grid

    matrix = index_to_lps(node)
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    try:
        direction = matrix[:3, :3] / spacing
        return Grid(node.GetImageData().GetDimensions(), tuple(spacing), tuple(matrix[:3, 3]), tuple(direction.ravel()))
    except InputError:
        raise InputError(
            _(
                "{name}: its axes are not orthogonal, or its spacing is not positive. Resample it to "
                "an orthogonal grid (Crop Volume module, interpolated), and choose the result."
            ).format(name=node.GetName())
        ) from None


def place_on_grid(node, grid: Grid) -> None:
    """Give a volume node the geometry of a grid in LPS mm."""
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(LPS_OF_RAS @ grid.index_to_world))


def volume_of(node) -> Volume:
    """The node's voxels (z, y, x), not copied, on its grid in LPS mm."""
    from TomoRayLib.images.types import Volume

    return Volume(slicer.util.arrayFromVolume(node), grid_of(node))


def export_volume(node, path: Path) -> str | None:
    """Write a volume node as an uncompressed NRRD; returns a note if a transform was applied to its geometry.

    Raises InputError for a transform that cannot be used, OutputError if the file cannot be written.
    """
    from TomoRayLib.images.writing import write_volume

    problem = transform_problem(node)
    if problem is not None:
        raise InputError(problem)
    write_volume(path, volume_of(node), compressed=False)
    transform = node.GetParentTransformNode()
    if transform is None:
        return None
    return _("{name}: its transform {transform} was applied.").format(
        name=node.GetName(), transform=transform.GetName()
    )


def first_point_lps(points) -> tuple[float, float, float] | None:
    """The first defined point of a point list node in LPS mm, transforms included; None if there is none."""
    if points is None:
        return None
    for number in range(points.GetNumberOfControlPoints()):
        if points.GetNthControlPointPositionStatus(number) == points.PositionDefined:
            ras = [0.0] * 3
            points.GetNthControlPointPositionWorld(number, ras)
            return -ras[0], -ras[1], ras[2]
    return None
