"""Digitally reconstructed radiographs of any camera: one view, many views, and a module around them for training."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.projection_matrix import Camera, ProjectionMatrix
from TomoRayLib.geometry.views import View
from TomoRayLib.projector.checks import any_ray_meets, check_rays, check_volume
from TomoRayLib.projector.lattice import in_volume_frame, ray_lattice, rays_of
from TomoRayLib.projector.plans import TRANSPOSED_BYTES, launch_of, plan_for
from TomoRayLib.projector.rays import trace_rays

Method = Literal["auto", "slabs", "rays"]


def project(attenuation_per_mm: Tensor, grid: Grid, view: Camera, *, method: Method = "auto") -> Tensor:
    """Line integrals (rows, columns), dimensionless, of ``attenuation_per_mm`` (z, y, x) on ``grid`` seen by ``view``.

    ``view`` is a ``View`` (cone, parallel or slot scan) or a ``ProjectionMatrix``. Row 0 is the top of the radiograph.
    Rays run from the source through the pixel and on: a detector within the volume does not end them. Differentiable
    with respect to the volume; linear in it (``project_posed`` is differentiable in the pose too). A leading batch
    axis (n, z, y, x) gives (n, rows, columns); on a GPU some volumes go through each operation together, as many as the
    work space of one large volume holds. Volumes and results are float32 or float64, on the volume's device.

    ``method`` "slabs" is the fast one: exact where the detector's rows and columns run along axes of the volume, and
    within 0.1 to 1 % of the root mean square elsewhere, by one resampling (docs/projector.md). "rays" is Siddon's exact
    trace for every geometry, 20 to 80 times slower. "auto" takes slabs where they serve, which is all but extreme
    angles and oblique slot scans.

    Warns (RuntimeWarning) where every ray misses the volume. Raises ValueError where the shape is not the grid's, the
    source lies inside the volume, the volume behind the source, or memory does not suffice.
    """
    volume = attenuation_per_mm
    check_volume(volume, grid)
    _check_view(view)
    if method not in ("auto", "slabs", "rays"):
        raise ValueError(f"method must be 'auto', 'slabs' or 'rays'; got {method!r}.")
    try:
        return _projected(volume, grid, view, method)
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        raise ValueError(
            f"Projecting {' x '.join(map(str, volume.shape))} voxels onto {' x '.join(map(str, view.shape))} "
            f"pixels needs some {memory_need_bytes(volume, view) / 2**20:,.0f} MB beside the volume, which "
            f"{volume.device} does not have. Resample the volume to coarser voxels, or take fewer pixels."
        ) from error


def _projected(volume: Tensor, grid: Grid, view: Camera, method: Method) -> Tensor:
    batch = volume if volume.ndim == 4 else volume[None]
    tangent = forward_ad.unpack_dual(volume).tangent  # stock operators refuse it, the kernels would lose it
    differentiable = (torch.is_grad_enabled() and volume.requires_grad) or tangent is not None
    plan = None
    if method != "rays":
        plan = plan_for(grid, view, str(volume.device), volume.dtype, differentiable)
    if plan is not None:
        if plan.misses or plan.finish.pixels_miss:
            _warn_of_a_miss(grid, view)
        images = plan.images(batch)
    elif method == "slabs":
        raise ValueError(
            "Expected rays that cross the volume's slices within some voxels, got a fan that is too wide, slices that "
            "are too thick, a volume beside the source or an oblique slot scan. Use method 'rays' or 'auto'."
        )
    else:
        lattice = in_volume_frame(ray_lattice(view), grid)
        check_rays(grid, lattice)
        if not any_ray_meets(grid, lattice):
            _warn_of_a_miss(grid, view)
        images = trace_rays(batch, grid, *rays_of(view, volume.device))
    return images if volume.ndim == 4 else images[0]


def project_views(
    attenuation_per_mm: Tensor, grid: Grid, views: Sequence[Camera], *, method: Method = "auto"
) -> tuple[Tensor, ...]:
    """``project`` for each view; the images may differ in size. Raises ValueError for no view and for what is none."""
    if isinstance(views, (View, ProjectionMatrix)) or len(views) == 0:
        raise ValueError(f"Expected a list of views, got {'one view' if views else 'none'}; put it in a list: [view].")
    return tuple(project(attenuation_per_mm, grid, view, method=method) for view in views)


class Projector(nn.Module):
    """``project`` of some fixed views of one grid, as a layer without parameters for training and reconstruction.

    All views must have the same rows and columns: ValueError.
    """

    def __init__(self, grid: Grid, views: Sequence[Camera], method: Method = "auto") -> None:
        super().__init__()
        shapes = {view.shape for view in views}
        if len(shapes) != 1:
            raise ValueError(
                f"Projector needs one or more views of one size, (rows, columns); got {sorted(shapes)}. Use "
                "project_views for images of several sizes."
            )
        self.grid, self.views, self.method = grid, tuple(views), method

    def forward(self, attenuation_per_mm: Tensor) -> Tensor:
        """(n, views, rows, columns) from (n, z, y, x); or, with one channel, from (n, 1, z, y, x)."""
        volumes = attenuation_per_mm
        if volumes.ndim == 5 and volumes.shape[1] == 1:
            volumes = volumes[:, 0]
        if volumes.ndim != 4:
            raise ValueError(
                f"Projector expects (n, z, y, x) or (n, 1, z, y, x); got {tuple(attenuation_per_mm.shape)}. "
                "Add a batch axis, or split the channels."
            )
        return torch.stack(project_views(volumes, self.grid, self.views, method=self.method), dim=1)


def memory_need_bytes(volume: Tensor, view: Camera) -> int:
    """Bytes that projecting takes beside the volume: tables, the transposed part of the volume, work space, images and
    positions. A batch takes more of the images alone."""
    rows, columns = view.shape
    slices, itemsize = max(volume.shape[-3:]), volume.element_size()
    tables = 2 * slices * (rows + columns) * (8 + itemsize)
    transposed = min(TRANSPOSED_BYTES, volume.numel() * itemsize)
    work = min(2 * launch_of(str(volume.device)).block_bytes, 2 * volume.numel() * itemsize)
    images = 6 * volume.shape[:-3].numel() * rows * columns * itemsize  # with the finer virtual detector's
    positions = rows * columns * 12 * 8
    return 4 * tables + transposed + work + images + positions


def _is_out_of_memory(error: BaseException) -> bool:
    text = str(error)
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "alloc" in text or "not enough memory" in text


def _check_view(view: Camera) -> None:
    if not isinstance(view, (View, ProjectionMatrix)):
        raise ValueError(
            f"Expected one view, a View or a ProjectionMatrix(matrix, rows, columns); got {type(view).__name__}. Use "
            f"project_views for several."
        )


def _warn_of_a_miss(grid: Grid, view: Camera) -> None:
    where = "" if isinstance(view, ProjectionMatrix) else f" (isocentre {view.isocenter_mm} mm)"
    warnings.warn(
        f"Every ray misses the volume, whose centre is {grid.center_mm} mm{where}: the image is 0. Check the "
        "isocentre, the detector's offset and size, or the matrix.",
        RuntimeWarning,
        stacklevel=4,
    )
