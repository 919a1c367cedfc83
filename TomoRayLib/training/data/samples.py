"""Training samples: from a scene to X-rays with a random isocentre, geometry and appearance."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from TomoRayLib.anatomy.grey_levels import BONE_WINDOW
from TomoRayLib.anatomy.vertebra_field import FIELD_CHANNELS
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import ParallelBeam, SlotScan
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.views import View
from TomoRayLib.networks.geolift import IMAGE_LEVEL
from TomoRayLib.networks.radiograph_input import cube_to_pixel, mistaken, normalise
from TomoRayLib.projector.projection import project
from TomoRayLib.training.data.augmentation import (
    AppearanceRanges,
    GeometryRanges,
    random_appearance,
    random_attenuation,
    random_views,
    unknown_scales,
    unknown_shift_px,
    with_told_offset,
)
from TomoRayLib.training.data.cube_sampling import CubeSampling
from TomoRayLib.training.data.vertebra_truth import between_vertebrae, field_on_cube, nearest_on_cube
from TomoRayLib.training.phantoms.ranges import PhantomRanges
from TomoRayLib.training.phantoms.scene import Scene, SceneSize

BONE_INTEGRAL_UNIT_MM = 10.0  # a vertebra of 40 mm whose intensity is 0.3 has about 1
BONE_THICKNESS_UNIT_MM = 40.0


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
    in half precision because many are kept. ``geometry`` (2, 6) is what ``losses.view_of_row`` reads. ``further`` are
    the parts of a sample that some losses alone read, if they were asked for.
    """

    integrals: Tensor
    matrices: Tensor
    geometry: Tensor
    volumes: Tensor
    further: Sample = field(default_factory=dict)


def shot_of_scene(
    scene: Scene, rng: np.random.Generator, config: StreamConfig, field_size: int = 0, imaging: bool = False
) -> Shot:
    """Random isocentre and geometry, half of the time mirrored; with a vertebra field of ``field_size`` voxels an
    edge, 0 for none, and with ``bone_images`` if ``imaging``."""
    mirrored = rng.random() < 0.5
    hu = scene.hu.flip(-1) if mirrored else scene.hu
    occupancy = scene.occupancy.flip(-1) if mirrored else scene.occupancy
    isocenter = random_isocenter(rng, config.isocenter)
    views = with_told_offset(random_views(rng, config.geometry).moved_to(isocenter), rng, config.geometry)
    cube = Grid.cube(isocenter, config.fov_mm, config.size)
    attenuation = random_attenuation(hu, rng, config.appearance)
    shifts_px, scales = unknown_shift_px(rng, config.geometry), unknown_scales(rng, config.geometry)
    integrals, matrices = [], []
    for view, shift_px, scale in zip(views, shifts_px, scales, strict=True):
        integrals.append(project(attenuation, scene.grid, view))
        matrix = mistaken(cube_to_pixel(view, cube), shift_px, float(scale))
        matrices.append(torch.from_numpy(matrix.astype(np.float32)))
    sampling = CubeSampling.of(scene.grid, cube)
    bone = (sampling.needed(hu).float() - BONE_WINDOW.low_hu).div_(BONE_WINDOW.width_hu).clamp_(0, 1)
    share = sampling.needed(occupancy).float() / 255.0
    both = sampling.interpolated(torch.stack([bone * (share > 0.5), share]))
    geometry = torch.tensor([_geometry_row(view, config.fov_mm) for view in views])
    further = counted_of_scene(scene, cube, mirrored, field_size) if field_size else {}
    if imaging:
        further["bone_images"] = torch.stack([bone_images(hu, occupancy, scene.grid, one) for one in views]).half()
    return Shot(torch.stack(integrals), torch.stack(matrices), geometry, both.half(), further)


