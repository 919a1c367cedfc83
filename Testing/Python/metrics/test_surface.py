"""Surface and vertebra metrics against hand calculation, surface-distance and MONAI."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from TomoRayLib.anatomy.grey_levels import vertebra_mask
from TomoRayLib.anatomy.vertebrae import WHOLE_SPINE_LABEL
from TomoRayLib.metrics import surface, vertebra

# surface-distance 0.1 imports scipy's old namespaces.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:surface_distance", "ignore::FutureWarning:monai")

Mask = NDArray[np.bool_]
SPACING_MM = (0.5, 1.0, 2.0)  # (x, y, z): a swapped axis changes every distance
SHAPE = (18, 24, 30)  # (z, y, x)


def block(shape: tuple[int, int, int] = SHAPE, shift: tuple[int, int, int] = (0, 0, 0)) -> Mask:
    mask = np.zeros(shape, dtype=bool)
    z, y, x = shift
    mask[5 + z : 11 + z, 6 + y : 15 + y, 8 + x : 20 + x] = True
    return mask


def blob(seed: int, shape: tuple[int, int, int] = SHAPE, share: float = 0.3) -> Mask:
    """A smooth random shape that also touches the edges of the volume."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 2.0)
    return noise > np.quantile(noise, 1 - share)


def ball(radius_mm: float, spacing_mm: tuple[float, float, float], half_mm: float) -> Mask:
    axes = [np.arange(-half_mm, half_mm + step / 2, step) for step in reversed(spacing_mm)]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    return z**2 + y**2 + x**2 <= radius_mm**2


def distances_between(truth: Mask, prediction: Mask, spacing_mm: Any = SPACING_MM) -> surface.SurfaceDistances:
    return surface.surface_distances(surface.surface_of(truth, spacing_mm), surface.surface_of(prediction, spacing_mm))


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (0.5, 1.0, 2.0), (4 / 3, 4 / 3, 4 / 3)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_all_surface_metrics_equal_surface_distance(spacing_mm: tuple[float, float, float], seed: int) -> None:
    """Same definition, so only rounding differs: measured below 1e-12, allowed 1e-9."""
    oracle = pytest.importorskip("surface_distance")
    truth, prediction = blob(seed), blob(seed + 10, share=0.2)
    expected = oracle.compute_surface_distances(truth, prediction, spacing_mm[::-1])
    found = distances_between(truth, prediction, spacing_mm)
    assert surface.hausdorff_mm(found) == pytest.approx(oracle.compute_robust_hausdorff(expected, 95), abs=1e-9)
    assert surface.hausdorff_mm(found, 100) == pytest.approx(oracle.compute_robust_hausdorff(expected, 100), abs=1e-9)
    for tolerance_mm in (0.0, 0.5, 1.0, 2.0):
        nsd = oracle.compute_surface_dice_at_tolerance(expected, tolerance_mm)
        assert surface.normalized_surface_dice(found, tolerance_mm) == pytest.approx(nsd, abs=1e-9)
    from_truth, from_prediction = oracle.compute_average_surface_distance(expected)
    areas = (expected["surfel_areas_gt"].sum(), expected["surfel_areas_pred"].sum())
    assd = (from_truth * areas[0] + from_prediction * areas[1]) / sum(areas)
    assert surface.average_symmetric_distance_mm(found) == pytest.approx(float(assd), abs=1e-9)


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (0.5, 1.0, 3.0)])
def test_the_area_of_every_one_of_the_256_cells_equals_surface_distance(spacing_mm: tuple[float, float, float]) -> None:
    """One cell alone in the middle of two voxels per axis: compared through the whole surface of 256 tiny masks."""
    oracle = pytest.importorskip("surface_distance")
    for code in range(1, 256):
        mask = np.array([code >> bit & 1 for bit in range(8)], dtype=bool).reshape(2, 2, 2)
        expected = oracle.compute_surface_distances(mask, mask, spacing_mm[::-1])["surfel_areas_gt"]
        found = surface.surface_of(mask, spacing_mm).areas_mm2
        np.testing.assert_allclose(np.sort(found), np.sort(expected), atol=1e-12)


