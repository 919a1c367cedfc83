"""Bone of phantoms: bodies, endplates, discs and canal of a label map; spurs, cages and cement where they belong."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from support.anatomies import a_spine
from support.phantoms import BODY, STILL
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.training.phantoms.bodies import Body, load_body
from TomoRayLib.training.phantoms.bone import painted_bone, with_osteophytes, with_soft_column
from TomoRayLib.training.phantoms.implants import METAL_HU, PEEK_HU, cage, cement, random_implants, with_implants
from TomoRayLib.training.phantoms.ranges import PhantomRanges
from TomoRayLib.training.phantoms.scene import SceneSize, compose_scene
from TomoRayLib.training.phantoms.spines import Spine, load_spine, spine_from_labels
from TomoRayLib.training.phantoms.vertebral_bodies import ARCH, CANAL, DISC, Details, details_of_labels

ORIGIN_MM = (-31.0, 47.0, -512.0)
FIRST, LAST = 19, 23  # T12 to L4
HALF_WIDTH, HALF_DEPTH, HEIGHT, STEP = 20, 15, 22, 30  # of a body, and from one to the next, mm
LEAN = 0.2  # mm to the left per mm upwards


def middle_of(label: int) -> tuple[float, float, float]:
    """(x, y, z) mm of a body's middle in the labels' own frame, from the grid's origin."""
    z = 20.0 + STEP * (LAST - label)
    return 45.0 + LEAN * (z - 80.0), 35.0, z


def labels_with_arches() -> tuple[np.ndarray, Grid]:
    """Labels (z, y, x) of T12 to L4: elliptic bodies, a ring about the canal behind each and a spinous process."""
    grid = Grid((100, 100, 165), (1.0, 1.0, 1.0), ORIGIN_MM)
    z, y, x = (np.arange(n).reshape(shape) for n, shape in ((165, (-1, 1, 1)), (100, (1, -1, 1)), (100, (1, 1, -1))))
    labels = np.zeros(grid.shape, np.int16)
    for label in range(FIRST, LAST + 1):
        mx, my, mz = middle_of(label)
        body = ((x - mx) / HALF_WIDTH) ** 2 + ((y - my) / HALF_DEPTH) ** 2 < 1
        canal = np.hypot(x - mx, y - (my + 23))
        arch = (canal > 8.5) & (canal < 13) & (np.abs(z - mz) < 8)
        spinous = (np.abs(x - mx) < 3) & (y > my + 33) & (y < my + 52) & (np.abs(z - mz + 4) < 7)
        labels[(body & (np.abs(z - mz) < HEIGHT / 2)) | arch | spinous] = label
    return labels, grid


LABELS, GRID = labels_with_arches()
DETAILS: Details = details_of_labels(LABELS, GRID)


def a_detailed_spine() -> Spine:
    spine = spine_from_labels("arches", LABELS, GRID)
    return dataclasses.replace(spine, bodies=DETAILS.bodies, detail=torch.from_numpy(DETAILS.detail))


SPINE = a_detailed_spine()


def test_bodies_are_found_with_their_size_and_lean_from_cranial_to_caudal() -> None:
    assert [body.level for body in DETAILS.bodies] == [label + 0.5 for label in range(FIRST, LAST + 1)]
    for body, label in zip(DETAILS.bodies, range(FIRST, LAST + 1), strict=True):
        np.testing.assert_allclose(body.center_mm, np.array(middle_of(label)) + ORIGIN_MM, atol=1.6)
        assert body.half_width_mm == pytest.approx(HALF_WIDTH, rel=0.2)
        assert body.half_depth_mm == pytest.approx(HALF_DEPTH, rel=0.2)
        assert body.half_height_mm == pytest.approx(HEIGHT / 2, abs=1.2)
        np.testing.assert_allclose(np.array(body.axis) / body.axis[2], (LEAN, 0, 1), atol=0.05)
        assert body.endplate_mm(True)[2] > body.center_mm[2] > body.endplate_mm(False)[2]


