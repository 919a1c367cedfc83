"""What training samples are made of: anatomy, and from a scene to X-rays with a random geometry and appearance."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from TomoRayLib.anatomy.grey_levels import BONE_WINDOW
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import ConeBeam
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.views import View
from TomoRayLib.networks.radiograph_input import cube_to_pixel, normalise
from TomoRayLib.projector.projection import project
from TomoRayLib.training.data.augmentation import (
    AppearanceRanges,
    GeometryRanges,
    mistaken,
    random_appearance,
    random_attenuation,
    random_views,
    unknown_scales,
    unknown_shift_px,
)
from TomoRayLib.training.data.held_out import VALIDATION_SPINES, is_of_subjects
from TomoRayLib.training.data.labelled_cts import Cohort
from TomoRayLib.training.data.licences import BODIES, CASES, SHAPES, SourceUse, is_permissive, merged, uses_of
from TomoRayLib.training.phantoms.bodies import Body, body_name, load_body
from TomoRayLib.training.phantoms.myo_sim import find_myo_sim, read_myo_sim_spine
from TomoRayLib.training.phantoms.procedural import procedural_bodies
from TomoRayLib.training.phantoms.ranges import PhantomRanges
from TomoRayLib.training.phantoms.scene import Scene, SceneSize, body_fits
from TomoRayLib.training.phantoms.spines import Spine, load_spine, spine_name

MINIMUM_LEVELS = 5
NO_SPINE = (
    "Expected at least one spine to make phantoms of, got none that is not held out. Add label maps of other subjects "
    f"than {', '.join(VALIDATION_SPINES)}, or hold out fewer (data.held_out, --watch)."
)


@dataclass(frozen=True)
class Anatomy:
    """The spines and bodies that phantoms are made of, and the real labelled CTs that join them.

    ``spines_trained_on`` marks a validation whose spines are those of the training, see ``split``.
    """

    spines: tuple[Spine, ...] = ()
    bodies: tuple[Body, ...] = ()
    cohort: Cohort | None = None
    spines_trained_on: bool = False

    def split(self, held_out: tuple[str, ...] = VALIDATION_SPINES) -> tuple[Anatomy, Anatomy]:
        """(training, validation) by the spine's subject; both use all bodies, and only the first the real CTs.

        ``held_out`` may name cases of a cohort as well, whose label maps are then not trained on. Where no spine is of
        a held-out subject, the validation has the spines of the training and says so: its ``spines_trained_on`` is
        true, and its phantoms are no measure of other patients.
        """
        kept = tuple(spine for spine in self.spines if not is_of_subjects(spine.name, held_out))
        rest = tuple(spine for spine in self.spines if is_of_subjects(spine.name, held_out))
        return Anatomy(kept, self.bodies, self.cohort), Anatomy(rest or kept, self.bodies, spines_trained_on=not rest)

    def check_trainable(self) -> None:
        """Raises InputError where there is neither a spine nor a cohort: nothing that a sample could be made from."""
        if not self.spines and self.cohort is None:
            raise InputError(NO_SPINE)

    def sources(self) -> tuple[SourceUse, ...]:
        """The data sets that all of it comes from, with their licences."""
        cases = [case.name for case in self.cohort.cases] if self.cohort is not None else []
        shapes, bodies = [spine.name for spine in self.spines], [body.name for body in self.bodies]
        return merged([*uses_of(SHAPES, shapes), *uses_of(BODIES, bodies), *uses_of(CASES, cases)])

    def draw(self, rng: np.random.Generator) -> tuple[Spine, Body]:
        """A spine and a body that share enough levels. Raises InputError where there is no spine."""
        if not self.spines:
            raise InputError(NO_SPINE)
        while True:
            spine = self.spines[int(rng.integers(len(self.spines)))]
            fitting = [body for body in self.bodies if body_fits(spine, body, MINIMUM_LEVELS)]
            if fitting:
                return spine, fitting[int(rng.integers(len(fitting)))]


def load_anatomy(data: Path, permissive: bool = False, myo_sim: bool = False, procedural_count: int = 0) -> Anatomy:
    """Read ``data/labelmaps`` and ``data/bodies``. Spines without at least five levels in some body are left out.

    ``myo_sim`` adds that package's spine, and there need be no label maps then; ``procedural_count`` bodies made of
    formulas join the real ones, and there need be none of those. ``permissive`` leaves out every file whose source is
    not known to allow commercial use (``training.sources``).
    """
    label_files, all_label_files = _label_files(data, permissive), _label_files(data)
    body_files = sorted((data / "bodies").glob("*.nii.gz"))
    found = f"{len(all_label_files)} and {len(body_files)}"
    if permissive:
        body_files = [path for path in body_files if is_permissive("body", body_name(path))]
        found += f", of which {len(label_files)} and {len(body_files)} are known to allow commercial use"
    if not (body_files or procedural_count) or not (label_files or myo_sim):
        raise InputError(
            f"Training needs label maps in {data / 'labelmaps'} and torso CTs in {data / 'bodies'} (*.nii.gz); got "
            f"{found}. Point --data at the folder that holds both; in [data] myo_sim = true stands in for label maps, "
            f"procedural_bodies = 20 for bodies."
        )
    bodies = tuple(load_body(path) for path in body_files) + procedural_bodies(procedural_count)
    spines = load_spines(data, permissive, myo_sim)
    usable = tuple(spine for spine in spines if any(body_fits(spine, body, MINIMUM_LEVELS) for body in bodies))
    if not usable:
        raise InputError(
            f"Expected a label map that shares at least {MINIMUM_LEVELS} levels with a body, got none in {data}. Add "
            f"bodies of the same part of the spine; their levels are read off in training/bodies.py."
        )
    return Anatomy(usable, bodies)


def load_spines(data: Path, permissive: bool = False, myo_sim: bool = False) -> tuple[Spine, ...]:
    """The spines of ``load_anatomy`` whether or not a body fits them. There may be none."""
    extra = (read_myo_sim_spine(find_myo_sim(data)),) if myo_sim else ()
    return tuple(load_spine(path) for path in _label_files(data, permissive)) + extra


def _label_files(data: Path, permissive: bool = False) -> list[Path]:
    files = sorted((data / "labelmaps").glob("*.nii.gz"))
    return [path for path in files if not permissive or is_permissive("spine", spine_name(path))]


def with_procedural_bodies(anatomy: Anatomy, count: int, only: bool = False, seed: int = 0) -> Anatomy:
    """``anatomy`` with ``count`` procedural bodies beside its own, or instead of them (``only``).

    Raises InputError for a negative count, and for none where no real body is left.
    """
    if count < 0 or (count == 0 and (only or not anatomy.bodies) and anatomy.spines):
        raise InputError(
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
    """How samples are drawn. One phantom is X-rayed ``uses`` times, while the next ``kept`` phantoms are made.

    Each X-ray (``Shot``) is seen ``shot_uses`` times, each time with another appearance. An appearance costs a tenth
    of an X-ray, and an X-ray a fourth of a phantom. Where there are real labelled CTs, ``real_share`` of the phantoms
    are such a CT, deformed.
    """

    size: int = 96
    fov_mm: float = 256.0
    uses: int = 6
    kept: int = 16
    shot_uses: int = 1
    real_share: float = 0.5
    seed: int = 0
    scene: SceneSize = field(default_factory=SceneSize)
    phantom: PhantomRanges = field(default_factory=PhantomRanges)
    isocenter: IsocenterRanges = field(default_factory=IsocenterRanges)
    geometry: GeometryRanges = field(default_factory=GeometryRanges)
    appearance: AppearanceRanges = field(default_factory=AppearanceRanges)

    def __post_init__(self) -> None:
        if min(self.uses, self.kept, self.shot_uses) < 1 or self.size < 1:
            raise InputError(
                f"size, uses, kept and shot_uses must be at least 1; got size {self.size}, uses {self.uses}, kept "
                f"{self.kept}, shot_uses {self.shot_uses}."
            )


Sample = dict[str, Tensor]


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
    views = random_views(rng, config.geometry).moved_to(isocenter)
    cube = Grid.cube(isocenter, config.fov_mm, config.size)
    attenuation = random_attenuation(hu, rng, config.appearance)
    shifts_px, scales = unknown_shift_px(rng, config.geometry), unknown_scales(rng, config.geometry)
    integrals, matrices = [], []
    for view, shift_px, scale in zip((views.ap, views.lateral), shifts_px, scales, strict=True):
        integrals.append(project(attenuation, scene.grid, view))
        matrix = mistaken(cube_to_pixel(view, cube), shift_px, float(scale))
        matrices.append(torch.from_numpy(matrix.astype(np.float32)))
    bone = (hu.float() - BONE_WINDOW.low_hu).div_(BONE_WINDOW.width_hu).clamp_(0, 1)
    share = occupancy.float() / 255.0
    both = on_cube(torch.stack([bone * (share > 0.5), share]), scene.grid, cube)
    geometry = torch.tensor([_geometry_row(view, config.fov_mm) for view in (views.ap, views.lateral)])
    return Shot(torch.stack(integrals), torch.stack(matrices), geometry, both.half())


def _geometry_row(view: View, fov_mm: float) -> tuple[float, float, float, float, float]:
    sad_mm = view.beam.sad_mm if isinstance(view.beam, ConeBeam) else 0.0
    return (sad_mm, view.gantry_angle_deg, view.tilt_deg, view.roll_deg, fov_mm)


def sample_of_shot(shot: Shot, rng: np.random.Generator, appearance: AppearanceRanges) -> Sample:
    """A shot with a random appearance of each view."""
    volumes = shot.volumes.float()
    return {
        "radiographs": torch.stack([normalise(random_appearance(image, rng, appearance)) for image in shot.integrals]),
        "cube_to_pixel": shot.matrices,
        "geometry": shot.geometry,
        "target": volumes[:1],
        "occupancy": volumes[1:],
    }


def sample_of_scene(scene: Scene, rng: np.random.Generator, config: StreamConfig) -> Sample:
    """One training sample: random isocentre, geometry and appearance, half of the time mirrored."""
    return sample_of_shot(shot_of_scene(scene, rng, config), rng, config.appearance)


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
