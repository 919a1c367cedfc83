"""Taking the spine out of a real body, so that another one can be set in.

Arrays are (z, y, x) in HU on an axis-aligned LPS grid of cubic voxels of 2 mm: inferior to superior, anterior to
posterior, right to left. ``curve_mm`` is (z, 2): x and y in LPS mm of the spine's course in each slice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.training.phantoms.body_levels import HALF_DISC_MM

BONE_ABOVE_HU = 140.0
SOFT_BONE_ABOVE_HU = 110.0  # after a blur of 1 mm: thin laminae and osteopenic bone of the host as well
LUNG_BELOW_HU = -500.0
WINDOW_WIDTH_MM = 88.0
POSTERIOR_SHARE = 0.58
REFILL_HU, REFILL_SD_HU = 50.0, 15.0

COURSE_ROUNDS = 4
COURSE_NEAR_MM = (30.0, 36.0)  # half axes (x, y) of the ellipse about the course in which bone counts
COURSE_BEHIND_MM = 6.0  # and its middle, behind the course: nothing but spine lies there

VESSEL_ABOVE_HU = 250.0
VESSEL_RADIUS_MM = 6.0
VESSEL_CORE_ABOVE_MM3 = 1500.0  # islands of sclerosis in vertebrae are smaller
OWN_HALF_WIDTH_MM, OWN_FRONT_MM = 12.0, 20.0  # what reaches this near to the course is the spine itself

# The column about its course, which runs through the back of the vertebral bodies.
FRONT_MM = 48.0
CONNECTED_FRONT_MM = 64.0  # osteophytes and large vertebral bodies: bone that goes on in front of it
HALF_WIDTH_MM = 44.0  # transverse processes of lumbar vertebrae
HALF_WIDTH_AT_RIBS_MM = 34.0  # of thoracic ones: what lies further out are ribs, which stay
BODY_HALF_WIDTH_MM, BODY_HALF_WIDTH_AT_RIBS_MM = 32.0, 28.0
RIBS_WITHIN_MM = 70.0  # where lung is this near, ribs are as well
LUNG_AREA_MM2 = 300.0  # in a slice
MARGIN_MM = 100.0  # to the sides, the front and the back of the course: what lies further out is not looked at
BEHIND_MM = 85.0  # the tips of spinous processes
SACRAL_SLOPE_DEG = 38.0  # of the endplate of S1 in both bodies that show it
GROWN_MM = 3.0  # what is taken out reaches so far into the sacrum by itself
PLANE_RISES_MM = (-20.0, 8.0)  # from the middle of that endplate to its front and its back
BRIDGED_MM = 14.0  # up and down: half the gap between two neighbours' laminae, or between two vertebral bodies
LUNG_REACHES_MM = 9.0  # into what was taken out: lung then borders on the new spine, not on a rim of muscle


def spine_window(body: NDArray[np.bool_], spacing_mm: float) -> NDArray[np.bool_]:
    """Where the spine can be: 88 mm about the body's midline, in the posterior 58 % of its depth, slice by slice."""
    window = np.zeros_like(body)
    half = int(WINDOW_WIDTH_MM / spacing_mm / 2)
    middles = np.array([np.mean(np.nonzero(s.any(0))[0][[0, -1]]) if s.any() else np.nan for s in body])
    middles = ndimage.gaussian_filter1d(_without_gaps(middles), 8.0)
    for index, region in enumerate(body):
        rows = np.nonzero(region.any(1))[0]
        if len(rows):
            front = int(rows[0] + (1 - POSTERIOR_SHARE) * (rows[-1] - rows[0]))
            middle = int(middles[index])
            window[index, front : rows[-1] + 1, max(0, middle - half) : middle + half + 1] = True
    return window & body


def spine_course(bone: NDArray[np.bool_], grid: Grid) -> NDArray[np.float64]:
    """(z, 2) smoothed centroid (x, y) in LPS mm of the spine's bone per slice.

    Raises InputError if no slice holds a spine's worth of bone.
    """
    centroids = np.full((len(bone), 2), np.nan)
    for index, region in enumerate(bone):
        rows, columns = np.nonzero(region)
        if len(rows) >= 20:
            centroids[index] = columns.mean(), rows.mean()
    smooth = np.stack([ndimage.gaussian_filter1d(_without_gaps(c), 8.0) for c in centroids.T], axis=1)
    return smooth * grid.spacing_mm[0] + np.asarray(grid.origin_mm[:2])


