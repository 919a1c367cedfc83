"""Losses: zero at the truth, right on cases worked out by hand, and differentiable."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from TomoRayLib.networks.geolift import Prediction
from TomoRayLib.training.data.samples import Sample
from TomoRayLib.training.engine.losses import (
    COARSER_LEVEL_WEIGHT,
    LossWeights,
    axis_projection_l1,
    balanced_l1,
    dilated,
    edge_l1,
    level_losses,
    mask_loss,
    ray_l1,
    reconstruction_loss,
    relative_squared_error,
    ssim_loss,
)

SIZE = 16


def truth_of(target: torch.Tensor, occupancy: torch.Tensor, **more: torch.Tensor) -> Sample:
    return {"target": target, "occupancy": occupancy, **more}


def a_truth() -> tuple[torch.Tensor, torch.Tensor]:
    """(target, occupancy), (1, 1, 16, 16, 16): a lopsided block of grey 0.6."""
    occupancy = torch.zeros(1, 1, SIZE, SIZE, SIZE)
    occupancy[..., 5:8, 6:11, 7:9] = 1.0
    return occupancy * 0.6, occupancy


def a_perfect_prediction() -> Prediction:
    target, occupancy = a_truth()
    return Prediction(target, (occupancy * 2 - 1) * 40.0)


def test_every_term_is_zero_at_the_truth() -> None:
    target, occupancy = a_truth()
    total, terms = reconstruction_loss(a_perfect_prediction(), truth_of(target, occupancy), LossWeights())
    assert float(total) == pytest.approx(0.0, abs=1e-6)
    assert set(terms) == {"intensity", "squared", "mask", "projection", "edge"}


def test_every_term_is_above_zero_for_an_empty_volume() -> None:
    target, occupancy = a_truth()
    empty = Prediction(torch.zeros_like(target), torch.full_like(target, -10.0))
    _, terms = reconstruction_loss(empty, truth_of(target, occupancy), LossWeights())
    assert min(terms.values()) > 1e-3


def test_an_empty_volume_has_a_relative_squared_error_of_one_whatever_its_bone() -> None:
    target, _ = a_truth()
    for share in (1.0, 0.5):
        assert float(relative_squared_error(torch.zeros_like(target), target * share)) == pytest.approx(1.0)
        assert float(relative_squared_error(0.5 * share * target, target * share)) == pytest.approx(0.25)


def test_ssim_is_scikit_images_where_all_windows_count() -> None:
    rng = np.random.default_rng(0)
    first = rng.random((1, 1, 14, 15, 16), dtype=np.float32)
    second = np.clip(first + rng.normal(0, 0.2, first.shape), 0, 1).astype(np.float32)
    expected = structural_similarity(first[0, 0], second[0, 0], win_size=7, data_range=1.0, use_sample_covariance=False)
    everywhere = torch.ones(first.shape)
    found = ssim_loss(torch.from_numpy(first), torch.from_numpy(second), everywhere)
    assert float(found) == pytest.approx(1 - expected, abs=1e-5)


def test_ssim_looks_near_bone_alone() -> None:
    target, occupancy = a_truth()
    far = 1 - dilated(occupancy, 7)
    assert float(far.sum()) > 0
    assert float(ssim_loss(target, target, occupancy)) == pytest.approx(0.0, abs=1e-6)
    assert float(ssim_loss(target + 0.5 * far, target, occupancy)) == pytest.approx(0.0, abs=1e-6)
    assert float(ssim_loss(target * 0.5, target, occupancy)) > 0.05


GEOMETRY = torch.tensor([[[900.0, 0.0, 0.0, 0.0, 160.0, 0.0], [0.0, 90.0, 0.0, 0.0, 160.0, 0.0]]])  # cone, parallel


def test_line_integrals_of_a_parallel_view_differ_by_the_voxels_on_the_ray() -> None:
    """A plate one voxel thick across the lateral rays: 1 voxel of path too much for every ray through the cube."""
    plate = torch.zeros(1, 1, SIZE, SIZE, SIZE)
    plate[..., 5] = 1.0
    rows = GEOMETRY[:, 1:]
    pixels = round(SIZE * 224 / 192)
    share = (SIZE / pixels) ** 2  # of the detector that the cube covers
    assert float(ray_l1(plate, torch.zeros_like(plate), rows)) == pytest.approx(0.1 * share, rel=0.08)


def test_bone_moved_along_the_rays_shows_in_the_other_view_alone() -> None:
    bone = torch.zeros(1, 1, SIZE, SIZE, SIZE)
    bone[..., 6:10, 6:10, 6:10] = 1.0
    along_x = bone.roll(3, -1)
    lateral, ap = (float(ray_l1(along_x, bone, GEOMETRY[:, [index]])) for index in (1, 0))
    assert lateral == pytest.approx(0.0, abs=1e-6)
    assert ap > 1e-3


def test_the_ray_term_needs_the_geometry_and_gives_a_gradient_that_removes_bone() -> None:
    target, occupancy = a_truth()
    weights = LossWeights(rays=1.0, ssim=1.0)
    with pytest.raises(ValueError, match=r"LossWeights\.rays needs the geometry"):
        reconstruction_loss(a_perfect_prediction(), truth_of(target, occupancy), weights)
    total, terms = reconstruction_loss(a_perfect_prediction(), truth_of(target, occupancy, geometry=GEOMETRY), weights)
    assert {"rays", "ssim"} < set(terms)
    assert float(total) == pytest.approx(0.0, abs=1e-5)
    too_much = (target + 0.3).requires_grad_()
    ray_l1(too_much, target, GEOMETRY).backward()
    assert too_much.grad is not None
    assert float(too_much.grad.min()) >= 0 < float(too_much.grad.max())


def test_a_weight_of_zero_leaves_its_term_out() -> None:
    target, occupancy = a_truth()
    empty = Prediction(torch.zeros_like(target), torch.full_like(target, -10.0))
    weights = LossWeights(intensity=0.0, squared=0.0, mask=0.0, projection=3.0, edge=0.0)
    total, terms = reconstruction_loss(empty, truth_of(target, occupancy), weights)
    assert float(total) == pytest.approx(3.0 * terms["projection"])


def test_projections_differ_by_the_sum_along_each_ray() -> None:
    """One voxel of 1 too much: per axis one ray of 1 among 256; three axes, per ten voxels of path."""
    extra = torch.zeros(1, 1, SIZE, SIZE, SIZE)
    extra[0, 0, 3, 4, 5] = 1.0
    assert float(axis_projection_l1(extra, torch.zeros_like(extra))) == pytest.approx(3 / SIZE**2 / 30)


def test_bone_moved_along_one_axis_does_not_show_in_that_projection() -> None:
    volume = torch.zeros(1, 1, SIZE, SIZE, SIZE)
    volume[0, 0, 3, 4, 5] = 1.0
    assert float(axis_projection_l1(volume.roll(1, -1), volume)) == pytest.approx(2 * 2 / SIZE**2 / 30)


def test_the_edge_term_counts_each_step_and_ignores_an_offset() -> None:
    target, _ = a_truth()
    assert float(edge_l1(target + 0.25, target)) == pytest.approx(0.0, abs=1e-7)
    step = torch.zeros_like(target)
    step[..., SIZE // 2 :] = 1.0
    assert float(edge_l1(step, torch.zeros_like(step))) == pytest.approx(1 / (SIZE - 1))


def test_dilation_reaches_as_many_voxels_along_every_axis() -> None:
    point = torch.zeros(1, 1, SIZE, SIZE, SIZE)
    point[0, 0, 8, 8, 8] = 1.0
    expected = torch.zeros_like(point)
    expected[..., 6:11, 6:11, 6:11] = 1.0
    assert torch.equal(dilated(point, 2), expected)


def test_near_and_far_weigh_the_same() -> None:
    """An error of 0.1 everywhere near bone costs what the same error everywhere else costs: half of 0.1."""
    target, occupancy = a_truth()
    near = dilated(occupancy, 3)
    for region in (near, 1 - near):
        assert float(balanced_l1(target + 0.1 * region, target, occupancy)) == pytest.approx(0.05, rel=1e-4)


def test_an_undecided_mask_costs_what_arithmetic_says() -> None:
    """Probability 0.5 everywhere: Dice (n + 1) / (N / 2 + n + 1) of n bone voxels in N, entropy log 2."""
    _, occupancy = a_truth()
    n, total = float(occupancy.sum()), occupancy.numel()
    dice = (n + 1) / (total / 2 + n + 1)
    expected = 0.5 * (1 - dice) + 5.0 * 0.693147
    assert float(mask_loss(torch.zeros_like(occupancy), occupancy)) == pytest.approx(expected, rel=1e-4)


def test_a_volume_without_bone_gives_a_finite_loss() -> None:
    target, _ = a_truth()
    nothing = torch.zeros_like(target)
    total, _ = reconstruction_loss(a_perfect_prediction(), truth_of(nothing, nothing), LossWeights())
    assert bool(torch.isfinite(total))


def test_gradients_are_finite_even_at_the_truth() -> None:
    target, occupancy = a_truth()
    for perfect in (True, False):
        start = a_perfect_prediction() if perfect else Prediction(torch.rand_like(target), torch.randn_like(target))
        prediction = Prediction(start.intensity.clone().requires_grad_(), start.mask_logit.clone().requires_grad_())
        reconstruction_loss(prediction, truth_of(target, occupancy), LossWeights())[0].backward()
        for part in (prediction.intensity, prediction.mask_logit):
            assert part.grad is not None
            assert bool(torch.isfinite(part.grad).all())


def test_coarser_levels_are_judged_by_pooled_truth_and_weigh_less() -> None:
    target, occupancy = (
        volume.repeat_interleave(2, 2).repeat_interleave(2, 3).repeat_interleave(2, 4) for volume in a_truth()
    )
    fine = Prediction(target, (occupancy * 2 - 1) * 40.0)
    coarse = a_perfect_prediction()  # the truth at half the size: the block's edges are even
    total, _ = level_losses({0: fine, 1: coarse}, truth_of(target, occupancy), LossWeights(), (0, 1))
    assert float(total) == pytest.approx(0.0, abs=1e-6)
    wrong = Prediction(torch.zeros_like(coarse.intensity), torch.full_like(coarse.intensity, -10.0))
    alone, expected = level_losses({1: wrong}, truth_of(target, occupancy), LossWeights(), (1,))
    total, reported = level_losses({0: fine, 1: wrong}, truth_of(target, occupancy), LossWeights(), (0, 1))
    assert float(total) == pytest.approx(COARSER_LEVEL_WEIGHT * float(alone), rel=1e-5)
    assert max(reported.values()) < 1e-6 < min(expected.values())
