"""The stream of training samples: phantoms made on the fly, each seen several times through different X-rays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from TomoRayLib.geometry import ConeBeam, Grid, View
from TomoRayLib.projector import hu_to_attenuation, project
from TomoRayLib.radiograph import cube_to_pixel, normalise
from TomoRayLib.target import BONE_WINDOW
from TomoRayLib.training.augmentation import random_appearance, random_views, unknown_shift_px
from TomoRayLib.training.bodies import Body, load_body
from TomoRayLib.training.cohort import Cohort, scene_of_case
from TomoRayLib.training.phantom import PhantomRanges, Scene, SceneSize, body_fits, compose_scene
from TomoRayLib.training.procedural import procedural_bodies
from TomoRayLib.training.spines import Spine, load_spine

# Cervical stretches have no matching body yet; these label maps are kept for validation.
VALIDATION_SPINES = ("verse024", "verse047", "verse645", "verse711")
MINIMUM_LEVELS = 5
MINIMUM_SHOTS = 8  # before any is shown again


@dataclass(frozen=True)
class Anatomy:
    """The spines and bodies that phantoms are made of, and the real labelled CTs that join them."""

    spines: tuple[Spine, ...] = ()
    bodies: tuple[Body, ...] = ()
    cohort: Cohort | None = None

    def split(self, held_out: tuple[str, ...] = VALIDATION_SPINES) -> tuple[Anatomy, Anatomy]:
        """(training, validation) by spine; both use all bodies, and only the first the real CTs."""
        kept = tuple(spine for spine in self.spines if spine.name not in held_out)
        rest = tuple(spine for spine in self.spines if spine.name in held_out)
        return Anatomy(kept, self.bodies, self.cohort), Anatomy(rest or kept, self.bodies)

    def draw(self, rng: np.random.Generator) -> tuple[Spine, Body]:
        """A spine and a body that share enough levels."""
        while True:
            spine = self.spines[int(rng.integers(len(self.spines)))]
            fitting = [body for body in self.bodies if body_fits(spine, body, MINIMUM_LEVELS)]
            if fitting:
                return spine, fitting[int(rng.integers(len(fitting)))]


def load_anatomy(data: Path, procedural_count: int = 0) -> Anatomy:
    """Read ``data/labelmaps`` and ``data/bodies``. Spines without at least five levels in some body are left out.

    ``procedural_count`` bodies made of formulas join the real ones; where there is no real one they are all.
    """
    label_files = sorted((data / "labelmaps").glob("*.nii.gz"))
    body_files = sorted((data / "bodies").glob("*.nii.gz"))
    if not label_files or not (body_files or procedural_count):
        raise ValueError(
            f"Training needs label maps in {data / 'labelmaps'} and torso CTs in {data / 'bodies'} (*.nii.gz); got "
            f"{len(label_files)} and {len(body_files)}. Point --data at the folder that holds both, or "
            f"let bodies be made of formulas (procedural_bodies in the configuration's [data])."
        )
    bodies = tuple(load_body(path) for path in body_files) + procedural_bodies(procedural_count)
    spines = (load_spine(path) for path in label_files)
    usable = tuple(spine for spine in spines if any(body_fits(spine, body, MINIMUM_LEVELS) for body in bodies))
    if not usable:
        raise ValueError(
            f"Expected a label map that shares at least {MINIMUM_LEVELS} levels with a body, got none in {data}. Add "
            f"bodies of the same part of the spine; their levels are read off in training/bodies.py."
        )
    return Anatomy(usable, bodies)


def with_procedural_bodies(anatomy: Anatomy, count: int, only: bool = False, seed: int = 0) -> Anatomy:
    """``anatomy`` with ``count`` procedural bodies beside its own, or instead of them (``only``).

    Raises ValueError for a negative count, and for none where no real body is left.
    """
    if count < 0 or (count == 0 and (only or not anatomy.bodies) and anatomy.spines):
        raise ValueError(
            f"Expected at least {1 if only or not anatomy.bodies else 0} procedural bodies, got {count}; without any, "
            f"phantoms need real torso CTs in bodies/."
        )
    made = procedural_bodies(count, seed)
    return replace(anatomy, bodies=made if only else anatomy.bodies + made)


@dataclass(frozen=True)
class IsocenterRanges:
    """Where the isocentre lies relative to the spine's course, in mm: near it, or in the middle of the body."""

    sd_mm: tuple[float, float, float] = (12.0, 12.0, 16.0)
    anterior_share: float = 0.35
    anterior_mm: tuple[float, float] = (0.0, 70.0)


