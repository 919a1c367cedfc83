"""Cases that are never trained on, scored at every validation: phantoms of held-out spines, and real CTs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from TomoRayLib.anatomy.grey_levels import BONE_WINDOW, vertebra_mask
from TomoRayLib.anatomy.vertebra_field import LEVEL_UNIT, OFFSET_UNIT_MM
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.presets import c_arm
from TomoRayLib.images.cohort_finder import CohortCase
from TomoRayLib.images.resampling import labels_on_grid, resample
from TomoRayLib.images.types import Volume
from TomoRayLib.networks.geolift import Prediction
from TomoRayLib.networks.radiograph_input import network_input
from TomoRayLib.synthesis.acquisition import vertebrae_center_mm
from TomoRayLib.synthesis.rendering import render
from TomoRayLib.training.data.anatomy import Anatomy
from TomoRayLib.training.data.samples import Sample, StreamConfig, sample_of_scene
from TomoRayLib.training.data.scenes_of_cts import read_pair
from TomoRayLib.training.data.training_cases import reason_against
from TomoRayLib.training.data.vertebra_truth import field_on_cube
from TomoRayLib.training.engine.models import Model
from TomoRayLib.training.phantoms.scene import compose_scene

FINE_SIZE = 192  # a target is averaged from about so many voxels an edge, as finer grids of training are


@dataclass(frozen=True)
class ValidationCase:
    """A name and one sample, batched by 1, its target at the finest grid that is trained.

    ``real`` is true for a labelled CT, false for a phantom.
    """

    name: str
    sample: Sample
    real: bool = False


def phantom_cases(
    anatomy: Anatomy, stream: StreamConfig, count: int, seed: int = 12345, field_size: int = 0
) -> list[ValidationCase]:
    """``count`` fixed phantoms of the given (held-out) spines, with a vertebra field of so many voxels an edge."""
    rng = np.random.default_rng(seed)
    kind = "phantom (spine trained on)" if anatomy.spines_trained_on else "phantom"
    cases = []
    for number in range(count):
        spine, body = anatomy.draw(rng)
        scene = compose_scene(spine, body, rng, stream.scene, stream.phantom)
        sample = sample_of_scene(scene, rng, stream, field_size)
        cases.append(ValidationCase(f"{kind} {number + 1}", {key: value[None] for key, value in sample.items()}))
    return cases


def describe_held_out(validation: Anatomy) -> str:
    """The spines whose phantoms are scored, for the run's report."""
    if validation.spines_trained_on:
        return "None of the held-out spines is here: the scored phantoms are of spines trained on."
    return f"{len(validation.spines)} spines held out: the scored phantoms are of these."


def scored_case(case: CohortCase, size: int, fov_mm: float = 256.0, field_size: int = 0) -> ValidationCase:
    """``real_case`` from files, checked as those that are trained on are.

    Raises InputError, naming the case, for files that ``read_pair`` refuses, and for a case that must not be
    scored.
    """
    check_may_be_scored(case)
    try:
        ct, labels = read_pair(case)
    except InputError as error:
        raise InputError(f"{case.name}, a case to be scored: {error}") from None
    return real_case(case.name, ct, labels, size, fov_mm, field_size)


def check_may_be_scored(case: CohortCase) -> None:
    """Raises InputError for the case that published figures are measured on. Nothing is read."""
    if (reason := reason_against(case)) is not None:
        raise InputError(
            f"Expected a case that may be looked at during training, got {case.name} ({case.ct}): {reason}; leave it "
            f"out, or watch another case."
        )


def real_case(
    name: str, ct: Volume, labels: Volume, size: int, fov_mm: float = 256.0, field_size: int = 0
) -> ValidationCase:
    """A real labelled CT through the C-arm, isocentre at the middle of its vertebrae's bounding box.

    With a ``field_size`` it holds the vertebra field of the vertebrae that are whole in the cube.
    """
    isocenter = vertebrae_center_mm(labels)
    views = c_arm(isocenter)
    cube = Grid.cube(isocenter, fov_mm, size)
    images = [torch.from_numpy(image) for image in render(ct, {"ap": views.ap, "lat": views.lateral}).values()]
    radiographs, matrices = network_input(images, [views.ap, views.lateral], cube)
    factor = max(1, round(FINE_SIZE / size))
    fine = Grid.cube(isocenter, fov_mm, factor * size)
    numbers = labels_on_grid(labels, fine).voxels
    mask = vertebra_mask(numbers)
    grey = np.where(mask, BONE_WINDOW.apply(resample(ct, fine).voxels), 0.0).astype(np.float32)
    pooled = [F.avg_pool3d(torch.from_numpy(a)[None, None], factor) for a in (grey, mask.astype(np.float32))]
    sample = {"radiographs": radiographs, "cube_to_pixel": matrices, "target": pooled[0], "occupancy": pooled[1]}
    if field_size:
        coarse = Grid.cube(isocenter, fov_mm, field_size)
        values, known = field_on_cube(np.where(mask, numbers, 0), fine, coarse)
        sample |= {"field": torch.from_numpy(values)[None], "known": torch.from_numpy(known)[None, None].float()}
    return ValidationCase(name, sample, real=True)


def score_case(network: Model, case: ValidationCase, level: int) -> dict[str, float]:
    """Cosine similarity, Dice, and PSNR gained over an empty volume (dB) at one level of the network; for one that
    counts those of ``scores_of_field`` too, where the case has whole vertebrae."""
    device = next(network.parameters()).device
    sample = {key: value.to(device) for key, value in case.sample.items()}
    prediction = network(sample["radiographs"], sample["cube_to_pixel"], levels=(level,))[level]
    factor = sample["target"].shape[-1] // prediction.intensity.shape[-1]
    target, occupancy = (F.avg_pool3d(sample[key], factor) for key in ("target", "occupancy"))
    scores = scores_of(prediction.masked, prediction.bone, target, occupancy)
    field = prediction.field if isinstance(prediction, Prediction) else None
    if field is None or "field" not in sample or not sample["known"].any():
        return scores
    return scores | scores_of_field(field, sample["field"], sample["known"])


def scores_of_field(field: Tensor, truth: Tensor, known: Tensor) -> dict[str, float]:
    """The vertebra field (1, 4, z, y, x) where its truth is ``known`` (1, 1, z, y, x): the share of voxels given the
    right vertebra (``named``), the mean error of the level in vertebrae, and of the centroid in mm."""
    error = (field - truth)[0][:, known[0, 0] > 0]
    levels = LEVEL_UNIT * error[3].abs()
    return {
        "named": float((levels < 0.5).float().mean()),
        "level_error": float(levels.mean()),
        "centroid_mm": float(OFFSET_UNIT_MM * error[:3].norm(dim=0).mean()),
    }


def scores_of(masked: Tensor, bone: Tensor, target: Tensor, occupancy: Tensor) -> dict[str, float]:
    """The scores of ``score_case`` for any synthetic CT ``masked`` and mask ``bone``, all (1, 1, z, y, x)."""
    truth = occupancy > 0.5
    energy = target.square().mean()
    return {
        "cosine_similarity": float((masked * target).sum() / (masked.norm() * target.norm()).clamp_min(1e-9)),
        "dice": float(2 * (bone & truth).sum() / (bone.sum() + truth.sum()).clamp_min(1)),
        "gain_db": float(10 * torch.log10(energy / (masked - target).square().mean())),
    }