def test_hausdorff_and_assd_agree_with_monai_on_smooth_shapes() -> None:
    """MONAI measures between edge voxels unweighted by area: measured 0.14 and 0.30 mm, half a voxel allowed."""
    torch = pytest.importorskip("torch")
    monai = pytest.importorskip("monai.metrics")
    spacing_mm = (1.0, 1.0, 1.0)
    truth = ball(9.0, spacing_mm, 16.0)
    prediction = np.roll(ball(11.0, spacing_mm, 16.0), 2, axis=1)
    found = distances_between(truth, prediction, spacing_mm)
    p, t = (torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (prediction, truth))
    hausdorff = float(monai.compute_hausdorff_distance(p, t, percentile=95, include_background=True, spacing=1.0))
    assd = float(monai.compute_average_surface_distance(p, t, symmetric=True, include_background=True, spacing=1.0))
    assert surface.hausdorff_mm(found) == pytest.approx(hausdorff, abs=0.5)
    assert surface.average_symmetric_distance_mm(found) == pytest.approx(assd, abs=0.5)


def test_dice_equals_monai() -> None:
    torch = pytest.importorskip("torch")
    monai = pytest.importorskip("monai.metrics")
    truth, prediction = blob(3), blob(4)
    p, t = (torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (prediction, truth))
    expected = float(monai.compute_dice(p, t, include_background=True))
    assert vertebra.dice(prediction, truth) == pytest.approx(expected, abs=1e-6)


def test_identical_masks_have_no_distance() -> None:
    found = distances_between(block(), block())
    assert surface.hausdorff_mm(found) == 0.0
    assert surface.average_symmetric_distance_mm(found) == 0.0
    assert surface.normalized_surface_dice(found, 0.0) == 1.0
    assert vertebra.dice(block(), block()) == 1.0


@pytest.mark.parametrize(
    ("shift", "expected_mm"), [((1, 0, 0), 2.0), ((0, 1, 0), 1.0), ((0, 0, 1), 0.5), ((2, 0, 0), 4.0)]
)
def test_a_shift_moves_the_surface_by_that_axis_spacing(shift: tuple[int, int, int], expected_mm: float) -> None:
    found = distances_between(block(), block(shift=shift))
    assert surface.hausdorff_mm(found, 100) == pytest.approx(expected_mm)
    assert surface.normalized_surface_dice(found, expected_mm) == 1.0  # exactly at the tolerance counts
    assert surface.normalized_surface_dice(found, expected_mm - 0.01) < 1.0


def test_two_concentric_balls_lie_their_radius_difference_apart() -> None:
    """Radii 8 and 13 mm, half a voxel diagonal (0.7 mm) allowed.

    The mean reads 0.4 mm low, in surface-distance as well: the nearest surfel is on the near side of the staircase.
    """
    spacing_mm = (1.0, 0.8, 0.5)
    found = distances_between(ball(8.0, spacing_mm, 16.0), ball(13.0, spacing_mm, 16.0), spacing_mm)
    assert surface.average_symmetric_distance_mm(found) == pytest.approx(5.0, abs=0.7)
    assert surface.hausdorff_mm(found) == pytest.approx(5.0, abs=0.7)
    assert surface.normalized_surface_dice(found, 3.5) == 0.0
    assert surface.normalized_surface_dice(found, 6.5) == 1.0


def test_the_area_of_a_ball_is_near_the_formula() -> None:
    """Marching cubes on a binary mask overestimates a sphere's area: 11.5 % measured, 15 % allowed."""
    spacing_mm = (1.0, 0.8, 0.5)
    area_mm2 = surface.surface_of(ball(13.0, spacing_mm, 16.0), spacing_mm).areas_mm2.sum()
    assert 1.0 < area_mm2 / (4 * math.pi * 13.0**2) < 1.15


