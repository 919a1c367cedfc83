"""Projections that are differentiable in the pose, for registration and calibration."""

from __future__ import annotations

import torch
from torch import Tensor

from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.projection_matrix import Camera, ProjectionMatrix
from TomoRayLib.projector.checks import check_rays
from TomoRayLib.projector.lattice import ASSUMED_DISTANCE_MM, in_volume_frame, ray_lattice, rays_of
from TomoRayLib.projector.rays import RayInterpolation, trace_rays


def project_posed(
    attenuation_per_mm: Tensor, grid: Grid, view: Camera, pose: Tensor, *, interpolation: RayInterpolation = "linear"
) -> Tensor:
    """Line integrals of a view whose source and detector are moved together, differentiable in pose and volume.

    Args:
        attenuation_per_mm: Volume (z, y, x) or batch (n, z, y, x) in 1/mm, float32 or float64.
        grid: The volume's grid in LPS mm.
        view: The camera before it is moved.
        pose: (6,): a rotation vector in radians about the LPS axes through the isocentre (of a ``ProjectionMatrix``,
            the volume's centre), then a shift in LPS mm. Zeros leave the view where it is.
        interpolation: "linear" (Joseph) changes smoothly with the pose. With "box" (Siddon) the derivative is exact
            too, but if rays run along an axis of the volume it is 0 between voxel faces.

    Returns:
        (rows, columns), or (n, rows, columns) for a batch: dimensionless.

    Raises:
        InputError: If the source lies inside the volume or the volume behind the source, before the view is moved.
        ValueError: If the pose has another shape, or the volume is no float tensor with the grid's shape.
    """
    if tuple(pose.shape) != (6,):
        raise ValueError(
            f"pose must be (6,): rotation vector in radians, then shift in mm; got the shape {tuple(pose.shape)}. "
            "Call project_posed for one pose at a time."
        )
    check_rays(grid, in_volume_frame(ray_lattice(view), grid))
    center = grid.center_mm if isinstance(view, ProjectionMatrix) else view.isocenter_mm
    sources, pixels = rays_of(view, attenuation_per_mm.device)
    moved = [_moved(points, pose.to(points), points.new_tensor(center)) for points in (sources, pixels)]
    return trace_rays(attenuation_per_mm, grid, moved[0], moved[1], interpolation)


def _moved(points_mm: Tensor, pose: Tensor, center_mm: Tensor) -> Tensor:
    return (points_mm - center_mm) @ rotation_matrix(pose[:3]).T + center_mm + pose[3:]


def rotation_matrix(rotation_vector: Tensor) -> Tensor:
    """(3, 3) rotation by the length of ``rotation_vector`` (3,), in radians, about its direction; smooth at 0."""
    x, y, z = rotation_vector
    zero = torch.zeros_like(x)
    rows = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero])
    return torch.linalg.matrix_exp(rows.view(3, 3))


def rays_of_matrix(matrix: Tensor, rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """The rays of a cone beam's projection matrix, differentiable with respect to it, for calibration.

    Args:
        matrix: (3, 4) from ``(x, y, z, 1)`` in LPS mm to ``(column, row, 1) * w``, with ``w`` above 0 in front of the
            source.
        rows: Rows of the detector.
        columns: Columns of the detector.

    Returns:
        Sources (1, 1, 3) and pixels (rows, columns, 3) in LPS mm, for ``trace_rays``. Where on its ray a pixel lies is
        arbitrary.
    """
    back = torch.linalg.inv(matrix[:, :3])
    source = -back @ matrix[:, 3]
    row, column = torch.meshgrid(
        torch.arange(rows, dtype=matrix.dtype, device=matrix.device),
        torch.arange(columns, dtype=matrix.dtype, device=matrix.device),
        indexing="ij",
    )
    pixel = torch.stack([column, row, torch.ones_like(row)], dim=-1)
    return source.view(1, 1, 3), source + ASSUMED_DISTANCE_MM * pixel @ back.T
