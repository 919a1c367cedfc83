"""Grey-value metrics against formulas, scikit-image and torchmetrics."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from TomoRayLib.metrics import intensity

SHAPE = (26, 19, 22)  # (z, y, x), three different lengths: a swapped axis cannot hide
# scikit-image computes float64 input in float64 by the same formula: only the order of the sums differs.
SKIMAGE_TOLERANCE = 1e-9


@pytest.fixture
def truth() -> NDArray[np.float64]:
    """A textured block, off-centre and clear of the edges, in an empty volume."""
    volume = np.zeros(SHAPE)
    volume[5:20, 7:14, 9:17] = np.random.default_rng(1).uniform(0.2, 1.0, (15, 7, 8))
    return volume


@pytest.fixture
def prediction(truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """The truth, blurred and shifted by one voxel along z."""
    return ndimage.gaussian_filter(np.roll(truth, 1, axis=0), (1.0, 0.5, 0.8))


def skimage_plane_means(p: NDArray[np.float64], t: NDArray[np.float64]) -> list[float]:
    metrics = pytest.importorskip("skimage.metrics")
    return [
        float(
            np.mean(
                [
                    metrics.structural_similarity(p.take(i, axis), t.take(i, axis), data_range=1.0)
                    for i in range(t.shape[axis])
                ]
            )
        )
        for axis in range(3)
    ]


def test_identical_volumes_have_infinite_psnr_and_full_similarity(truth: NDArray[np.float64]) -> None:
    mask = truth > 0
    assert intensity.psnr_3d_db(truth, truth) == math.inf
    assert intensity.psnr_in_mask_db(truth, truth, mask) == math.inf
    assert intensity.psnr_per_plane_db(truth, truth).mean == math.inf
    assert intensity.ssim_2d(truth, truth) == intensity.PlaneValues(1.0, 1.0, 1.0)
    assert intensity.ssim_in_mask(truth, truth, mask) == pytest.approx(1.0, abs=1e-12)
    assert intensity.cosine_similarity(truth, truth) == pytest.approx(1.0, abs=1e-12)
    assert intensity.mae_in_mask_hu(truth, truth, mask) == 0.0


def test_psnr_equals_scikit_image(prediction: NDArray[np.float64], truth: NDArray[np.float64]) -> None:
    metrics = pytest.importorskip("skimage.metrics")
    expected = metrics.peak_signal_noise_ratio(truth, prediction, data_range=1.0)
    assert intensity.psnr_3d_db(prediction, truth) == pytest.approx(expected, abs=1e-9)


def test_psnr_falls_by_6_02_db_when_the_error_doubles(truth: NDArray[np.float64]) -> None:
    error = 0.01 * np.random.default_rng(2).standard_normal(SHAPE)
    drop_db = intensity.psnr_3d_db(truth + error, truth) - intensity.psnr_3d_db(truth + 2 * error, truth)
    assert drop_db == pytest.approx(20 * math.log10(2), abs=1e-9)


def test_psnr_of_a_constant_error_follows_the_formula_and_the_data_range() -> None:
    truth = np.full(SHAPE, 0.5)
    assert intensity.psnr_3d_db(truth + 0.1, truth) == pytest.approx(20.0)
    assert intensity.psnr_3d_db(100 * truth + 10, 100 * truth, data_range=100.0) == pytest.approx(20.0)


def test_blank_volume_has_the_psnr_of_the_truths_energy(truth: NDArray[np.float64]) -> None:
    expected = -10 * math.log10(float(np.mean(truth**2)))
    assert intensity.psnr_3d_db(np.zeros(SHAPE), truth) == pytest.approx(expected)


def test_psnr_does_not_overflow_on_small_integers() -> None:
    truth, prediction = np.zeros(SHAPE, dtype=np.uint8), np.ones(SHAPE, dtype=np.uint8)
    assert intensity.psnr_3d_db(prediction, truth) == pytest.approx(0.0)


def test_psnr_per_plane_is_the_mean_over_the_slices_that_show_bone(
    prediction: NDArray[np.float64], truth: NDArray[np.float64]
) -> None:
    metrics = pytest.importorskip("skimage.metrics")
    values = intensity.psnr_per_plane_db(prediction, truth)
    for axis, value in enumerate((values.axial, values.coronal, values.sagittal)):
        slices = [(truth.take(i, axis), prediction.take(i, axis)) for i in range(SHAPE[axis])]
        expected = [metrics.peak_signal_noise_ratio(t, p, data_range=1.0) for t, p in slices if t.any()]
        assert value == pytest.approx(float(np.mean(expected)), abs=1e-9)


def test_ssim_2d_equals_scikit_image_on_every_axis(prediction: NDArray[np.float64], truth: NDArray[np.float64]) -> None:
    ssim = intensity.ssim_2d(prediction, truth)
    expected = skimage_plane_means(prediction, truth)
    assert [ssim.axial, ssim.coronal, ssim.sagittal] == pytest.approx(expected, abs=SKIMAGE_TOLERANCE)
    assert ssim.mean == pytest.approx(float(np.mean(expected)), abs=SKIMAGE_TOLERANCE)


def test_ssim_2d_of_float32_volumes_equals_scikit_image_to_a_millionth() -> None:
    """scikit-image stays in float32 here, TomoRay sums in float64: measured 3e-8, allowed 1e-6."""
    rng = np.random.default_rng(3)
    truth = ndimage.gaussian_filter(rng.uniform(0, 1, SHAPE), 1).astype(np.float32)
    prediction = np.clip(truth + 0.1 * rng.standard_normal(SHAPE), 0, 1).astype(np.float32)
    ssim = intensity.ssim_2d(prediction, truth)
    assert [ssim.axial, ssim.coronal, ssim.sagittal] == pytest.approx(skimage_plane_means(prediction, truth), abs=1e-6)


@pytest.mark.parametrize("corner", [(0, 0, 0), (25, 18, 21), (0, 18, 10)])
def test_ssim_2d_equals_scikit_image_where_bone_touches_the_edge(corner: tuple[int, int, int]) -> None:
    truth, prediction = np.zeros(SHAPE), np.zeros(SHAPE)
    truth[corner] = 0.9
    prediction[12, 9, 11] = 0.4
    for p, t in ((prediction, truth), (np.zeros(SHAPE), truth), (prediction, np.zeros(SHAPE))):
        ssim = intensity.ssim_2d(p, t)
        expected = skimage_plane_means(p, t)
        assert [ssim.axial, ssim.coronal, ssim.sagittal] == pytest.approx(expected, abs=SKIMAGE_TOLERANCE)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_one_changed_slice_counts_once_in_its_own_plane(truth: NDArray[np.float64], axis: int) -> None:
    """In the slice's own plane all other slices keep SSIM 1: the value is 1 - (1 - s) / n for the changed slice."""
    metrics = pytest.importorskip("skimage.metrics")
    changed = truth.copy()
    slab: list[int | slice] = [slice(None)] * 3
    slab[axis] = 12
    changed[tuple(slab)] *= 0.3
    alone = metrics.structural_similarity(changed.take(12, axis), truth.take(12, axis), data_range=1.0)
    values = intensity.ssim_2d(changed, truth)
    expected = 1 - (1 - float(alone)) / SHAPE[axis]
    planes = [values.axial, values.coronal, values.sagittal]
    assert planes[axis] == pytest.approx(expected, abs=SKIMAGE_TOLERANCE)
    assert all(abs(planes[other] - expected) > 5e-4 for other in range(3) if other != axis)