def test_endplates_are_the_top_and_bottom_of_bodies_discs_lie_between_and_the_canal_behind() -> None:
    mx, my, mz = (round(value) for value in middle_of(21))
    column = DETAILS.detail[:, my, mx]
    half = HEIGHT // 2
    assert column[mz + half - 1] == column[mz - half + 1] == 255
    assert column[mz + half - 3] == pytest.approx(128, abs=1)  # 2 of 4 mm below the face
    assert not column[mz - half + 6 : mz + half - 5].any()
    disc = round(middle_of(21)[2] - STEP / 2)
    assert DETAILS.detail[disc, my, round(mx - LEAN * STEP / 2)] == DISC
    assert DETAILS.detail[mz, my + 23, mx] == CANAL
    assert DETAILS.detail[mz - 4, my + 44, mx] == ARCH
    assert not DETAILS.detail[:, my - 25].any()


def test_labels_that_hold_no_vertebra_have_no_details() -> None:
    empty = details_of_labels(np.where(LABELS == 20, 26, 0), GRID)
    assert empty.bodies == ()
    assert not empty.detail.any()


def test_endplates_are_denser_than_trabecular_bone_and_discs_softer() -> None:
    ranges = dataclasses.replace(
        STILL,
        endplate_hu=(300.0, 300.0),
        cortical_hu=(200.0, 200.0),
    )
    occupancy, detail = torch.from_numpy(LABELS > 0).float(), torch.from_numpy(DETAILS.detail) / 255.0
    trabecular, disc = torch.full_like(occupancy, 100.0), torch.full_like(occupancy, 90.0)
    bone = painted_bone(occupancy, detail, trabecular, 1.0, np.random.default_rng(0), ranges)
    whole = with_soft_column(torch.full_like(bone, -800.0), occupancy, detail, disc)
    hu = torch.lerp(whole, bone, occupancy).numpy()
    mx, my, mz = (round(value) for value in middle_of(22))
    half = HEIGHT // 2
    assert hu[mz, my, mx] == pytest.approx(100, abs=1)
    assert hu[mz + half - 1, my, mx] == pytest.approx(400, abs=1)
    assert hu[mz - half - 4, my, round(mx - LEAN * 15)] == pytest.approx(90, abs=1)
    assert 0 < hu[mz, my + 23, mx] < 60  # the canal, whatever the host had there
    assert hu[mz, 2, 2] == -800


def test_texture_has_the_standard_deviation_asked_for() -> None:
    ranges = dataclasses.replace(STILL, texture_sd_hu=(40.0, 40.0), cortical_hu=(0.0, 0.0))
    for spacing_mm in (1.0, 2.5):
        whole = torch.ones(50, 60, 70)
        bone = painted_bone(whole, None, 90.0 * whole, spacing_mm, np.random.default_rng(1), ranges)
        inner = bone[8:-8, 8:-8, 8:-8]
        assert float(inner.std()) == pytest.approx(40.0, rel=0.3)
        assert float(inner.mean()) == pytest.approx(90.0, abs=25.0)


def test_spurs_grow_at_the_rims_of_endplates_in_front_and_at_the_sides() -> None:
    ranges = dataclasses.replace(STILL, osteophytes=(9, 9), osteophyte_mm=(8.0, 8.0))
    before = SPINE.occupancy.numpy().astype(int)
    for seed in range(4):
        after = with_osteophytes(SPINE, np.random.default_rng(seed), ranges).numpy().astype(int)
        grown = (after > 127) & (before < 60)
        assert (after >= before).all()
        assert 150 < grown.sum() < 6000
        z, y, x = np.nonzero(grown)
        heights = np.array([middle_of(label)[2] for label in range(FIRST, LAST + 1)])
        from_body = np.abs(z[:, None] - heights).min(axis=1)
        assert np.median(np.abs(from_body - HEIGHT / 2)) < 4  # at the rims, not at the waists
        middle_x = 45.0 + LEAN * (z - 80.0)
        radius = np.hypot((x - middle_x) / HALF_WIDTH, (y - 35.0) / HALF_DEPTH)
        assert radius.max() * HALF_WIDTH < HALF_WIDTH + 16
        assert (y < 35 + 8).mean() > 0.9
    assert torch.equal(SPINE.occupancy, a_detailed_spine().occupancy)  # the spine itself stays


