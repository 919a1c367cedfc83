"""Analytical bodies: anatomy in its place, any spine fits, reachable from a configuration."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from support.anatomies import a_spine, labels_of_a_column
from TomoRayLib.images.types import Volume
from TomoRayLib.images.writing import write_volume
from TomoRayLib.training.config_file import DataConfig
from TomoRayLib.training.data.anatomy import Anatomy, load_anatomy, with_procedural_bodies
from TomoRayLib.training.phantoms.bodies import Body
from TomoRayLib.training.phantoms.procedural import procedural_body
from TomoRayLib.training.phantoms.ranges import PhantomRanges
from TomoRayLib.training.phantoms.scene import SceneSize, body_fits, compose_scene


@lru_cache
def the_body(seed: int = 3) -> Body:
    return procedural_body(np.random.default_rng(seed))


def axes_of(body: Body) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x and y off the course, and the slice of each level, of a body; (z, y, x) to broadcast."""
    x, y = (body.grid.origin_mm[a] + np.arange(body.grid.size[a]) * body.grid.spacing_mm[a] for a in range(2))
    off_x = (x[None, :] - body.curve_mm[:, :1])[:, None, :]
    off_y = (y[None, :] - body.curve_mm[:, 1:])[:, :, None]
    z = body.grid.origin_mm[2] + np.arange(body.grid.size[2]) * body.grid.spacing_mm[2]
    levels = np.linspace(1, 26, 500)
    return off_x, off_y, np.interp(z, body.z_of_level(levels)[::-1], levels[::-1])[:, None, None]


def test_lungs_ribs_liver_and_pelvis_are_where_they_belong() -> None:
    body = the_body()
    hu = body.hu.numpy()
    x, y, level = axes_of(body)
    lungs = (hu < -780) & (hu > -920)
    assert 1500 < lungs.sum() * 0.008 < 6500  # cm3
    assert (lungs & (x > 0)).sum() == pytest.approx((lungs & (x < 0)).sum(), rel=0.35)
    heights = (level + 0 * hu)[lungs]
    top, bottom = np.percentile(heights, (0.5, 99.5))  # noise turns a little of other gas into lung
    assert 8.3 < top < 10.5
    assert 17 < bottom < 22
    bone = hu > 450
    ribs = bone & (level > 9) & (level < 18)
    assert (np.abs(x + 0 * hu)[ribs] > 29).all()  # none where the spine goes
    mid = ribs[:, np.abs(body.grid.origin_mm[1] + np.arange(hu.shape[1]) * 2 + 60).argmin()]
    _, separate = ndimage.label(mid[:, : hu.shape[2] // 2])
    assert 5 <= separate <= 12  # cuts through the ribs of one side
    pelvis = bone & (level > 25.5)
    assert pelvis.sum() * 0.008 > 40
    column = (np.abs(x) < 14) & (y > -38) & (y < 14) & (level > 9) & (level < 24)
    assert hu[column].max() < 200
    assert hu[column].min() > -300


def test_the_same_draw_gives_the_same_body_and_another_another() -> None:
    again, other = procedural_body(np.random.default_rng(3)), the_body(4)
    assert torch.equal(the_body().hu, again.hu)
    assert the_body().hu.shape != other.hu.shape or not torch.equal(the_body().hu, other.hu)


def test_every_spine_fits() -> None:
    spine = a_spine(4.0)
    for first in (1, 6, 14):
        levels = np.stack([np.arange(first, first + 9) + 0.5, np.arange(9) * -30.0], axis=1)
        assert body_fits(dataclasses.replace(spine, level_z_mm=levels), the_body())


def test_a_phantom_in_it_has_its_spine_between_the_lungs() -> None:
    still = PhantomRanges(body_level_error_sd_mm=0.0, narrow_share=0.0, scoliosis_share=0.0)
    size = SceneSize(right_left_mm=160.0, anterior_mm=200.0, posterior_mm=100.0, height_mm=240.0, spacing_mm=4.0)
    scene = compose_scene(a_spine(4.0), the_body(), np.random.default_rng(0), size, still)
    bone = scene.occupancy > 127
    assert int(bone.sum()) > 500
    assert float((scene.hu[bone] < -300).float().mean()) == 0.0


def test_procedural_bodies_join_real_ones_or_take_their_place() -> None:
    real = the_body(4)
    anatomy = Anatomy((a_spine(4.0),), (real,))
    joined, alone = with_procedural_bodies(anatomy, 1, seed=2), with_procedural_bodies(anatomy, 1, only=True, seed=2)
    assert [body.name for body in joined.bodies] == [real.name, "procedural_0"]
    assert [body.name for body in alone.bodies] == ["procedural_0"]
    assert torch.equal(joined.bodies[1].hu, alone.bodies[0].hu)
    assert joined.spines == anatomy.spines
    assert with_procedural_bodies(anatomy, 0).bodies == (real,)
    with pytest.raises(ValueError, match="at least 1 procedural bodies, got 0"):
        with_procedural_bodies(anatomy, 0, only=True)
    with pytest.raises(ValueError, match="got -1"):
        with_procedural_bodies(anatomy, -1)


def test_without_real_bodies_those_asked_for_are_all(tmp_path: Path) -> None:
    labels, grid = labels_of_a_column()
    (tmp_path / "labelmaps").mkdir()
    write_volume(tmp_path / "labelmaps" / "a_seg.nii.gz", Volume(labels, grid))
    with pytest.raises(ValueError, match="procedural_bodies"):
        load_anatomy(tmp_path)
    anatomy = load_anatomy(tmp_path, procedural_count=1)
    assert [body.name for body in anatomy.bodies] == ["procedural_0"]
    assert [spine.name for spine in anatomy.spines] == ["a"]


def test_a_negative_count_in_a_configuration_is_refused() -> None:
    assert DataConfig(phantoms=".", procedural_bodies=3).procedural_bodies == 3
    with pytest.raises(ValueError, match=r"procedural_bodies must be 0 or more; got -1"):
        DataConfig(phantoms=".", procedural_bodies=-1)