def test_ssim_2d_equals_torchmetrics_with_the_same_window() -> None:
    """torchmetrics with a uniform 7 x 7 window, which uses the population covariance.

    The sample covariance is 49/48 times that; the factor cancels if C2 shrinks by as much, hence its k2.
    """
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.image")
    rng = np.random.default_rng(4)
    truth = rng.uniform(0, 1, SHAPE)
    prediction = np.clip(truth + 0.2 * rng.standard_normal(SHAPE), 0, 1)
    values = intensity.ssim_2d(prediction, truth)
    for axis, value in enumerate((values.axial, values.coronal, values.sagittal)):
        p, t = (torch.from_numpy(np.moveaxis(v, axis, 0)[:, None].copy()) for v in (prediction, truth))
        _, full = functional.structural_similarity_index_measure(
            p,
            t,
            gaussian_kernel=False,
            kernel_size=7,
            data_range=1.0,
            k2=0.03 * math.sqrt(48 / 49),
            return_full_image=True,
        )
        inner = full[..., 3:-3, 3:-3] if full.shape[-2:] == p.shape[-2:] else full
        assert value == pytest.approx(float(inner.mean()), abs=1e-6)


@pytest.mark.parametrize("touches_edge", [False, True])
def test_ssim_in_mask_equals_scikit_images_full_map(
    prediction: NDArray[np.float64], truth: NDArray[np.float64], touches_edge: bool
) -> None:
    metrics = pytest.importorskip("skimage.metrics")
    if touches_edge:
        prediction, truth = prediction[5:20, 7:, :17], truth[5:20, 7:, :17]
    mask = intensity.dilated(truth > 0)
    _, full = metrics.structural_similarity(prediction, truth, data_range=1.0, full=True)
    expected = float(full[mask].mean())
    assert intensity.ssim_in_mask(prediction, truth, mask) == pytest.approx(expected, abs=SKIMAGE_TOLERANCE)