def test_a_spine_of_unknown_bodies_grows_no_spurs_and_takes_no_implants() -> None:
    spine, rng = a_spine(4.0), np.random.default_rng(0)
    assert torch.equal(with_osteophytes(spine, rng, PhantomRanges()), spine.occupancy)
    ranges = PhantomRanges(cage_share=1.0, cement_share=1.0)
    assert random_implants(spine, 200.0, rng, ranges) == []


def places_of(grid: Grid) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    axes = [
        torch.arange(n, dtype=torch.float32) * step + start
        for n, step, start in zip(grid.size, grid.spacing_mm, grid.origin_mm, strict=True)
    ]
    z, y, x = torch.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
    return x, y, z


@pytest.mark.parametrize("titanium", [True, False])
def test_a_cage_is_a_hollow_frame_in_the_disc_space(titanium: bool) -> None:
    upper, lower = DETAILS.bodies[1], DETAILS.bodies[2]
    laid = cage(upper, lower, titanium, np.random.default_rng(4))
    hu = with_implants(torch.zeros(GRID.shape), [laid], *places_of(GRID)).numpy()
    z, y, x = np.nonzero(hu > 50)
    disc_z = (middle_of(20)[2] + middle_of(21)[2]) / 2
    assert abs(z.mean() - disc_z) < 1.5
    assert abs(x.mean() - (45 + LEAN * (disc_z - 80))) < 1.5
    assert abs(y.mean() - 35) < 1.5
    assert 0.45 * 2 * HALF_WIDTH < np.ptp(x) < 0.95 * 2 * HALF_WIDTH
    assert 8 <= np.ptp(z) < 20  # as high as the disc and a little into both endplates, leaning as they do
    middle = hu[round(disc_z), 35, round(45 + LEAN * (disc_z - 80))]
    assert 140 < middle < 510  # graft
    metal = (hu > 0.8 * METAL_HU).sum()
    assert (metal > 1000) if titanium else (0 < metal < 150)  # markers alone
    if not titanium:
        assert (np.abs(hu - np.mean(PEEK_HU)) < 62).sum() > 500


def test_cement_is_dense_and_stays_within_the_bone_of_its_vertebra() -> None:
    for seed in range(3):
        laid = cement(SPINE, DETAILS.bodies[3], 1800.0, np.random.default_rng(seed))
        hu = with_implants(torch.zeros(GRID.shape), [laid], *places_of(GRID)).numpy()
        dense = hu > 900
        assert 300 < dense.sum() < 15000
        assert (LABELS[dense] == 22).mean() > 0.97
        assert 1500 < np.median(hu[hu > 1400]) < 2100


def test_a_phantom_with_implants_and_spurs_has_them_where_its_spine_is_and_keeps_its_target() -> None:
    size = SceneSize(right_left_mm=60.0, anterior_mm=60.0, posterior_mm=70.0, height_mm=200.0, spacing_mm=2.0)
    shares = {"cage_share": 1.0, "titanium_share": 1.0, "cement_share": 1.0, "cement_hu": (2000.0, 2000.0)}
    for seed in (1, 2):
        bare, treated = (
            compose_scene(SPINE, BODY, np.random.default_rng(seed), size, dataclasses.replace(STILL, **changes))  # type: ignore[arg-type]
            for changes in ({}, shares)
        )
        assert torch.equal(bare.occupancy, treated.occupancy)
        changed = (treated.hu.float() - bare.hu.float()).abs() > 800
        assert int(changed.sum()) > 100
        near = torch.nn.functional.max_pool3d(bare.occupancy[None, None].float(), 7, stride=1, padding=3)[0, 0] > 127
        assert float((changed & near).sum() / changed.sum()) > 0.9
    spurred = compose_scene(
        SPINE,
        BODY,
        np.random.default_rng(1),
        size,
        dataclasses.replace(STILL, osteophyte_share=1.0, osteophytes=(9, 9)),
    )
    plain = compose_scene(SPINE, BODY, np.random.default_rng(1), size, STILL)
    assert int((spurred.occupancy > 127).sum()) > int((plain.occupancy > 127).sum())


