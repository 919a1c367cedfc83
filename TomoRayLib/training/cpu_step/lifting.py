"""``GeoLiftUNet``'s lifting of both views as one operation with a gradient, for a training step on a CPU.

Stock operators lift each view into a volume of its own, channel by channel, and put the memory into order afterwards;
here a voxel's channels are read together, added and written in place, and go back to their pixels the same way.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from TomoRayLib.training.cpu_step.lift_kernel import lift_gradient, lift_slices
from TomoRayLib.training.cpu_step.numbers import as_array
from TomoRayLib.training.cpu_step.threads import make_calls, parts_of


def lifted_pair(ap: Tensor, lateral: Tensor, cube_to_pixel: Tensor, size: int, stride: int, product: bool) -> Tensor:
    """a + l, or with ``product`` a + l + a * l, of the features of two views carried into the cube along their rays.

    Args:
        ap: Features of the AP view (n, c, rows, columns), bfloat16 or float32; feature j sits on pixel j * stride.
        lateral: Of the lateral view, as ``ap``.
        cube_to_pixel: (n, 2, 4, 4) as of ``GeoLiftUNet``.
        size: Edge of the cube in voxels.
        stride: Pixels of the radiograph a feature.
        product: Whether the product is added.

    Returns:
        (n, c, z, y, x) channels last, of the number type of ``ap``. Differentiable with respect to the features.
    """
    result: Tensor = _LiftedPair.apply(ap, lateral, cube_to_pixel, size, stride, product)
    return result


class _LiftedPair(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, ap: Tensor, lateral: Tensor, cube_to_pixel: Tensor, size: int, stride: int, product: bool
    ) -> Tensor:
        shape = (*ap.shape[:2], size, size, size)
        result = torch.empty(shape, dtype=ap.dtype, memory_format=torch.channels_last_3d)
        volumes = as_array(result.permute(0, 2, 3, 4, 1))
        planes, matrices = (_plane(ap), _plane(lateral)), as_array(cube_to_pixel.float().contiguous())
        calls = []
        for n in range(len(volumes)):
            views = (planes[0][n], planes[1][n], matrices[n], np.float32(stride), size)
            for first, last in parts_of(size):
                calls.append(partial(lift_slices, *views, first, product, volumes[n, first:last]))
        make_calls(calls)
        ctx.save_for_backward(ap, lateral, cube_to_pixel)
        ctx.size, ctx.stride, ctx.product = size, stride, product
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        ap, lateral, cube_to_pixel = ctx.saved_tensors
        gradient = as_array(gradients[0].permute(0, 2, 3, 4, 1).contiguous())
        planes, matrices = (_plane(ap), _plane(lateral)), as_array(cube_to_pixel.float().contiguous())
        parts = parts_of(ctx.size)
        totals = [np.zeros((len(parts), *plane.shape), np.float32) for plane in planes]  # each thread has its own
        calls = []
        for n in range(len(gradient)):
            views = (planes[0][n], planes[1][n], matrices[n], np.float32(ctx.stride), ctx.size)
            for number, (first, last) in enumerate(parts):
                own = (totals[0][number, n], totals[1][number, n])
                calls.append(partial(lift_gradient, *views, first, ctx.product, gradient[n, first:last], *own))
        make_calls(calls)
        of_ap, of_lateral = (torch.from_numpy(total.sum(axis=0)).movedim(-1, 1).to(ap.dtype) for total in totals)
        return of_ap, of_lateral, None, None, None, None


def _plane(features: Tensor) -> NDArray[np.float32]:
    """(n, rows, columns, c) float32."""
    plane: NDArray[np.float32] = features.detach().movedim(1, -1).float().contiguous().numpy()
    return plane
