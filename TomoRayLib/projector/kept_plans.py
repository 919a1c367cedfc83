"""The plans of the last grids and cameras, kept for further volumes."""

from __future__ import annotations

import threading
from collections import OrderedDict

import torch

from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.projection_matrix import Camera
from TomoRayLib.projector.backends import torch_slabs
from TomoRayLib.projector.backends.choice import Library
from TomoRayLib.projector.backends.plan import Plan
from TomoRayLib.projector.checks import check_rays
from TomoRayLib.projector.lattice import in_volume_frame, ray_lattice
from TomoRayLib.projector.slab_rays import SlabRays, slab_rays

KEPT_PLANS_BYTES = 64 * 2**20


def plan_for(grid: Grid, camera: Camera, device: str, dtype: torch.dtype, library: Library) -> Plan | None:
    """The plan of a grid, a camera and a library, kept from an earlier call if there was one.

    None if slabs do not serve the geometry. Raises InputError for rays that ``check_rays`` refuses.
    """
    key = (grid, camera, device, dtype, library)
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    lattice = in_volume_frame(ray_lattice(camera), grid)
    check_rays(grid, lattice)
    rays = slab_rays(grid, lattice)
    plan = None if rays is None else make_plan(rays, device, dtype, library)
    with _lock:
        _kept[key] = plan
        while len(_kept) > 1 and sum(kept.nbytes for kept in _kept.values() if kept is not None) > KEPT_PLANS_BYTES:
            _kept.popitem(last=False)
    return plan


def make_plan(rays: SlabRays, device: str, dtype: torch.dtype, library: Library) -> Plan:
    """A new plan; numba and Triton are imported when first asked for."""
    if library == "numba":
        from TomoRayLib.projector.backends import numba_kernel

        return numba_kernel.make_plan(rays, dtype)
    if library == "triton":
        from TomoRayLib.projector.backends import triton_kernel

        return triton_kernel.make_plan(rays, device)
    return torch_slabs.make_plan(rays, device, dtype)


def forget() -> None:
    """Drop all kept plans."""
    with _lock:
        _kept.clear()


_Key = tuple[Grid, Camera, str, torch.dtype, Library]
_kept: OrderedDict[_Key, Plan | None] = OrderedDict()
_lock = threading.Lock()