def real_anatomy() -> tuple[Spine, Body]:
    """A lumbar label map and a chest of the shared data; skips if they are not at hand."""
    places = [parent / "shared" / "data" for parent in Path(__file__).resolve().parents]
    data = next((place for place in places if (place / "bodies").is_dir()), None)
    if data is None:
        pytest.skip("no shared/data next to the checkout")
    return load_spine(data / "labelmaps" / "verse757_seg.nii.gz"), load_body(data / "bodies" / "ricord_1a_chest.nii.gz")


def test_of_a_real_chest_no_spine_is_left_and_its_ribs_are_and_a_real_spines_bodies_are_of_human_size() -> None:
    spine, body = real_anatomy()
    hu = body.hu.numpy()
    x, y = (body.grid.origin_mm[a] + np.arange(body.grid.size[a]) * body.grid.spacing_mm[a] for a in range(2))
    off_x = np.abs(x[None, :] - body.curve_mm[:, :1])[:, None, :]
    off_y = (y[None, :] - body.curve_mm[:, 1:])[:, :, None]
    bone_cm3 = (hu > 140) * 0.008
    assert (bone_cm3 * ((off_x < 22) & (off_y > -40) & (off_y < 85))).sum() < 0.5
    assert (bone_cm3 * ((off_x > 34) & (off_x < 80) & (off_y > -30) & (off_y < 85))).sum() > 130

    assert len(spine.bodies) == len(spine.level_z_mm)
    for vertebra in spine.bodies:
        assert 8 < vertebra.half_width_mm < 32
        assert 6 < vertebra.half_depth_mm < 24
        assert 4 < vertebra.half_height_mm < 19
        assert vertebra.axis[2] > 0.7
    assert spine.detail is not None
    bone = spine.occupancy > 127
    assert 0.05 < float((spine.detail[bone] > 200).float().mean()) < 0.5  # endplates: some, not most of the bone
    scene = compose_scene(spine, body, np.random.default_rng(0), SceneSize(spacing_mm=4.0))
    assert int((scene.occupancy > 127).sum()) > 500


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_phantom_with_everything_is_the_same_on_a_gpu() -> None:
    """All but texture, whose noise each device draws for itself."""
    shares = {name: 1.0 for name in vars(PhantomRanges()) if name.endswith("_share")}
    ranges = dataclasses.replace(PhantomRanges(), texture_sd_hu=(0.0, 0.0), **shares)  # type: ignore[arg-type]
    size = SceneSize(spacing_mm=4.0)
    here, there = (
        compose_scene(SPINE, BODY, np.random.default_rng(3), size, ranges, device) for device in ("cpu", "cuda")
    )
    assert there.hu.is_cuda
    off = (here.hu.float() - there.hu.cpu().float()).abs()
    assert float((off > 5).float().mean()) < 1e-3
    assert float((here.occupancy.float() - there.occupancy.cpu().float()).abs().mean()) < 0.1


def test_a_phantom_with_everything_at_once_is_whole_and_repeatable() -> None:
    shares = {name: 1.0 for name in vars(PhantomRanges()) if name.endswith("_share") and name != "narrow_share"}
    ranges = dataclasses.replace(PhantomRanges(), **shares)  # type: ignore[arg-type]
    size = SceneSize(spacing_mm=4.0)
    first, again = (compose_scene(SPINE, BODY, np.random.default_rng(3), size, ranges) for _ in range(2))
    assert torch.equal(first.hu, again.hu)
    assert torch.equal(first.occupancy, again.occupancy)
    assert int((first.occupancy > 127).sum()) > 500
    assert int(first.hu.max()) == 3000  # metal