def test_cosine_similarity_does_not_change_with_scale(
    prediction: NDArray[np.float64], truth: NDArray[np.float64]
) -> None:
    value = intensity.cosine_similarity(prediction, truth)
    assert 0.3 < value < 1
    assert intensity.cosine_similarity(0.07 * prediction, truth) == pytest.approx(value, abs=1e-12)
    by_hand = np.sum(prediction * truth) / (np.linalg.norm(prediction) * np.linalg.norm(truth))
    assert value == pytest.approx(float(by_hand), abs=1e-12)


def test_cosine_similarity_of_an_empty_volume_is_zero(truth: NDArray[np.float64]) -> None:
    assert intensity.cosine_similarity(np.zeros(SHAPE), truth) == 0.0
    assert intensity.cosine_similarity(truth, np.zeros(SHAPE)) == 0.0


def test_mae_is_the_window_width_times_the_mean_error_on_the_mask(truth: NDArray[np.float64]) -> None:
    mask = truth > 0
    prediction = np.where(mask, truth - 0.1, 0.7)  # what lies outside the mask must not count
    assert intensity.mae_in_mask_hu(prediction, truth, mask) == pytest.approx(130.0)
    assert intensity.mae_in_mask_hu(prediction, truth, mask, window_width_hu=1000.0) == pytest.approx(100.0)
    assert intensity.psnr_in_mask_db(prediction, truth, mask) == pytest.approx(20.0)


def test_an_empty_mask_gives_nan(truth: NDArray[np.float64]) -> None:
    nothing = np.zeros(SHAPE, dtype=bool)
    assert math.isnan(intensity.mae_in_mask_hu(truth, truth, nothing))
    assert math.isnan(intensity.psnr_in_mask_db(truth, truth, nothing))
    assert math.isnan(intensity.ssim_in_mask(truth, truth, nothing))
    assert math.isnan(intensity.psnr_per_plane_db(truth, np.zeros(SHAPE)).axial)


def test_dilation_by_3_voxels_makes_a_ball_of_123_voxels() -> None:
    """There are 123 whole-number points with x^2 + y^2 + z^2 <= 9."""
    mask = np.zeros(SHAPE, dtype=bool)
    mask[12, 9, 11] = True
    grown = intensity.dilated(mask)
    assert grown.sum() == 123
    assert grown[15, 9, 11]
    assert not grown[15, 10, 11]
    assert not intensity.dilated(np.zeros(SHAPE, dtype=bool)).any()


def test_different_shapes_are_refused_with_both_shapes_named(truth: NDArray[np.float64]) -> None:
    functions = (
        intensity.psnr_3d_db,
        intensity.psnr_per_plane_db,
        intensity.cosine_similarity,
        intensity.ssim_2d,
    )
    for function in functions:
        with pytest.raises(ValueError, match=r"\(26, 19, 22\); got \(25, 19, 22\)\. Resample"):
            function(truth[:-1], truth)


def test_a_volume_thinner_than_the_window_is_refused(truth: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="at least 7 voxels along each axis"):
        intensity.ssim_2d(truth[:6], truth[:6])


def test_a_data_range_of_zero_is_refused(truth: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match=r"data_range must be above 0; got 0\.0\. Use 1\.0"):
        intensity.psnr_3d_db(truth, truth, data_range=0.0)