@dataclass(frozen=True)
class StreamConfig:
    """How samples are drawn. ``uses`` is how often one phantom is X-rayed, ``kept`` how many are at hand.

    Each X-ray (``Shot``) is seen ``shot_uses`` times in all, each time with another appearance; ``shots_kept`` of them
    are at hand. An appearance costs a tenth of an X-ray, and an X-ray a fourth of a phantom. Where there are real
    labelled CTs, ``real_share`` of the phantoms are such a CT, deformed.
    """

    size: int = 96
    fov_mm: float = 256.0
    uses: int = 6
    kept: int = 16
    shot_uses: int = 1
    shots_kept: int = 256
    real_share: float = 0.5
    seed: int = 0
    scene: SceneSize = field(default_factory=SceneSize)
    phantom: PhantomRanges = field(default_factory=PhantomRanges)
    isocenter: IsocenterRanges = field(default_factory=IsocenterRanges)


Sample = dict[str, Tensor]


class PhantomStream(IterableDataset[Sample]):
    """Endless samples: ``radiographs`` (2, 2, 224, 224), ``cube_to_pixel`` (2, 3, 4), ``geometry`` (2, 5), ``target``
    and ``occupancy`` (1, size, size, size) in [0, 1]."""

    def __init__(self, anatomy: Anatomy, config: StreamConfig, rank: int = 0) -> None:
        """``rank`` is the number of the training process: each draws phantoms of its own."""
        super().__init__()
        self.anatomy, self.config, self.rank = anatomy, config, rank

    def __iter__(self) -> Iterator[Sample]:
        worker = get_worker_info()
        rng = np.random.default_rng([self.config.seed, worker.id if worker else 0, self.rank])
        scenes: list[Scene] = []
        shots: list[Shot] = []
        while True:
            if len(shots) < MINIMUM_SHOTS or rng.random() < 1.0 / self.config.shot_uses:
                self._renew(scenes, rng)
                shot = shot_of_scene(scenes[int(rng.integers(len(scenes)))], rng, self.config)
                if self.config.shot_uses > 1:
                    _keep(shots, shot, self.config.shots_kept, rng)
            else:
                shot = shots[int(rng.integers(len(shots)))]
            yield sample_of_shot(shot, rng)

    def _renew(self, scenes: list[Scene], rng: np.random.Generator) -> None:
        if len(scenes) < self.config.kept and (len(scenes) < 2 or rng.random() < 0.5):
            scenes.append(self._scene(rng))
        elif rng.random() < 1.0 / self.config.uses:
            scenes[int(rng.integers(len(scenes)))] = self._scene(rng)

    def _scene(self, rng: np.random.Generator) -> Scene:
        config, cohort = self.config, self.anatomy.cohort
        if cohort is not None and (not self.anatomy.spines or rng.random() < config.real_share):
            return scene_of_case(cohort.draw(rng), rng, config.scene, config.phantom)
        spine, body = self.anatomy.draw(rng)
        return compose_scene(spine, body, rng, config.scene, config.phantom)


@dataclass(frozen=True)
class Shot:
    """One X-ray of a phantom: all of a sample but its appearance.

    ``integrals`` (2, 224, 224) are the views' line integrals, ``volumes`` (2, size, size, size) target and occupancy,
    in half precision because many are kept. ``geometry`` (2, 5) is what ``losses.view_of_row`` reads.
    """

    integrals: Tensor
    matrices: Tensor
    geometry: Tensor
    volumes: Tensor


