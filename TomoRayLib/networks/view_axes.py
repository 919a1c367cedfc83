"""Axes of the two views of networks that ignore perspective: each view has a frame (depth, row, column) of its own.

Volumes are (n, c, z, y, x): inferior to superior, anterior to posterior, right to left. A radiograph (rows, columns)
has row 0 at the top, which is superior; its columns run to the patient's left (AP) or posterior (lateral), so columns
already follow x or y, and rows run against z. See docs/conventions.md.

==========  ======================  ==========================
view        frame                   of a volume's axes
==========  ======================  ==========================
AP          (depth y, z, x)         transposed (0, 1, 3, 2, 4)
lateral     (depth x, z, y)         transposed (0, 1, 4, 2, 3)
==========  ======================  ==========================
"""

from __future__ import annotations

from enum import Enum

from torch import Tensor


class ViewAxes(Enum):
    """One view: which of a volume's axes (n, c, z, y, x) come first to last in the view's frame."""

    AP = (0, 1, 3, 2, 4)
    LATERAL = (0, 1, 4, 2, 3)


VIEWS = (ViewAxes.AP, ViewAxes.LATERAL)


def upright(radiographs: Tensor) -> Tensor:
    """Radiographs (..., rows, columns) with row 0 at the bottom, so that rows follow z."""
    return radiographs.flip(-2)


def spread_along_depth(image: Tensor, depth: int) -> Tensor:
    """An upright image (n, c, z, column) in the frame of its view, (n, c, depth, z, column): replicated, not copied."""
    return image[:, :, None].expand(-1, -1, depth, -1, -1)


def to_patient_axes(in_view: Tensor, view: ViewAxes) -> Tensor:
    """A volume in the frame of ``view`` as (n, c, z, y, x), not copied."""
    inverse = sorted(range(5), key=lambda axis: view.value[axis])
    return in_view.permute(inverse)


def to_view_axes(volume: Tensor, view: ViewAxes) -> Tensor:
    """A volume (n, c, z, y, x) in the frame of ``view``, not copied."""
    return volume.permute(view.value)