def test_one_empty_mask_is_infinitely_far_and_two_are_undefined() -> None:
    nothing = np.zeros(SHAPE, dtype=bool)
    for truth, prediction in ((block(), nothing), (nothing, block())):
        found = distances_between(truth, prediction)
        assert surface.hausdorff_mm(found) == math.inf
        assert surface.average_symmetric_distance_mm(found) == math.inf
        assert surface.normalized_surface_dice(found, 2.0) == 0.0
        assert vertebra.dice(prediction, truth) == 0.0
    found = distances_between(nothing, nothing)
    assert math.isnan(surface.hausdorff_mm(found))
    assert math.isnan(surface.average_symmetric_distance_mm(found))
    assert math.isnan(surface.normalized_surface_dice(found, 2.0))
    assert math.isnan(vertebra.dice(nothing, nothing))


def test_bad_surface_input_is_refused_with_a_remedy() -> None:
    with pytest.raises(ValueError, match=r"\(x, y, z\) order; got \(1\.0, 0\.0, 1\.0\)\. Take it from"):
        surface.surface_of(block(), (1.0, 0.0, 1.0))
    with pytest.raises(ValueError, match=r"three-dimensional \(z, y, x\); got shape \(24, 30\)"):
        surface.surface_of(block()[0], SPACING_MM)
    found = distances_between(block(), block())
    with pytest.raises(ValueError, match=r"percent must lie between 0 and 100; got 950\. Use 95"):
        surface.hausdorff_mm(found, 950)
    with pytest.raises(ValueError, match=r"must not be negative; got -1\. Use 1 or 2 mm"):
        surface.normalized_surface_dice(found, -1)


@pytest.fixture
def two_vertebrae() -> NDArray[np.uint8]:
    """L2 (21) below, at the bottom edge, and L1 (20) above, 4 voxels (8 mm) apart; the sacrum (26) at the side."""
    labels = np.zeros((30, 24, 30), dtype=np.uint8)
    labels[0:8, 6:15, 8:20] = 21
    labels[12:20, 6:15, 8:20] = 20
    labels[0:4, 20:23, 0:3] = 26
    return labels


def rows_of(prediction: Mask, labels: NDArray[np.uint8], limit_mm: float = 10.0) -> tuple[vertebra.VertebraRow, ...]:
    nearest = vertebra.nearest_vertebra(labels, SPACING_MM, limit_mm)
    return vertebra.vertebra_rows(prediction, vertebra.truth_vertebrae(labels, SPACING_MM), nearest, SPACING_MM)


def test_a_perfect_mask_scores_perfectly_for_each_vertebra_from_cranial_to_caudal(
    two_vertebrae: NDArray[np.uint8],
) -> None:
    rows = rows_of(vertebra_mask(two_vertebrae), two_vertebrae)
    assert [row.name for row in rows] == ["L1", "L2"]
    assert [row.touches_edge for row in rows] == [False, True]
    for row in rows:
        assert (row.dice, row.hd95_mm, row.centroid_error_mm) == (1.0, 0.0, 0.0)
        assert (row.assd_mm, row.nsd_1mm, row.nsd_2mm) == (0.0, 1.0, 1.0)


def test_a_shift_along_z_is_the_centroid_error_in_mm(two_vertebrae: NDArray[np.uint8]) -> None:
    prediction = np.roll(vertebra_mask(two_vertebrae), 1, axis=0)
    prediction[0] = False
    upper, lower = rows_of(prediction, two_vertebrae)
    assert upper.centroid_error_mm == pytest.approx(2.0)
    assert upper.dice == pytest.approx(7 / 8)
    assert upper.hd95_mm == pytest.approx(2.0)
    assert upper.nsd_1mm < upper.nsd_2mm == 1.0  # the top and bottom faces moved by 2 mm
    assert lower.dice == pytest.approx(7 / 8)