def shot_of_scene(scene: Scene, rng: np.random.Generator, config: StreamConfig) -> Shot:
    """Random isocentre and geometry, half of the time mirrored."""
    mirrored = rng.random() < 0.5
    hu = scene.hu.flip(-1) if mirrored else scene.hu
    occupancy = scene.occupancy.flip(-1) if mirrored else scene.occupancy
    isocenter = random_isocenter(rng, config.isocenter)
    views = random_views(rng).moved_to(isocenter)
    cube = Grid.cube(isocenter, config.fov_mm, config.size)
    attenuation = hu_to_attenuation(hu)
    integrals, matrices = [], []
    for view, shift in zip((views.ap, views.lateral), unknown_shift_px(rng), strict=True):
        integrals.append(project(attenuation, scene.grid, view))
        matrix = cube_to_pixel(view, cube)
        matrix[:2] += shift[:, None] * matrix[2]
        matrices.append(torch.from_numpy(matrix.astype(np.float32)))
    bone = (hu.float() - BONE_WINDOW.low_hu).div_(BONE_WINDOW.width_hu).clamp_(0, 1)
    share = occupancy.float() / 255.0
    both = on_cube(torch.stack([bone * (share > 0.5), share]), scene.grid, cube)
    geometry = torch.tensor([_geometry_row(view, config.fov_mm) for view in (views.ap, views.lateral)])
    return Shot(torch.stack(integrals), torch.stack(matrices), geometry, both.half())


def _geometry_row(view: View, fov_mm: float) -> tuple[float, float, float, float, float]:
    sad_mm = view.beam.sad_mm if isinstance(view.beam, ConeBeam) else 0.0
    return (sad_mm, view.gantry_angle_deg, view.tilt_deg, view.roll_deg, fov_mm)


def sample_of_shot(shot: Shot, rng: np.random.Generator) -> Sample:
    """A shot with a random appearance of each view."""
    volumes = shot.volumes.float()
    return {
        "radiographs": torch.stack([normalise(random_appearance(image, rng)) for image in shot.integrals]),
        "cube_to_pixel": shot.matrices,
        "geometry": shot.geometry,
        "target": volumes[:1],
        "occupancy": volumes[1:],
    }


def sample_of_scene(scene: Scene, rng: np.random.Generator, config: StreamConfig) -> Sample:
    """One training sample: random isocentre, geometry and appearance, half of the time mirrored."""
    return sample_of_shot(shot_of_scene(scene, rng, config), rng)


def _keep(shots: list[Shot], shot: Shot, most: int, rng: np.random.Generator) -> None:
    """Add a shot; from ``most`` on it takes the place of another."""
    if len(shots) < most:
        shots.append(shot)
    else:
        shots[int(rng.integers(most))] = shot


def random_isocenter(rng: np.random.Generator, ranges: IsocenterRanges) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in rng.normal(0.0, ranges.sd_mm))
    if rng.random() < ranges.anterior_share:
        y -= float(rng.uniform(*ranges.anterior_mm))
    return (x, y, float(np.clip(z, -24.0, 24.0)))


def on_cube(channels: Tensor, grid: Grid, cube: Grid) -> Tensor:
    """(c, z, y, x) on an axis-aligned grid, trilinearly sampled on an axis-aligned cube; 0 outside."""
    axes = []
    for axis in range(3):
        positions = cube.origin_mm[axis] + np.arange(cube.size[axis]) * cube.spacing_mm[axis]
        index = (positions - grid.origin_mm[axis]) / grid.spacing_mm[axis]
        axes.append(torch.from_numpy((2 * index + 1) / grid.size[axis] - 1).float())
    z, y, x = torch.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
    sampling = torch.stack([x, y, z], dim=-1)[None].to(channels.device)
    return F.grid_sample(channels[None], sampling, align_corners=False)[0]
