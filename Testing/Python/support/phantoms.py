"""Ranges without any chance, and a spine of blocks, for training phantoms that can be measured."""

from __future__ import annotations

import numpy as np
import torch

from support.anatomies import (
    a_body,
    a_spine,
)
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.training.phantoms.ranges import PhantomRanges
from TomoRayLib.training.phantoms.scene import Scene
from TomoRayLib.training.phantoms.spines import Spine

STILL = PhantomRanges(
    spine_scale=(1.0, 1.0),
    spine_width_scale=(1.0, 1.0),
    rotation_sd_deg=0.0,
    elastic_sd_mm=(0.0, 0.0),
    bend_mm=(0.0, 0.0),
    body_stretch=(1.0, 1.0),
    body_level_error_sd_mm=0.0,
    seated_share=0.0,
    texture_sd_hu=(0.0, 0.0),
    body_bone_contrast=(1.0, 1.0),
    soft_tissue_shift_hu=(0.0, 0.0),
    scoliosis_share=0.0,
    sagittal_share=0.0,
    osteopenic_share=0.0,
    cranial_density_rise=(0.0, 0.0),
    level_density_sd=(0.0, 0.0),
    sclerotic_share=0.0,
    shell_unevenness=(0.0, 0.0),
    shell_inset=(0.0, 0.0),
    endplate_hu=(0.0, 0.0),
    disc_sd_hu=(0.0, 0.0),
    disc_gas_share=0.0,
    disc_calcium_share=0.0,
    vein_share=0.0,
    osteophyte_share=0.0,
    fractured_share=0.0,
    implant_share=0.0,
    cage_share=0.0,
    cement_share=0.0,
    contrast_share=0.0,
    gas_share=0.0,
    arms_share=0.0,
    cut_at_body_end=0.0,
    table_share=0.0,
    narrow_share=0.0,
)


SPINE, BODY = a_spine(), a_body()


def axes_mm(scene: Scene) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y, z in mm of the scene's voxels, each for broadcasting over (z, y, x)."""
    x, y, z = (scene.grid.origin_mm[a] + np.arange(scene.grid.size[a]) * scene.grid.spacing_mm[a] for a in range(3))
    return x[None, None, :], y[None, :, None], z[:, None, None]


def a_spine_of_blocks() -> Spine:
    """T12 to L4 as blocks 22 mm high, 8 mm apart, on a straight course: heights can be read off."""
    grid = Grid((60, 60, 95), (2.0, 2.0, 2.0), (-59.0, -59.0, 0.0))
    z = np.arange(95) * 2.0
    occupancy = np.zeros(grid.shape, np.uint8)
    middles = [20.0 + 30.0 * number for number in range(5, -1, -1)]
    for middle in middles:
        occupancy[np.abs(z - middle) <= 11, 8:50, 15:45] = 255
    levels = np.array([[19.5 + number, middle] for number, middle in enumerate(middles)])
    return Spine("blocks", torch.from_numpy(occupancy), grid, np.zeros((95, 2)), levels)
