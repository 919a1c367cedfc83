"""Curves of the spine: scoliosis in the coronal plane, more or less kyphosis and lordosis in the sagittal plane.

A curve is a table over the scene's height: how far the course lies off its straight line, how it tilts, and its length.
Space is bent with it like a beam: near the course each cross-section stays perpendicular to it, so that vertebrae tilt
as their endplates do in a patient; further out the tilt grows no more, so that soft tissue and ribs never tear.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from TomoRayLib.training.phantoms.ranges import PhantomRanges

HALF_HEIGHT_MM = 300.0  # of the table: beyond it the course continues straight
STEP_MM = 2.0
SEEN_MM = 130.0  # the drawn angle is reached within this distance of the scene's middle
RIGID_MM = 38.0  # how far from the course cross-sections turn rigidly
SKIN_FOLLOWS, FOLLOWS_WITHIN_MM = 0.5, 130.0  # a trunk's outline moves half as far aside as the spine within it
ROTATION_PER_COBB = 0.35  # axial rotation of the apical vertebra: 21 degrees in a curve of 60
ROTATION_REACH_MM = 90.0
HALF_LENGTH_MM = (45.0, 75.0)  # from the apex of a curve to where it tilts most
HALF_LENGTH_PER_DEG_MM, HALF_LENGTH_PER_DEG_S_MM = 1.4, 0.95  # at least: large curves span more vertebrae
APEX_MM = (-45.0, 45.0)


@dataclass(frozen=True)
class SpinalCurve:
    """A curve over height: ``z_mm``, ``offset_mm`` (0 at z = 0), ``tilt_rad`` from the long axis, ``length_mm`` along
    the course from z = 0; all (n,), z upwards."""

    z_mm: NDArray[np.float64]
    offset_mm: NDArray[np.float64]
    tilt_rad: NDArray[np.float64]
    length_mm: NDArray[np.float64]


def curve_of_angle(cobb_deg: float, apex_mm: float, half_length_mm: float, s_shaped: bool = False) -> SpinalCurve:
    """A C- or S-shaped curve whose Cobb angle is ``cobb_deg``; a negative angle bends to the other side.

    ``apex_mm`` is the height of the apex (S-shaped: of the point between both apices), ``half_length_mm`` from there
    to the greatest tilt (S-shaped: to the apices). A C is convex to positive offsets for a positive angle.
    """
    z_mm = np.arange(-HALF_HEIGHT_MM, HALF_HEIGHT_MM + STEP_MM / 2, STEP_MM)
    place = (z_mm - apex_mm) / half_length_mm
    shape = (1.0 - place**2 if s_shaped else -place) * np.exp(-(place**2) / 2)
    seen = shape[np.abs(z_mm) <= SEEN_MM]
    tilt = np.deg2rad(cobb_deg) * shape / float(seen.max() - seen.min())
    return SpinalCurve(z_mm, _integral(np.tan(tilt), z_mm), tilt, _integral(1.0 / np.cos(tilt), z_mm))


def random_curves(rng: np.random.Generator, ranges: PhantomRanges) -> tuple[SpinalCurve | None, SpinalCurve | None]:
    """(coronal, sagittal) curves to be added to a spine's own, None if it keeps what it has."""
    coronal = sagittal = None
    if rng.random() < ranges.scoliosis_share:
        angle = float(rng.uniform(*ranges.scoliosis_cobb_deg)) * float(rng.choice([-1.0, 1.0]))
        coronal = _random_curve(angle, bool(rng.random() < ranges.s_shaped_share), rng)
    if rng.random() < ranges.sagittal_share:
        sagittal = _random_curve(float(rng.uniform(*ranges.sagittal_change_deg)), False, rng)
    return coronal, sagittal


def _random_curve(cobb_deg: float, s_shaped: bool, rng: np.random.Generator) -> SpinalCurve:
    least = abs(cobb_deg) * (HALF_LENGTH_PER_DEG_S_MM if s_shaped else HALF_LENGTH_PER_DEG_MM)
    half_length_mm = max(float(rng.uniform(*HALF_LENGTH_MM)), least)
    return curve_of_angle(cobb_deg, float(rng.uniform(*APEX_MM)), half_length_mm, s_shaped)


def straightened(points: Tensor, coronal: SpinalCurve | None, sagittal: SpinalCurve | None) -> Tensor:
    """Where each point (..., 3), LPS mm, of a curved phantom looks in the straight one.

    The coronal curve is exact as seen from the front: the course lies at x = its offset, at every height.
    """
    x, y, z = points.unbind(-1)
    if coronal is not None:
        x, z, foot = _unbent(x, z, coronal)
        x, y = _unrotated(x, y, foot, coronal)
    if sagittal is not None:
        y, z, _ = _unbent(y, z, sagittal)
    return torch.stack([x, y, z], dim=-1)


def _unbent(off: Tensor, z: Tensor, curve: SpinalCurve) -> tuple[Tensor, Tensor, Tensor]:
    """(distance from the course, length along it, height of the foot) of points in the plane of a curve.

    The foot is where the perpendicular of the course meets it: z* = z + (off - offset(z*)) tan(tilt(z*)), two Newton
    steps from z, with the distance limited to ``RIGID_MM``.
    """
    foot = z
    for _ in range(2):
        tilt = _at(curve.tilt_rad, foot)
        residual = foot - z - _limited(off - _at(curve.offset_mm, foot)) * torch.tan(tilt)
        foot = foot - residual * torch.cos(tilt).square()
    moved = _at(curve.offset_mm, foot)
    follows = SKIN_FOLLOWS + (1.0 - SKIN_FOLLOWS) * torch.exp(-((off - moved) / FOLLOWS_WITHIN_MM).square())
    distance = off - moved * follows
    stretch = 1.0 / torch.cos(_at(curve.tilt_rad, foot)) - 1.0
    return distance + _limited(distance) * stretch, _at(curve.length_mm, foot), foot


def _unrotated(x: Tensor, y: Tensor, foot: Tensor, curve: SpinalCurve) -> tuple[Tensor, Tensor]:
    """x and y before the vertebrae of a scoliosis turned about the long axis: their bodies face the convex side."""
    bending = -np.gradient(curve.tilt_rad, curve.z_mm)
    cobb_rad = float(curve.tilt_rad.max() - curve.tilt_rad.min())
    turned = ROTATION_PER_COBB * cobb_rad * bending / max(float(np.abs(bending).max()), 1e-9)
    angle = _at(turned, foot) * torch.exp(-(x.square() + y.square()) / ROTATION_REACH_MM**2)
    cos, sin = torch.cos(angle), torch.sin(angle)
    return x * cos + y * sin, y * cos - x * sin


def _limited(distance: Tensor) -> Tensor:
    return RIGID_MM * torch.tanh(distance / RIGID_MM)


def _at(values: NDArray[np.float64], z: Tensor) -> Tensor:
    """The table's values at heights ``z``; beyond its ends it continues in a straight line."""
    table = torch.as_tensor(values, dtype=z.dtype, device=z.device)
    place = (z + HALF_HEIGHT_MM) / STEP_MM
    index = place.floor().long().clamp(0, len(table) - 2)
    return table[index] + (place - index) * (table[index + 1] - table[index])


def _integral(slope: NDArray[np.float64], z_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Trapezoidal integral of ``slope``, 0 at z = 0."""
    total = np.concatenate([[0.0], np.cumsum((slope[1:] + slope[:-1]) / 2 * np.diff(z_mm))])
    return total - np.interp(0.0, z_mm, total)
