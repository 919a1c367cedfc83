"""Cases that training never sees, scored at every validation: phantoms of held-out spines, and real CTs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from TomoRayLib.geometry import Biplanar, Grid, Vector3, c_arm
from TomoRayLib.images import Volume, labels_on_grid, resample
from TomoRayLib.networks.geolift import GeoLiftUNet
from TomoRayLib.projector import hu_to_attenuation, project
from TomoRayLib.radiograph import network_input
from TomoRayLib.target import BONE_WINDOW, vertebra_mask
from TomoRayLib.training.datasets import Anatomy, Sample, StreamConfig, sample_of_scene
from TomoRayLib.training.phantom import compose_scene


@dataclass(frozen=True)
class ValidationCase:
    """A name and one sample, batched by 1, its target at the finest grid that is trained."""

    name: str
    sample: Sample


def phantom_cases(anatomy: Anatomy, stream: StreamConfig, count: int, seed: int = 12345) -> list[ValidationCase]:
    """``count`` fixed phantoms of the given (held-out) spines."""
    rng = np.random.default_rng(seed)
    cases = []
    for number in range(count):
        spine, body = anatomy.draw(rng)
        scene = compose_scene(spine, body, rng, stream.scene, stream.phantom)
        sample = sample_of_scene(scene, rng, stream)
        cases.append(ValidationCase(f"phantom {number + 1}", {key: value[None] for key, value in sample.items()}))
    return cases


def real_case(name: str, ct: Volume, labels: Volume, size: int, fov_mm: float = 256.0) -> ValidationCase:
    """A real labelled CT through the C-arm, isocentre at the middle of its vertebrae's bounding box."""
    isocenter = vertebrae_center_mm(labels)
    views = c_arm(isocenter)
    cube = Grid.cube(isocenter, fov_mm, size)
    radiographs, matrices = network_input(render_pair(ct, views), [views.ap, views.lateral], cube)
    fine = Grid.cube(isocenter, fov_mm, 192)
    mask = vertebra_mask(labels_on_grid(labels, fine).voxels)
    grey = np.where(mask, BONE_WINDOW.apply(resample(ct, fine).voxels), 0.0).astype(np.float32)
    factor = 192 // size
    pooled = [F.avg_pool3d(torch.from_numpy(a)[None, None], factor) for a in (grey, mask.astype(np.float32))]
    return ValidationCase(
        name,
        {"radiographs": radiographs, "cube_to_pixel": matrices, "target": pooled[0], "occupancy": pooled[1]},
    )


def render_pair(ct: Volume, views: Biplanar) -> list[Tensor]:
    """AP and lateral line integrals of a CT in HU."""
    attenuation = hu_to_attenuation(torch.from_numpy(np.ascontiguousarray(ct.voxels, dtype=np.float32)))
    return [project(attenuation, ct.grid, view) for view in (views.ap, views.lateral)]


def vertebrae_center_mm(labels: Volume) -> Vector3:
    """LPS position of the middle of the bounding box of all vertebrae. Raises ValueError where there are none."""
    found = np.argwhere(vertebra_mask(labels.voxels))
    if not len(found):
        raise ValueError("The label map holds no vertebra (labels 1-25 or 28).")
    index = np.append(found[:, ::-1], np.ones((len(found), 1)), axis=1)
    ends = np.stack([index.min(axis=0), index.max(axis=0)])
    corners = np.array([[ends[a, 0], ends[b, 1], ends[c, 2], 1] for a in (0, 1) for b in (0, 1) for c in (0, 1)])
    world = (labels.grid.index_to_world @ corners.T).T[:, :3]
    x, y, z = ((world.min(axis=0) + world.max(axis=0)) / 2).tolist()
    return (x, y, z)


def score_case(network: GeoLiftUNet, case: ValidationCase, level: int) -> dict[str, float]:
    """Cosine similarity, Dice, and PSNR gained over an empty volume (dB) at one level of the network."""
    device = next(network.parameters()).device
    sample = {key: value.to(device) for key, value in case.sample.items()}
    prediction = network(sample["radiographs"], sample["cube_to_pixel"], levels=(level,))[level]
    factor = sample["target"].shape[-1] // prediction.intensity.shape[-1]
    target, occupancy = (F.avg_pool3d(sample[key], factor) for key in ("target", "occupancy"))
    masked = prediction.masked
    bone, truth = prediction.mask_logit > 0, occupancy > 0.5
    energy = target.square().mean()
    return {
        "cosine_similarity": float((masked * target).sum() / (masked.norm() * target.norm()).clamp_min(1e-9)),
        "dice": float(2 * (bone & truth).sum() / (bone.sum() + truth.sum()).clamp_min(1)),
        "gain_db": float(10 * torch.log10(energy / (masked - target).square().mean())),
    }
