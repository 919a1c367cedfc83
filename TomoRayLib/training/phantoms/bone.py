"""The bone of a phantom's spine: dense shell and endplates, trabecular bone with texture, discs, bony spurs."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from TomoRayLib.training.phantoms.density import strength_of
from TomoRayLib.training.phantoms.ranges import PhantomRanges
from TomoRayLib.training.phantoms.spines import Spine
from TomoRayLib.training.phantoms.vertebral_bodies import VertebralBody

SHELL_MM = 5.0
LEAST_SHELL_HU = 60.0  # above trabecular bone, times the strength
GRAINS_MM = (2.5, 6.0, 16.0)  # of trabecular texture; the last is the difference between parts of the spine
CANAL_HU = 25.0  # dural sac with fat
SPUR_BOX_MM = 20.0
FIRST_WITH_SPURS = 3.5  # C3: atlas and axis have no disc between them
ANTERIOR_ARC_RAD = 1.9  # spurs grow in front and at the sides, to 110 degrees from the front


def painted_bone(
    occupancy: Tensor,
    detail: Tensor | None,
    trabecular_hu: Tensor,
    spacing_mm: float,
    rng: np.random.Generator,
    ranges: PhantomRanges,
) -> Tensor:
    """HU (z, y, x) of bone: a dense shell that fades into trabecular bone, denser towards the endplates, with texture
    of one standard deviation at three scales.

    ``detail`` is in 0..1, see ``vertebral_bodies.Details``; ``trabecular_hu`` (z, y, x) is the density of the vertebra
    that each voxel belongs to: where it is low, shell, endplates and arches are dull as well. No shell is as dense
    everywhere.
    """
    width = max(3, round(SHELL_MM / spacing_mm) | 1)
    depth = F.avg_pool3d(occupancy[None, None], width, stride=1, padding=width // 2, count_include_pad=False)[0, 0]
    shell = ((1.0 - depth) * 2.0).clamp(0.0, 1.0) ** float(rng.uniform(*ranges.shell_power))
    cortical = float(rng.uniform(*ranges.cortical_hu))
    sd, uneven = float(rng.uniform(*ranges.texture_sd_hu)), float(rng.uniform(*ranges.shell_unevenness))
    endplate, power = float(rng.uniform(*ranges.endplate_hu)), float(rng.uniform(0.5, 1.8))
    texture = _texture(occupancy, spacing_mm, int(rng.integers(2**31)))
    strength = strength_of(trabecular_hu)
    inside = trabecular_hu + texture * sd
    if detail is not None:
        inside = inside + endplate * strength * detail**power
    dense = trabecular_hu + (cortical - trabecular_hu).clamp_min(LEAST_SHELL_HU) * strength * (uneven * texture).exp()
    return inside + shell * (dense - inside).clamp_min(0.0)


def _texture(like: Tensor, spacing_mm: float, seed: int) -> Tensor:
    """Noise of mean 0 and standard deviation 1, of the same weight at each of the grains."""
    generator = torch.Generator(device=like.device).manual_seed(seed)
    total = torch.zeros_like(like)
    for grain_mm in GRAINS_MM:
        coarse = [max(2, int(n * spacing_mm / max(grain_mm, spacing_mm))) for n in like.shape]
        noise = torch.randn(1, 1, *coarse, generator=generator, device=like.device)
        fine = F.interpolate(noise, size=like.shape, mode="trilinear")[0, 0]
        total += fine / fine.std().clamp_min(1e-6)
    return total / len(GRAINS_MM) ** 0.5


def with_soft_column(hu: Tensor, occupancy: Tensor, detail: Tensor, disc_hu: Tensor) -> Tensor:
    """``hu`` with discs, canal and ligaments between the vertebrae, whatever the host had there.

    ``disc_hu`` (z, y, x) is the grey value of the disc that each voxel would belong to.
    """
    soft = CANAL_HU + (disc_hu - CANAL_HU) * (2.0 * detail - 1.0).clamp(0.0, 1.0)
    present = (2.0 * detail).clamp(0.0, 1.0) * (1.0 - occupancy)
    return torch.lerp(hu, soft, present)


def with_osteophytes(spine: Spine, rng: np.random.Generator, ranges: PhantomRanges) -> Tensor:
    """``spine.occupancy`` with bony spurs at the rims of some endplates, in front and at the sides, most of them at
    neighbouring levels. A spine without known bodies stays as it is."""
    bodies = [body for body in spine.bodies if body.level >= FIRST_WITH_SPURS]
    occupancy = spine.occupancy.clone()
    if not bodies:
        return occupancy
    centre = float(rng.uniform(0, len(bodies)))
    side = float(rng.uniform(-0.8, 0.8))  # spurs of one spine prefer one side
    for _ in range(int(rng.integers(ranges.osteophytes[0], ranges.osteophytes[1] + 1))):
        body = bodies[int(np.clip(round(rng.normal(centre, 2.0)), 0, len(bodies) - 1))]
        angle = float(np.clip(rng.normal(side, 0.8), -ANTERIOR_ARC_RAD, ANTERIOR_ARC_RAD))
        _add_spur(occupancy, spine, body, bool(rng.random() < 0.5), angle, float(rng.uniform(*ranges.osteophyte_mm)))
    return occupancy


def _add_spur(
    occupancy: Tensor, spine: Spine, body: VertebralBody, upper: bool, angle_rad: float, length_mm: float
) -> None:
    """Write one spur into ``occupancy``: an ellipsoid on the endplate's rim, curved towards the disc.

    ``angle_rad`` is 0 in front and pi/2 on the patient's left.
    """
    up = np.array(body.axis) * (1.0 if upper else -1.0)
    outward = np.array([np.sin(angle_rad), -np.cos(angle_rad), 0.0])
    outward -= outward @ up * up
    outward /= np.linalg.norm(outward)
    along = np.cross(up, outward)
    rim = _rim_mm(spine, body.endplate_mm(upper) - 2.5 * up, outward, 1.6 * max(body.half_width_mm, body.half_depth_mm))
    middle = rim + outward * (0.25 * length_mm) + up * 1.0
    origin, step = np.array(spine.grid.origin_mm), spine.grid.spacing_mm[0]
    first = np.maximum(np.floor((middle - SPUR_BOX_MM - origin) / step).astype(int), 0)
    last = np.minimum(np.ceil((middle + SPUR_BOX_MM - origin) / step).astype(int), np.array(spine.grid.size))
    if (last <= first).any():
        return
    box = tuple(slice(int(a), int(b)) for a, b in zip(first[::-1], last[::-1], strict=True))
    z, y, x = np.meshgrid(*(np.arange(one.start, one.stop) for one in box), indexing="ij")
    off = np.stack([x, y, z], axis=-1) * step + origin - middle
    out = off @ outward
    rise = off @ up - 0.6 * np.clip(out, 0, None)  # hooks towards the neighbour
    size = (0.75 * length_mm, 0.28 * length_mm + 1.2, 0.9 * length_mm + 2.0)
    radius = np.sqrt((out / size[0]) ** 2 + (rise / size[1]) ** 2 + ((off @ along) / size[2]) ** 2)
    share = np.clip((1.0 - radius) * min(size) / step + 0.5, 0.0, 1.0)
    spur = torch.from_numpy(np.round(share * 255).astype(np.uint8)).to(occupancy.device)
    occupancy[box] = torch.maximum(occupancy[box], spur)


def _rim_mm(spine: Spine, start: np.ndarray, outward: np.ndarray, reach_mm: float) -> np.ndarray:
    """The last place within bone on the way from ``start`` along ``outward``."""
    distances = np.arange(0.0, reach_mm, spine.grid.spacing_mm[0] / 2)
    places = start + distances[:, None] * outward
    index = np.round((places - np.array(spine.grid.origin_mm)) / np.array(spine.grid.spacing_mm)).astype(int)
    index = np.clip(index, 0, np.array(spine.grid.size) - 1)
    inside = spine.occupancy[index[:, 2], index[:, 1], index[:, 0]].cpu().numpy() > 127
    gap = np.flatnonzero(~inside[4:])  # the first voxels may be a notch of the endplate
    return places[int(gap[0]) + 3] if len(gap) else places[-1]
