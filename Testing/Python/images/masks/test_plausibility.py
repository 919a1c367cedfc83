"""Masks that cannot be right for their CT are refused; what may be odd is said; real oddities pass.

The vertebrae have a body in front and a spinous process behind, on an anisotropic grid that lies off-centre.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.masks.plausibility import check_mask_in_ct
from TomoRayLib.images.types import Volume

GRID = Grid((70, 60, 80), (2.0, 2.5, 3.0), (-50.0, -110.0, 300.0))
LEVELS = (20, 21, 22, 23, 24)
TOP_MM, STEP_MM = 500.0, 34.0


def a_case(levels: tuple[int, ...] = LEVELS, bone_hu: int = 230) -> tuple[Volume, Volume]:
    """(CT, mask): soft tissue of 20 HU with vertebrae, the first label uppermost."""
    k, j, i = np.indices(GRID.shape)
    x, y, z = (k * 0 + o + n * s for o, n, s in zip(GRID.origin_mm, (i, j, k), GRID.spacing_mm, strict=True))
    hu = np.where(np.hypot(x - 20, y + 30) < 68, 20, -1000).astype(np.int16)
    labels = np.zeros(GRID.shape, np.int16)
    for number, label in enumerate(levels):
        middle = TOP_MM - STEP_MM * number
        body = (((x - 20) / 22) ** 2 + ((y + 40) / 16) ** 2 < 1) & (np.abs(z - middle) < 13)
        process = (np.abs(x - 20) < 5) & (y > -24) & (y < -2) & (np.abs(z - middle + 6) < 8)
        labels[body | process] = label
    return Volume(np.where(labels > 0, bone_hu, hu).astype(np.int16), GRID), Volume(labels, GRID)


def test_a_right_mask_passes_without_a_word() -> None:
    ct, mask = a_case()
    assert check_mask_in_ct(mask, ct, "mask") == ()


@pytest.mark.parametrize("bone_hu", [90, 3000])
def test_osteoporosis_and_metal_pass(bone_hu: int) -> None:
    ct, mask = a_case(bone_hu=bone_hu)
    assert check_mask_in_ct(mask, ct, "mask") == ()


def test_a_fractured_and_a_cemented_vertebra_pass() -> None:
    ct, mask = a_case()
    ct.voxels[mask.voxels == 22] = 1800
    crushed = (mask.voxels == 21) & (np.arange(GRID.shape[0])[:, None, None] % 5 > 1)
    voxels = np.where(crushed, 0, mask.voxels)
    assert check_mask_in_ct(replace(mask, voxels=voxels), ct, "mask") == ()


def test_a_mask_in_air_or_beside_the_bone_is_refused() -> None:
    ct, mask = a_case()
    for axis, steps in ((2, 24), (1, -14)):
        moved = replace(mask, voxels=np.roll(mask.voxels, steps, axis=axis))
        with pytest.raises(InputError, match="at least 40 HU denser than their surroundings, got"):
            check_mask_in_ct(moved, ct, "mask")


@pytest.mark.parametrize(
    ("axis", "steps", "where"),
    [(2, 5, "right"), (2, -4, "left"), (1, 3, "front"), (1, -3, "back"), (0, 3, "feet"), (0, -3, "head")],
)
def test_a_mask_a_little_aside_is_told_where_the_bone_is(axis: int, steps: int, where: str) -> None:
    """Moved by 8 to 12 mm towards the opposite side."""
    ct, mask = a_case()
    (told,) = check_mask_in_ct(replace(mask, voxels=np.roll(mask.voxels, steps, axis=axis)), ct, "mask")
    assert re.search(rf"mask: fits the CT better if moved (8|9|10|12|13) mm towards the patient's {where}", told)


def test_the_whole_spine_is_checked_for_density_too() -> None:
    ct, mask = a_case()
    spine = replace(mask, voxels=np.where(mask.voxels > 0, 255, 0).astype(np.uint8))
    assert check_mask_in_ct(spine, ct, "mask") == ()
    with pytest.raises(InputError, match="40 HU denser"):
        check_mask_in_ct(replace(spine, voxels=np.roll(spine.voxels, 24, axis=2)), ct, "mask")


def test_vertebrae_upside_down_in_the_ct_are_refused() -> None:
    ct, mask = a_case(levels=LEVELS[::-1])
    with pytest.raises(InputError, match="expected its vertebrae from head to feet, but L2 lies above L1") as caught:
        check_mask_in_ct(mask, ct, "mask")
    assert caught.value.field == "labels"


def test_arches_in_front_of_the_bodies_are_refused() -> None:
    """CT and mask turned together: the header's directions are wrong, and density alone would not tell."""
    ct, mask = a_case()
    turned = [replace(volume, voxels=volume.voxels[:, ::-1]) for volume in (ct, mask)]
    with pytest.raises(InputError, match="mirrored front to back"):
        check_mask_in_ct(turned[1], turned[0], "mask")


def test_a_vertebra_of_the_size_of_an_organ_is_refused() -> None:
    ct, mask = a_case()
    voxels = np.where(mask.voxels > 0, 22, 0)
    ct.voxels[20:, 20:45, 10:60] = 230
    voxels[20:, 20:45, 10:60] = 22
    with pytest.raises(InputError, match=r"expected L3 to have about 64 cm3, got \d{3,4}"):
        check_mask_in_ct(replace(mask, voxels=voxels), ct, "mask")


def test_one_label_for_two_vertebrae_far_apart_is_refused() -> None:
    ct, mask = a_case(levels=(20, 21, 22, 23, 20))
    voxels = np.where(np.isin(mask.voxels, (21, 22, 23)), 0, mask.voxels)
    with pytest.raises(InputError, match=r"L1 in two pieces 13[5-7] mm apart"):
        check_mask_in_ct(replace(mask, voxels=voxels), ct, "mask")


def test_what_may_be_odd_is_said() -> None:
    ct, mask = a_case(levels=(20, 21, 23, 24, 25))
    ct.voxels[mask.voxels == 24] = 20
    voxels = np.where(mask.voxels == 25, 0, mask.voxels)
    voxels[14:16, 30, 35] = 25
    ct.voxels[voxels == 25] = 230
    warnings = check_mask_in_ct(replace(mask, voxels=voxels), ct, "mask")
    assert len(warnings) == 3
    assert "not denser than their surroundings in the CT: L5" in warnings[0]
    assert "L3 missing between its vertebrae" in warnings[1]
    assert "only specks, no whole vertebrae: L6 (30 mm3)" in warnings[2]


def test_a_spine_without_t12_is_whole() -> None:
    ct, mask = a_case(levels=(16, 17, 18, 20, 21))
    assert check_mask_in_ct(mask, ct, "mask") == ()
