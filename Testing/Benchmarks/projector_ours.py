"""This project's projectors, for ``projector_peers.py`` of this folder."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from projector_peers import Case

Tile = tuple[int, int, int, int]  # samples of b, of a, layers, warps: see backends/triton_kernel.py
TILES: dict[str, tuple[Tile, Tile]] = {
    "small tiles": ((8, 128, 1, 4), (8, 4, 32, 4)),
    "large tiles": ((32, 128, 1, 8), (16, 8, 32, 8)),
}


class TomoRay:
    """This project: slabs by its default backend, unless ``method`` is rays, its own exact ray trace."""

    method = "auto"
    backend = "auto"

    def __init__(self, case: Case, block_mb: int = 0) -> None:
        import torch

        from TomoRayLib.geometry.grid import Grid
        from TomoRayLib.geometry.projection_matrix import ProjectionMatrix
        from TomoRayLib.projector import project
        from TomoRayLib.projector.backends import torch_slabs, work_limits

        if block_mb:  # another size than the device's own
            limits = replace(work_limits.GPU, block_bytes=block_mb * 2**20)
            torch_slabs.limits_of = lambda device: limits
        self.project, self.camera = project, ProjectionMatrix
        nz, ny, nx = case.attenuation.shape
        self.grid = Grid((nx, ny, nz), tuple(case.spacing), tuple(case.origin))
        self.volume = torch.from_numpy(case.attenuation).to(case.device)
        self.batch = self.volume[None]

    def prepare(self, request: dict[str, Any]) -> None:
        back = np.stack([request["column_step_mm"], request["row_step_mm"], np.zeros(3)], axis=1)
        back[:, 2] = np.asarray(request["first_pixel_mm"]) - request["source_mm"]
        forward = np.linalg.inv(back)
        matrix = np.concatenate([forward, -forward @ np.asarray(request["source_mm"])[:, None]], axis=1)
        self.view = self.camera(tuple(matrix.ravel().tolist()), request["rows"], request["columns"])

    def image(self) -> np.ndarray:
        return self._projected(self.volume).cpu().numpy()

    def render(self, count: int) -> Any:
        if len(self.batch) != count:
            self.batch = self.volume.repeat(count, 1, 1, 1)
        return self._projected(self.batch)

    def _projected(self, volumes: Any) -> Any:
        return self.project(volumes, self.grid, self.view, method=self.method, backend=self.backend)


class TomoRayStock(TomoRay):
    """Slabs by stock operators of torch, as without numba."""

    backend = "torch"


class TomoRayRays(TomoRay):
    method = "rays"


class TomoRayTriton(TomoRay):
    """The Triton kernel, on CUDA alone; ``tiles`` (across, along) in place of its own."""

    backend = "triton"

    def __init__(self, case: Case, tiles: tuple[Tile, Tile] | None = None) -> None:
        super().__init__(case)
        from TomoRayLib.projector.backends.choice import chosen_library

        chosen_library("triton", case.device, self.volume.dtype, differentiable=False)  # or says why not
        if tiles:
            from TomoRayLib.projector.backends import triton_kernel

            triton_kernel.ACROSS, triton_kernel.ALONG = (triton_kernel.Tile(*tile) for tile in tiles)


class TomoRayGradient(TomoRay):
    """Projection and gradient with respect to the volumes, as a step of training has them."""

    def render(self, count: int) -> Any:
        if len(self.batch) != count or not self.batch.requires_grad:
            self.batch = self.volume.repeat(count, 1, 1, 1).requires_grad_()
        images = self.project(self.batch, self.grid, self.view)
        self.batch.grad = None
        images.backward(images.detach())
        return images