def bone_images(hu: Tensor, occupancy: Tensor, grid: Grid, view: View) -> Tensor:
    """(2, rows, columns) of the vertebrae alone, as ``view`` sees them at a stride of ``2**IMAGE_LEVEL`` pixels: line
    integrals of the target's intensity (of ``BONE_INTEGRAL_UNIT_MM``) and thickness (of ``BONE_THICKNESS_UNIT_MM``).

    Args:
        hu: (z, y, x) HU on ``grid``.
        occupancy: (z, y, x) share of vertebra in each voxel, 0 to 255.
        grid: The grid of both.
        view: The view on the network's detector.
    """
    share = occupancy.float() / 255.0
    intensity = ((hu.float() - BONE_WINDOW.low_hu) / BONE_WINDOW.width_hu).clamp(0, 1) * (share > 0.5)
    scaled = torch.stack([intensity / BONE_INTEGRAL_UNIT_MM, share / BONE_THICKNESS_UNIT_MM])
    return project(scaled, grid, every_nth_pixel(view, 2**IMAGE_LEVEL))


def every_nth_pixel(view: View, stride: int) -> View:
    """The view on a detector of its pixels (0, 0), (0, stride), ... alone: where features of that stride lie."""
    fine = view.detector
    rows, columns = (-(-count // stride) for count in fine.shape)
    spacing_mm = (fine.pixel_spacing_mm[0] * stride, fine.pixel_spacing_mm[1] * stride)
    first_mm, right_mm = fine.down_mm()[0], fine.right_mm()[0]
    offset_mm = (first_mm + spacing_mm[0] * (rows - 1) / 2, right_mm + spacing_mm[1] * (columns - 1) / 2)
    return replace(view, detector=Detector(rows, columns, spacing_mm, offset_mm))


def counted_of_scene(scene: Scene, cube: Grid, mirrored: bool, field_size: int) -> Sample:
    """What tells a scene's vertebrae apart: ``field`` (4, f, f, f) in half precision with ``known`` (1, f, f, f), the
    vertebra field of whole vertebrae on a cube of ``field_size`` voxels an edge and where it holds, and ``gaps`` on
    ``cube`` (1, z, y, x), 1 where two vertebrae are close. All are 0 for a scene without labels."""
    coarse = Grid.cube(cube.center_mm, cube.extent_mm[0], field_size)
    if scene.labels is None:
        empty = torch.zeros(1, *coarse.shape, dtype=torch.uint8)
        gaps = torch.zeros(1, *cube.shape, dtype=torch.uint8)
        return {"field": empty.half().expand(FIELD_CHANNELS, -1, -1, -1).clone(), "known": empty, "gaps": gaps}
    labels = scene.labels.flip(-1) if mirrored else scene.labels
    values, known = field_on_cube(labels.cpu().numpy(), scene.grid, coarse)
    gaps = between_vertebrae(nearest_on_cube(labels, scene.grid, cube), cube.spacing_mm[0])
    return {"field": torch.from_numpy(values).half(), "known": torch.from_numpy(known[None]).byte(), "gaps": gaps[None]}


def _geometry_row(view: View, fov_mm: float) -> tuple[float, float, float, float, float, float]:
    sad_mm = 0.0 if isinstance(view.beam, ParallelBeam) else view.beam.sad_mm
    return (sad_mm, view.gantry_angle_deg, view.tilt_deg, view.roll_deg, fov_mm, float(isinstance(view.beam, SlotScan)))


def sample_of_shot(shot: Shot, rng: np.random.Generator, appearance: AppearanceRanges) -> Sample:
    """A shot with a random appearance of each view."""
    volumes = shot.volumes.float()
    return {
        "radiographs": torch.stack([normalise(random_appearance(image, rng, appearance)) for image in shot.integrals]),
        "cube_to_pixel": shot.matrices,
        "geometry": shot.geometry,
        "target": volumes[:1],
        "occupancy": volumes[1:],
        **{name: value.float() for name, value in shot.further.items()},
    }


def sample_of_scene(
    scene: Scene, rng: np.random.Generator, config: StreamConfig, field_size: int = 0, imaging: bool = False
) -> Sample:
    """One training sample: random isocentre, geometry and appearance, half of the time mirrored."""
    return sample_of_shot(shot_of_scene(scene, rng, config, field_size, imaging), rng, config.appearance)


def random_isocenter(rng: np.random.Generator, ranges: IsocenterRanges) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in rng.normal(0.0, ranges.sd_mm))
    if rng.random() < ranges.anterior_share:
        y -= float(rng.uniform(*ranges.anterior_mm))
    return (x, y, float(np.clip(z, -24.0, 24.0)))