def test_distances_of_one_vertebra_equal_surface_distance_on_it_alone(two_vertebrae: NDArray[np.uint8]) -> None:
    """A ragged prediction that stays clear of the other vertebra: each row is that of its vertebra by itself."""
    oracle = pytest.importorskip("surface_distance")
    prediction = vertebra_mask(two_vertebrae) & (np.random.default_rng(7).random(two_vertebrae.shape) > 0.2)
    prediction |= np.roll(prediction, 2, axis=2)
    for row in rows_of(prediction, two_vertebrae):
        near = np.zeros_like(prediction)
        part = slice(10, None) if row.name == "L1" else slice(None, 10)
        near[part] = prediction[part]
        alone = oracle.compute_surface_distances(two_vertebrae == row.label, near, SPACING_MM[::-1])
        areas = (alone["surfel_areas_gt"].sum(), alone["surfel_areas_pred"].sum())
        assd_mm = np.dot(oracle.compute_average_surface_distance(alone), areas) / sum(areas)
        assert row.hd95_mm == pytest.approx(oracle.compute_robust_hausdorff(alone, 95), abs=1e-9)
        assert row.assd_mm == pytest.approx(assd_mm, abs=1e-9)
        assert row.nsd_1mm == pytest.approx(oracle.compute_surface_dice_at_tolerance(alone, 1.0), abs=1e-9)
        assert row.nsd_2mm == pytest.approx(oracle.compute_surface_dice_at_tolerance(alone, 2.0), abs=1e-9)


def test_a_vertebra_cut_by_two_voxels_has_its_centroid_2_mm_lower(two_vertebrae: NDArray[np.uint8]) -> None:
    prediction = vertebra_mask(two_vertebrae)
    prediction[18:20] = False
    upper, lower = rows_of(prediction, two_vertebrae)
    assert upper.centroid_error_mm == pytest.approx(2.0)
    assert lower.dice == 1.0


def test_bone_farther_than_the_limit_belongs_to_no_vertebra(two_vertebrae: NDArray[np.uint8]) -> None:
    prediction = vertebra_mask(two_vertebrae)
    prediction[29, 6:15, 8:20] = True  # 10 voxels = 20 mm above L1
    upper, _ = rows_of(prediction, two_vertebrae)
    assert upper.dice == 1.0
    upper, _ = rows_of(prediction, two_vertebrae, limit_mm=20.0)
    assert upper.dice == pytest.approx(2 * 8 / (8 + 9))


def test_a_missing_vertebra_has_dice_zero_and_infinite_distance(two_vertebrae: NDArray[np.uint8]) -> None:
    upper, lower = rows_of(two_vertebrae == 20, two_vertebrae)
    assert upper.dice == 1.0
    assert (lower.dice, lower.hd95_mm, lower.assd_mm) == (0.0, math.inf, math.inf)
    assert (lower.nsd_1mm, lower.nsd_2mm) == (0.0, 0.0)
    assert math.isnan(lower.centroid_error_mm)


def test_the_sacrum_is_not_part_of_the_bone_mask(two_vertebrae: NDArray[np.uint8]) -> None:
    mask = vertebra_mask(two_vertebrae)
    assert mask.sum() == 2 * 8 * 9 * 12
    assert rows_of(mask, np.zeros_like(two_vertebrae)) == ()


def test_a_spine_whose_vertebrae_are_not_told_apart_has_no_rows(two_vertebrae: NDArray[np.uint8]) -> None:
    whole = np.where(vertebra_mask(two_vertebrae), WHOLE_SPINE_LABEL, two_vertebrae).astype(np.uint8)
    assert vertebra.truth_vertebrae(whole, SPACING_MM) == ()
    assert rows_of(vertebra_mask(two_vertebrae), whole) == ()


def test_bone_nearest_to_an_unnamed_vertebra_counts_for_no_other(two_vertebrae: NDArray[np.uint8]) -> None:
    half_named = np.where(two_vertebrae == 21, WHOLE_SPINE_LABEL, two_vertebrae).astype(np.uint8)
    (only,) = rows_of(vertebra_mask(two_vertebrae), half_named)
    assert (only.name, only.dice, only.hd95_mm) == ("L1", 1.0, 0.0)
