"""Digitally reconstructed radiographs of any camera: one view, many views, and a module around them for training."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.memory import is_out_of_memory
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.projection_matrix import Camera, ProjectionMatrix
from TomoRayLib.geometry.views import View
from TomoRayLib.projector.backends.choice import Backend, chosen_library
from TomoRayLib.projector.backends.work_limits import TRANSPOSED_BYTES, limits_of
from TomoRayLib.projector.checks import any_ray_meets, check_rays, check_volume
from TomoRayLib.projector.kept_plans import plan_for
from TomoRayLib.projector.lattice import in_volume_frame, ray_lattice, rays_of
from TomoRayLib.projector.rays import trace_rays

Method = Literal["auto", "slabs", "rays"]


def project(
    attenuation_per_mm: Tensor, grid: Grid, view: Camera, *, method: Method = "auto", backend: Backend = "auto"
) -> Tensor:
    """Line integrals of attenuation along every ray of one radiograph (docs/projector.md).

    Rays run from the source through the pixel and beyond: a detector within the volume does not end them. The result is
    linear in the volume and differentiable with respect to it; ``project_posed`` is differentiable in the pose too.

    Args:
        attenuation_per_mm: Volume (z, y, x), or a batch (n, z, y, x), in 1/mm, float32 or float64, on any device.
        grid: Size, spacing, origin and directions of the volume in LPS mm.
        view: A ``View`` (cone, parallel or slot scan) or a ``ProjectionMatrix``.
        method: "slabs" is the fast one: exact if the detector's rows and columns run along axes of the volume, and
            within 0.1 to 1 % of the root mean square elsewhere, by one resampling. "rays" is Siddon's exact trace for
            every geometry (Med Phys 12:252, 1985, doi:10.1118/1.595715), 20 to 80 times slower. "auto" takes slabs
            unless the geometry rules them out: extreme angles and oblique slot scans.
        backend: The library that computes slabs. "auto" is "numba" on the CPU if it is installed and no derivative is
            needed, else "torch" (stock operators, every device, derivatives). "triton" (CUDA, float32, no derivatives)
            is never chosen by "auto": it has not run on a GPU yet. Traced rays are always computed by torch.

    Returns:
        (rows, columns), or (n, rows, columns) for a batch: dimensionless, row 0 at the top of the radiograph, of the
        volume's type and on its device.

    Raises:
        InputError: If the source lies inside the volume, the volume lies behind the source, slabs are asked for and
            do not serve the geometry, the backend is not installed or does not serve the volume, or memory does not
            suffice.
        ValueError: If the volume is no tensor of real numbers with the grid's shape, or the view is no camera.

    Warns:
        RuntimeWarning: If every ray misses the volume.
    """
    volume = attenuation_per_mm
    check_volume(volume, grid)
    _check_view(view)
    _check_method(method, backend)
    try:
        return _projected(volume, grid, view, method, backend)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise InputError(
            f"Projecting {' x '.join(map(str, volume.shape))} voxels onto {' x '.join(map(str, view.shape))} "
            f"pixels needs some {memory_need_bytes(volume, view) / 2**20:,.0f} MB in addition to the volume: "
            f"not enough memory on {volume.device}. Resample the volume to coarser voxels, or use fewer pixels."
        ) from error


def _projected(volume: Tensor, grid: Grid, view: Camera, method: Method, backend: Backend) -> Tensor:
    batch = volume if volume.ndim == 4 else volume[None]
    tangent = forward_ad.unpack_dual(volume).tangent  # stock operators refuse it, the kernels would lose it
    differentiable = (torch.is_grad_enabled() and volume.requires_grad) or tangent is not None
    library = chosen_library(backend, str(volume.device), volume.dtype, differentiable=differentiable)
    plan = None
    if method != "rays":
        plan = plan_for(grid, view, str(volume.device), volume.dtype, library)
    if plan is not None:
        if plan.misses or plan.finish.pixels_miss:
            _warn_of_a_miss(grid, view)
        images = plan.images(batch)
    elif method == "slabs":
        raise InputError(
            "Expected rays that cross the volume's slices within a few voxels, got a fan that is too wide, slices that "
            "are too thick, a volume that reaches past the source or an oblique slot scan. Use the method 'rays' or "
            "'auto'.",
            field="method",
        )
    else:
        lattice = in_volume_frame(ray_lattice(view), grid)
        check_rays(grid, lattice)
        if not any_ray_meets(grid, lattice):
            _warn_of_a_miss(grid, view)
        images = trace_rays(batch, grid, *rays_of(view, volume.device))
    return images if volume.ndim == 4 else images[0]


def project_views(
    attenuation_per_mm: Tensor,
    grid: Grid,
    views: Sequence[Camera],
    *,
    method: Method = "auto",
    backend: Backend = "auto",
) -> tuple[Tensor, ...]:
    """``project`` for each of several views.

    Args:
        attenuation_per_mm: Volume (z, y, x) or batch (n, z, y, x) in 1/mm.
        grid: The volume's grid in LPS mm.
        views: One or more cameras; their detectors may differ in size.
        method: As for ``project``.
        backend: As for ``project``.

    Returns:
        One image a view, (rows, columns) or (n, rows, columns), dimensionless.

    Raises:
        InputError: As ``project`` does.
        ValueError: As ``project`` does, and if ``views`` is empty or a single view.
    """
    if isinstance(views, (View, ProjectionMatrix)) or len(views) == 0:
        raise ValueError(f"Expected a list of views, got {'one view' if views else 'none'}; put it in a list: [view].")
    return tuple(project(attenuation_per_mm, grid, view, method=method, backend=backend) for view in views)


class Projector(nn.Module):
    """``project`` of some fixed views of one grid, as a layer without parameters for training and reconstruction.

    Args:
        grid: The grid of all volumes, in LPS mm.
        views: One or more cameras with the same rows and columns.
        method: As for ``project``.
        backend: As for ``project``; "auto" and "torch" give gradients.

    Raises:
        ValueError: If there is no view, or the views differ in rows or columns.
    """

    def __init__(
        self, grid: Grid, views: Sequence[Camera], method: Method = "auto", *, backend: Backend = "auto"
    ) -> None:
        super().__init__()
        shapes = {view.shape for view in views}
        if len(shapes) != 1:
            raise ValueError(
                f"Projector needs one or more views of one size, (rows, columns); got {sorted(shapes)}. Use "
                "project_views for images of several sizes."
            )
        self.grid, self.views, self.method, self.backend = grid, tuple(views), method, backend

    def forward(self, attenuation_per_mm: Tensor) -> Tensor:
        """Project a batch onto all views.

        Args:
            attenuation_per_mm: (n, z, y, x) or, with one channel, (n, 1, z, y, x), in 1/mm.

        Returns:
            (n, views, rows, columns) line integrals, dimensionless.

        Raises:
            InputError: As ``project`` does.
            ValueError: As ``project`` does, and for another number of axes or channels.
        """
        volumes = attenuation_per_mm
        if volumes.ndim == 5 and volumes.shape[1] == 1:
            volumes = volumes[:, 0]
        if volumes.ndim != 4:
            raise ValueError(
                f"Projector expects (n, z, y, x) or (n, 1, z, y, x); got {tuple(attenuation_per_mm.shape)}. "
                "Add a batch axis, or split the channels."
            )
        images = project_views(volumes, self.grid, self.views, method=self.method, backend=self.backend)
        return torch.stack(images, dim=1)


def memory_need_bytes(volume: Tensor, view: Camera) -> int:
    """Estimate what projecting takes in addition to the volume, by the backend that takes most (torch).

    Args:
        volume: (z, y, x) or (n, z, y, x); a batch takes more for its images alone.
        view: The camera.

    Returns:
        Bytes of tables, the transposed part of the volume, work space, images and pixel positions.
    """
    rows, columns = view.shape
    slices, itemsize = max(volume.shape[-3:]), volume.element_size()
    tables = 2 * slices * (rows + columns) * (8 + itemsize)
    transposed = min(TRANSPOSED_BYTES, volume.numel() * itemsize)
    work = min(2 * limits_of(str(volume.device)).block_bytes, 2 * volume.numel() * itemsize)
    images = 6 * volume.shape[:-3].numel() * rows * columns * itemsize  # with the finer virtual detector's
    positions = rows * columns * 12 * 8
    return 4 * tables + transposed + work + images + positions


def _check_view(view: Camera) -> None:
    if not isinstance(view, (View, ProjectionMatrix)):
        raise ValueError(
            f"Expected one view, a View or a ProjectionMatrix(matrix, rows, columns); got {type(view).__name__}. Use "
            f"project_views for several."
        )


def _check_method(method: Method, backend: Backend) -> None:
    if method not in get_args(Method):
        raise InputError(f"method must be one of {list(get_args(Method))}; got {method!r}.", field="method")
    if method == "rays" and backend not in ("auto", "torch"):
        raise InputError(
            f"The method 'rays' is computed by torch alone; got the backend {backend!r}. Use the backend 'auto', or "
            "the method 'slabs'.",
            field="backend",
        )


def _warn_of_a_miss(grid: Grid, view: Camera) -> None:
    where = "" if isinstance(view, ProjectionMatrix) else f" (isocentre {view.isocenter_mm} mm)"
    warnings.warn(
        f"Every ray misses the volume, whose centre is {grid.center_mm} mm{where}: the image is 0. Check the "
        "isocentre, the detector's offset and size, or the matrix.",
        RuntimeWarning,
        stacklevel=4,
    )
