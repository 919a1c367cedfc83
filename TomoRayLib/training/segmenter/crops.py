"""Samples for the CT segmenter: crops of phantoms and of real labelled CTs, as scanners and reconstructions vary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from TomoRayLib.anatomy.grey_levels import AIR_HU
from TomoRayLib.anatomy.vertebra_field import centroids_of_labels, vertebra_field
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.networks.ct_segmenter import EDGE_MULTIPLE, SPACING_MM, normalised_hu
from TomoRayLib.training.data.anatomy import Anatomy
from TomoRayLib.training.data.scenes_of_cts import scene_of_case
from TomoRayLib.training.data.stream import sample_order
from TomoRayLib.training.data.vertebra_truth import cut_vertebrae
from TomoRayLib.training.phantoms.ranges import PhantomRanges
from TomoRayLib.training.phantoms.scene import Scene, SceneSize, compose_scene

SCENE, CROP = range(2)  # what a random generator is for; ``sample_order`` has another number
Crop = dict[str, Tensor]


@dataclass(frozen=True)
class CropConfig:
    """How crops are drawn. Raises InputError for edges that the network cannot take.

    ``size`` is (z, y, x) in voxels of 2 mm. One scene gives ``uses`` crops, while the next ``kept`` scenes are made;
    ``spine_share`` of them are centred within a vertebra, the others anywhere in the body. ``real_share`` of the scenes
    are real labelled CTs, if there are any. Shares and ranges are those of single crops: noise in HU; the SD of a blur
    in mm along z (thick slices) and across; a factor and a shift of the HU; air beyond a nearer end of the field of
    view on some sides.
    """

    size: tuple[int, int, int] = (96, 80, 80)
    uses: int = 5
    kept: int = 8
    real_share: float = 0.4
    spine_share: float = 0.7
    noise_sd_hu: tuple[float, float] = (0.0, 60.0)
    noisy_share: float = 0.6
    blur_z_sd_mm: tuple[float, float] = (0.0, 2.2)
    blur_sd_mm: tuple[float, float] = (0.0, 1.2)
    factor: tuple[float, float] = (0.85, 1.15)
    shift_hu: tuple[float, float] = (-25.0, 25.0)
    cut_share: float = 0.25
    seed: int = 0
    scene: SceneSize = field(default_factory=lambda: SceneSize(spacing_mm=SPACING_MM))
    phantom: PhantomRanges = field(default_factory=PhantomRanges)

    def __post_init__(self) -> None:
        if any(edge < EDGE_MULTIPLE or edge % EDGE_MULTIPLE for edge in self.size):
            raise InputError(f"CropConfig.size must be multiples of {EDGE_MULTIPLE} voxels; got {self.size}.")
        if self.scene.spacing_mm != SPACING_MM:
            raise InputError(f"CropConfig.scene must have voxels of {SPACING_MM} mm; got {self.scene.spacing_mm}.")


@dataclass(frozen=True)
class LabelledScene:
    """A scene with what its crops need: ``mask`` bool, ``known`` (z,) the slices whose labels are complete, and the
    centroids of vertebrae in mm that neither the scene nor its scan cuts."""

    hu: Tensor
    labels: Tensor
    mask: Tensor
    known: np.ndarray
    grid: Grid
    centroids_mm: dict[int, np.ndarray]


class CropStream(IterableDataset[Crop]):
    """Endless crops: ``hu`` (1, z, y, x) normalised, ``mask`` (1, z, y, x), ``field`` (4, z, y, x), ``inside``
    (1, z, y, x) where the field holds, and ``known`` (1, z, y, x) where the mask is known; all float32.

    Each is a function of the seed and its number alone. ``crops_done`` of them are left out.
    """

    def __init__(self, anatomy: Anatomy, config: CropConfig, crops_done: int = 0) -> None:
        super().__init__()
        self.anatomy, self.config, self.crops_done = anatomy, config, crops_done

    def __iter__(self) -> Iterator[Crop]:
        worker = get_worker_info()
        if worker is not None and worker.num_workers != 1:
            raise InputError(f"Crops come from one process; got {worker.num_workers} workers.")
        seed = (self.config.seed, 0, 0)
        scenes: dict[int, LabelledScene] = {}
        left: dict[int, int] = {}
        for index, (number, use) in enumerate(sample_order(seed, self.config.uses, self.config.kept)):
            left[number] = left.get(number, self.config.uses) - 1
            if index >= self.crops_done:
                if number not in scenes:
                    scenes[number] = self._scene(np.random.default_rng((*seed, SCENE, number)))
                rng = np.random.default_rng((*seed, CROP, number, use))
                yield crop_of_scene(scenes[number], rng, self.config)
            if left[number] == 0:
                scenes.pop(number, None)
                del left[number]

    def _scene(self, rng: np.random.Generator) -> LabelledScene:
        config, cohort = self.config, self.anatomy.cohort
        while True:
            if cohort is not None and (not self.anatomy.spines or rng.random() < config.real_share):
                found = labelled_scene(scene_of_case(cohort.draw(rng), rng, config.scene, config.phantom), real=True)
            else:
                spine, body = self.anatomy.draw(rng)
                found = labelled_scene(compose_scene(spine, body, rng, config.scene, config.phantom), real=False)
            if found is not None:
                return found


def labelled_scene(scene: Scene, real: bool) -> LabelledScene | None:
    """A scene as its crops need it; None if it holds no vertebra, or labels that do not tell vertebrae apart.

    Of a ``real`` CT only the slices from its lowest to its highest label are known: beyond them vertebrae may be in the
    picture without a label.
    """
    if scene.labels is None:
        return None
    labels = scene.labels.numpy()
    heights = np.flatnonzero((labels > 0).any(axis=(1, 2)))
    if len(heights) == 0:
        return None
    known = np.ones(len(labels), bool)
    if real:
        known[: heights[0]] = False
        known[heights[-1] + 1 :] = False
    cut = cut_vertebrae(labels)
    centroids = {label: at for label, at in centroids_of_labels(labels, scene.grid).items() if label not in cut}
    return LabelledScene(scene.hu, scene.labels, scene.occupancy > 127, known, scene.grid, centroids)


def crop_of_scene(scene: LabelledScene, rng: np.random.Generator, config: CropConfig) -> Crop:
    """One random crop, padded with air where it reaches beyond the scene."""
    corner = _random_corner(scene, rng, config)
    hu, is_cut = random_reconstruction(_cropped(scene.hu, corner, config.size, AIR_HU).float(), rng, config)
    labels = _cropped(scene.labels, corner, config.size, 0).numpy()
    mask = _cropped(scene.mask, corner, config.size, False) & ~is_cut
    z = np.arange(config.size[0]) + corner[0]
    known = np.where((z >= 0) & (z < len(scene.known)), scene.known[z.clip(0, len(scene.known) - 1)], False)
    origin = tuple(
        start + index * step
        for start, index, step in zip(scene.grid.origin_mm, corner[::-1], scene.grid.spacing_mm, strict=True)
    )
    grid = Grid(config.size[::-1], scene.grid.spacing_mm, origin)  # type: ignore[arg-type]
    field_of, inside = vertebra_field(np.where(is_cut.numpy(), 0, labels), grid, scene.centroids_mm)
    known_all = torch.from_numpy(known.astype(np.float32))[:, None, None].expand(config.size).clone()
    return {
        "hu": normalised_hu(hu)[None],
        "mask": mask.float()[None],
        "field": torch.from_numpy(field_of),
        "inside": torch.from_numpy(inside).float()[None],
        "known": known_all[None],
    }


def random_reconstruction(hu: Tensor, rng: np.random.Generator, config: CropConfig) -> tuple[Tensor, Tensor]:
    """HU (z, y, x) as another scanner and kernel would give them, and where a nearer end of the field of view leaves
    air: no vertebra is to be found there."""
    hu = (hu + float(rng.uniform(*config.shift_hu))) * float(rng.uniform(*config.factor))
    sds = (rng.uniform(*config.blur_z_sd_mm), *(rng.uniform(*config.blur_sd_mm),) * 2)
    for axis, sd_mm in enumerate(sds):
        hu = _blurred(hu, axis, float(sd_mm) / SPACING_MM)
    if rng.random() < config.noisy_share:
        noise = torch.from_numpy(rng.standard_normal(tuple(hu.shape), dtype=np.float32))
        hu = hu + noise * float(rng.uniform(*config.noise_sd_hu))
    is_cut = torch.zeros(hu.shape, dtype=torch.bool)
    if rng.random() < config.cut_share:
        for axis in range(3):
            depth = int(rng.integers(0, hu.shape[axis] // 4)) * int(rng.random() < 0.4)
            if depth:
                start = 0 if rng.random() < 0.5 else hu.shape[axis] - depth
                is_cut.index_fill_(axis, torch.arange(start, start + depth), True)
    return hu.masked_fill(is_cut, AIR_HU), is_cut


def _blurred(hu: Tensor, axis: int, sd_voxels: float) -> Tensor:
    if sd_voxels < 0.2:
        return hu
    reach = max(1, round(3 * sd_voxels))
    places = torch.arange(-reach, reach + 1, dtype=torch.float32)
    weights = torch.exp(-0.5 * (places / sd_voxels) ** 2)
    shape, pad = [1, 1, 1, 1, 1], [0] * 6
    shape[2 + axis] = len(weights)
    pad[2 * (2 - axis)] = pad[2 * (2 - axis) + 1] = reach
    padded = F.pad(hu[None, None], pad, mode="replicate")
    return F.conv3d(padded, (weights / weights.sum()).view(shape))[0, 0]


def _random_corner(scene: LabelledScene, rng: np.random.Generator, config: CropConfig) -> tuple[int, int, int]:
    """(z, y, x) of the crop's first voxel, possibly outside the scene."""
    if rng.random() < config.spine_share and bool(scene.mask.any()):
        where = torch.nonzero(scene.mask.flatten()).ravel()
    else:
        where = torch.nonzero((scene.hu > -500).flatten()).ravel()
    if len(where) == 0:
        where = torch.arange(scene.hu.numel())
    place = np.unravel_index(int(where[int(rng.integers(len(where)))]), scene.hu.shape)
    away = [int(rng.integers(-edge // 3, edge // 3 + 1)) for edge in config.size]
    z, y, x = (int(p) + a - edge // 2 for p, a, edge in zip(place, away, config.size, strict=True))
    return z, y, x


def _cropped(volume: Tensor, corner: tuple[int, int, int], size: tuple[int, int, int], fill: float) -> Tensor:
    result = torch.full(size, fill, dtype=volume.dtype)
    source, target = [], []
    for first, edge, length in zip(corner, size, volume.shape, strict=True):
        low, high = max(first, 0), min(first + edge, length)
        source.append(slice(low, max(low, high)))
        target.append(slice(low - first, max(low, high) - first))
    result[tuple(target)] = volume[tuple(source)]
    return result