def refined_course(bone: NDArray[np.bool_], curve_mm: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
    """The course, from the bone near it alone, time and again: ribs, contrast-filled vessels and the pelvis draw it
    aside no longer (by up to 33 mm in a chest with a contrast-filled heart)."""
    for _ in range(COURSE_ROUNDS):
        off_x, off_y = _off_course(curve_mm, grid)
        near = (off_x / COURSE_NEAR_MM[0]) ** 2 + ((off_y - COURSE_BEHIND_MM) / COURSE_NEAR_MM[1]) ** 2 < 1.0
        curve_mm = spine_course(bone & near, grid)
    return curve_mm


def contrast_vessels(hu: NDArray[np.float32], curve_mm: NDArray[np.float64], grid: Grid) -> NDArray[np.bool_]:
    """Heart and great vessels full of contrast: bright regions thicker than any cortical bone, away from the course.

    Vertebrae of the young are as bright and as thick, but the course runs through them.
    """
    radius = round(VESSEL_RADIUS_MM / grid.spacing_mm[0])
    thick = ndimage.binary_erosion(hu > VESSEL_ABOVE_HU, iterations=radius, border_value=1)
    labels, count = ndimage.label(thick)
    if not count:
        return thick
    off_x, off_y = _off_course(curve_mm, grid)
    own = np.unique(labels[thick & (off_x < OWN_HALF_WIDTH_MM) & (off_y > -OWN_FRONT_MM)])
    small = np.flatnonzero(np.bincount(labels.ravel()) * np.prod(grid.spacing_mm) < VESSEL_CORE_ABOVE_MM3)
    vessels = ndimage.binary_dilation(thick & ~np.isin(labels, [*own, *small]), iterations=radius + 2)
    return vessels & (hu > BONE_ABOVE_HU)


def box_about_course(curve_mm: NDArray[np.float64], grid: Grid) -> tuple[slice, slice, slice]:
    """The part (z, y, x) of the grid within ``MARGIN_MM`` of the course: all that the spine's removal can change."""
    sides = []
    for axis in (1, 0):
        ends = np.array([curve_mm[:, axis].min() - MARGIN_MM, curve_mm[:, axis].max() + MARGIN_MM])
        low, high = np.round((ends - grid.origin_mm[axis]) / grid.spacing_mm[axis]).astype(int)
        sides.append(slice(max(0, int(low)), min(grid.size[axis], int(high) + 1)))
    return slice(0, grid.size[2]), sides[0], sides[1]


def _off_course(curve_mm: NDArray[np.float64], grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(z, 1, x) distance to the side of the course, and (z, y, 1) how far behind it, in mm."""
    x, y = (grid.origin_mm[a] + np.arange(grid.size[a]) * grid.spacing_mm[a] for a in range(2))
    return np.abs(x[None, :] - curve_mm[:, :1])[:, None, :], (y[None, :] - curve_mm[:, 1:])[:, :, None]


def column_zone(hu: NDArray[np.float32], curve_mm: NDArray[np.float64], grid: Grid) -> NDArray[np.bool_]:
    """Where bone is the spine's own: about its course, narrower where there are ribs, nearly as far back as the skin,
    and to the front as far as bone goes on. Vessels full of contrast are left out.
    """
    off_x, off_y = _off_course(curve_mm, grid)
    lung = (hu < LUNG_BELOW_HU) & (off_x < RIBS_WITHIN_MM) & (np.abs(off_y) < 50.0) & (hu > -950.0)
    lung_mm2 = lung.sum(axis=(1, 2)) * grid.spacing_mm[0] * grid.spacing_mm[1]
    ribs = ndimage.gaussian_filter1d((lung_mm2 > LUNG_AREA_MM2).astype(np.float64), 6.0)
    half = np.interp(ribs, (0.0, 1.0), (HALF_WIDTH_MM, HALF_WIDTH_AT_RIBS_MM))[:, None, None]
    half_body = np.interp(ribs, (0.0, 1.0), (BODY_HALF_WIDTH_MM, BODY_HALF_WIDTH_AT_RIBS_MM))[:, None, None]
    front = (off_y < 0) & ((off_x / half_body) ** 2 + (off_y / FRONT_MM) ** 2 < 1.0)
    behind = (off_y >= -12.0) & (off_y < BEHIND_MM) & (off_x < half)
    further = (off_y < 0) & ((off_x / half_body) ** 2 + (off_y / CONNECTED_FRONT_MM) ** 2 < 1.0)
    own = ~contrast_vessels(hu, curve_mm, grid)
    front &= own
    bone, count = ndimage.label((front | further) & own & (hu > BONE_ABOVE_HU))
    if count:
        front |= np.isin(bone, np.setdiff1d(np.unique(bone[front]), [0]))
    return (front | behind) & own


def sacrum_zone(curve_mm: NDArray[np.float64], grid: Grid, disc_mm: float, disc_behind_mm: float) -> NDArray[np.bool_]:
    """(z, y, 1) true where a body is sacrum: below an endplate that falls forwards by 38 degrees, under the disc whose
    middle is at ``disc_mm`` (z), ``disc_behind_mm`` behind the course. Behind the canal, where the arch of L5 is, the
    plane rises no more.
    """
    above_mm = grid.origin_mm[2] + np.arange(grid.size[2]) * grid.spacing_mm[2] - disc_mm
    rise = np.tan(np.deg2rad(SACRAL_SLOPE_DEG)) * (_off_course(curve_mm, grid)[1] - disc_behind_mm)
    return np.asarray(above_mm[:, None, None] < np.clip(rise, *PLANE_RISES_MM) - HALF_DISC_MM + GROWN_MM)


def remove_spine(
    hu: NDArray[np.float32], zone: NDArray[np.bool_], body: NDArray[np.bool_], spacing_mm: float, seed: int
) -> NDArray[np.float32]:
    """The body with the bone inside ``zone``, and what it encloses, replaced: by muscle with noise at the scale of
    8 mm, or by lung in the outermost millimetres that border on lung.

    ``body`` is true inside the body. What lies further than a voxel from the bone in ``zone`` stays as it is.
    """
    bone = zone & ((hu > BONE_ABOVE_HU) | (ndimage.gaussian_filter(hu, 0.5) > SOFT_BONE_ABOVE_HU))
    spine = _bridged(bone, round(BRIDGED_MM / spacing_mm)) & zone
    spine = ndimage.binary_closing(spine, np.ones((1, 3, 3), bool), iterations=2) | bone
    spine = np.stack([ndimage.binary_fill_holes(s) for s in spine])
    spine = ndimage.binary_dilation(spine) & body & (zone | (hu < BONE_ABOVE_HU))  # ribs and vessels keep their ends
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(hu.shape, dtype=np.float32), 2.0)
    filled = REFILL_HU + noise * (REFILL_SD_HU / max(float(noise.std()), 1e-6))
    return np.where(spine, _lung_at_its_border(filled, hu, spine, spacing_mm), hu)


def _bridged(bone: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Bone closed along z alone: laminae and bodies become one column, which bulges into no lung."""
    padded = np.pad(bone, ((reach, reach), (0, 0), (0, 0)), mode="edge")
    closed = ndimage.grey_closing(padded.view(np.uint8), size=(2 * reach + 1, 1, 1)).astype(bool)
    return closed[reach:-reach] if reach else closed


def _lung_at_its_border(
    filled: NDArray[np.float32], hu: NDArray[np.float32], spine: NDArray[np.bool_], spacing_mm: float
) -> NDArray[np.float32]:
    """``filled`` with the nearest lung's HU where that is the nearest tissue and near enough."""
    box = ndimage.find_objects(spine.view(np.uint8))
    if not box or box[0] is None:
        return filled
    grown = tuple(slice(max(0, one.start - 2), one.stop + 2) for one in box[0])
    distance, (k, j, i) = ndimage.distance_transform_edt(spine[grown], return_indices=True)
    nearest = hu[grown][k, j, i]
    lung = (nearest < LUNG_BELOW_HU) & (distance * spacing_mm < LUNG_REACHES_MM)
    result = filled.copy()
    result[grown] = np.where(lung, nearest, filled[grown])
    return result


def _without_gaps(values: NDArray[np.float64]) -> NDArray[np.float64]:
    known = np.isfinite(values)
    if not known.any():
        raise InputError(
            "No spine was found in this body; expected a torso CT in HU with the spine in the field of view."
        )
    return np.interp(np.arange(len(values)), np.flatnonzero(known), values[known])
