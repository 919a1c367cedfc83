"""Training samples: radiographs, cube_to_pixel and target speak of one place; flips, axes, half voxels."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from TomoRayLib.geometry.beams import ConeBeam, ParallelBeam, SlotScan
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.presets import orthogonal_pair
from TomoRayLib.geometry.views import Biplanar, View
from TomoRayLib.images.resampling import resample
from TomoRayLib.images.types import Volume
from TomoRayLib.networks.geolift import lift
from TomoRayLib.networks.radiograph_input import NETWORK_PIXEL_MM, NETWORK_PIXELS, cube_to_pixel, mistaken
from TomoRayLib.projector import project
from TomoRayLib.training.data import samples as datasets
from TomoRayLib.training.data.augmentation import (
    AppearanceRanges,
    GeometryRanges,
    random_appearance,
    random_views,
    unknown_scales,
    unknown_shift_px,
)
from TomoRayLib.training.data.cube_sampling import on_cube
from TomoRayLib.training.data.samples import Sample, StreamConfig, random_isocenter, sample_of_scene
from TomoRayLib.training.engine.losses import view_of_row
from TomoRayLib.training.phantoms.scene import Scene, SceneSize

DETECTOR = Detector(NETWORK_PIXELS, NETWORK_PIXELS, (NETWORK_PIXEL_MM, NETWORK_PIXEL_MM))
STRAIGHT = orthogonal_pair(ConeBeam(900.0, 900.0), DETECTOR)
VIEWS = {
    "straight": STRAIGHT,
    "angled": Biplanar(
        dataclasses.replace(STRAIGHT.ap, gantry_angle_deg=6.0, tilt_deg=4.0, roll_deg=-3.0),
        dataclasses.replace(STRAIGHT.lateral, gantry_angle_deg=84.0, tilt_deg=-3.0, roll_deg=5.0),
    ),
    "parallel": orthogonal_pair(ParallelBeam(), DETECTOR),
    "slot": Biplanar(View(SlotScan(570.0, 570.0), DETECTOR), View(SlotScan(918.0, 918.0), DETECTOR, 90.0)),
    "angled parallel": Biplanar(
        View(ParallelBeam(), DETECTOR, -5.0, 3.0, 2.0), View(ParallelBeam(), DETECTOR, 93.0, -4.0, 3.0)
    ),
}
ISOCENTER_MM = (9.0, -31.0, 14.0)
BLOB_MM = (48.0, 22.0, -39.0)  # as far from any symmetry of the scene and of the cube
CONFIG = StreamConfig(
    size=64, fov_mm=256.0, scene=SceneSize(spacing_mm=4.0), geometry=GeometryRanges(told_offset_share=0.0)
)
APART = dataclasses.replace(CONFIG, geometry=GeometryRanges(told_offset_share=1.0))


def a_scene_with_a_blob() -> Scene:
    """Air, and at ``BLOB_MM`` a Gaussian of 2000 HU; its occupancy is the same Gaussian."""
    grid = CONFIG.scene.grid()
    z, y, x = (grid.origin_mm[a] + np.arange(grid.size[a]) * grid.spacing_mm[a] for a in (2, 1, 0))
    away = [(axis - middle) / sigma for axis, middle, sigma in zip((x, y, z), BLOB_MM, (8.0, 7.0, 9.0), strict=True)]
    blob = np.exp(-0.5 * (away[0][None, None] ** 2 + away[1][None, :, None] ** 2 + away[2][:, None, None] ** 2))
    hu = torch.from_numpy(np.round(-1000 + 3000 * blob).astype(np.int16))
    return Scene(hu, torch.from_numpy(np.round(255 * blob).astype(np.uint8)), grid, "blob", "air")


def seed_that_is(mirrored: bool) -> int:
    """A seed whose first draw, the one that decides on mirroring, says so."""
    return next(seed for seed in range(20) if (np.random.default_rng(seed).random() < 0.5) == mirrored)


def a_blob_sample(
    monkeypatch: pytest.MonkeyPatch,
    views: str,
    mirrored: bool,
    shift_px: np.ndarray | None = None,
    plain: bool = True,
    config: StreamConfig = CONFIG,
) -> Sample:
    """The sample of the blob through given views. ``plain`` radiographs are the line integrals themselves."""
    monkeypatch.setattr(datasets, "random_views", lambda rng, ranges: VIEWS[views])
    monkeypatch.setattr(datasets, "random_isocenter", lambda rng, ranges: ISOCENTER_MM)
    monkeypatch.setattr(
        datasets, "unknown_shift_px", lambda rng, ranges: np.zeros((2, 2)) if shift_px is None else shift_px
    )
    monkeypatch.setattr(datasets, "unknown_scales", lambda rng, ranges: np.ones(2))
    if plain:
        monkeypatch.setattr(datasets, "random_appearance", lambda image, rng, ranges: image)
        monkeypatch.setattr(datasets, "normalise", lambda image: torch.stack([image, image]))
    return sample_of_scene(a_scene_with_a_blob(), np.random.default_rng(seed_that_is(mirrored)), config)


def cube_coordinates(volume: torch.Tensor) -> np.ndarray:
    """(4,) centroid of (1, z, y, x) as (x, y, z, 1), -1 and 1 at the cube's outer faces."""
    weight = volume[0].double().numpy()
    axis = (np.arange(weight.shape[0]) + 0.5) * 2 / weight.shape[0] - 1
    place = [(weight.sum(sums) * axis).sum() / weight.sum() for sums in ((0, 1), (0, 2), (1, 2))]
    return np.array([*place, 1.0])


def brightest(image: torch.Tensor) -> np.ndarray:
    """(column, row) centroid of a radiograph."""
    weight = image.double().numpy()
    columns, rows = np.arange(weight.shape[1]), np.arange(weight.shape[0])
    return np.array([(weight.sum(0) * columns).sum(), (weight.sum(1) * rows).sum()]) / weight.sum()


@pytest.mark.parametrize("config", [CONFIG, APART], ids=["one isocentre", "two"])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("views", sorted(VIEWS))
def test_a_blob_is_bright_where_the_matrix_says_its_place_in_the_cube_projects(
    monkeypatch: pytest.MonkeyPatch, views: str, mirrored: bool, config: StreamConfig
) -> None:
    """Half a voxel of the cube is 2 mm and 1.5 pixels; half a voxel of the scene likewise. Tolerance 0.26 pixels, and
    half a pixel if parallel rays lie off the voxels' middles, three to a voxel."""
    sample = a_blob_sample(monkeypatch, views, mirrored, config=config)
    for channel in ("occupancy", "target"):
        place = cube_coordinates(sample[channel])
        for view in range(2):
            column, row, across, along = sample["cube_to_pixel"][view].double().numpy() @ place
            found = brightest(sample["radiographs"][view, 0])
            exact = 0.26 if config is CONFIG else 0.5
            tolerance = exact if channel == "occupancy" else 0.6  # the target is cut at half a voxel of bone
            np.testing.assert_allclose((column / across, row / along), found, atol=tolerance)


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_blob_lies_where_it_was_put_in_the_patient(monkeypatch: pytest.MonkeyPatch, mirrored: bool) -> None:
    """x to the left, y to the back, z up; mirroring exchanges left and right about the spine's course, x = 0."""
    sample = a_blob_sample(monkeypatch, "straight", mirrored)
    expected = np.array(BLOB_MM) * ((-1 if mirrored else 1), 1, 1)
    place_mm = cube_coordinates(sample["occupancy"])[:3] * 128 + ISOCENTER_MM
    np.testing.assert_allclose(place_mm, expected, atol=0.15)
    ap, lateral = (brightest(sample["radiographs"][view, 0]) for view in range(2))
    x, y, z = expected - ISOCENTER_MM
    middle = (NETWORK_PIXELS - 1) / 2
    # by hand: source 900 mm in front of (AP) or left of (lateral) the isocentre, detector through the isocentre
    ap_scale, lateral_scale = 900 / (900 + y) / NETWORK_PIXEL_MM, 900 / (900 - x) / NETWORK_PIXEL_MM
    np.testing.assert_allclose(ap, (middle + x * ap_scale, middle - z * ap_scale), atol=0.2)
    np.testing.assert_allclose(lateral, (middle + y * lateral_scale, middle - z * lateral_scale), atol=0.2)


@pytest.mark.parametrize("views", ["angled", "angled parallel", "slot"])
def test_lifting_the_two_radiographs_as_the_network_does_meets_at_the_bone(
    monkeypatch: pytest.MonkeyPatch, views: str
) -> None:
    sample = a_blob_sample(monkeypatch, views, mirrored=True)
    lifted = [
        lift(sample["radiographs"][None, view, :1], sample["cube_to_pixel"][None, view], CONFIG.size, 1)
        for view in range(2)
    ]
    both = (lifted[0] * lifted[1])[0]
    np.testing.assert_allclose(cube_coordinates(both**2)[:3], cube_coordinates(sample["occupancy"])[:3], atol=0.5 / 64)


@pytest.mark.parametrize("seed", range(3))
def test_a_random_appearance_leaves_the_blob_in_its_place(seed: int) -> None:
    columns, rows = np.meshgrid(np.arange(224), np.arange(224))
    image = torch.from_numpy(np.exp(-0.5 * (((columns - 70) / 9) ** 2 + ((rows - 150) / 9) ** 2))).float()
    ranges = AppearanceRanges(collimated_share=0.0, marker_share=0.0, quantum_share=0.0, noise_sd=(0.0, 0.0))
    looks = random_appearance(image, np.random.default_rng(seed), ranges)
    near = torch.zeros_like(looks)
    near[120:181, 40:101] = looks[120:181, 40:101]
    np.testing.assert_allclose(brightest(near), (70, 150), atol=0.05)
    assert not torch.equal(looks, image)


def test_a_shift_that_the_network_is_not_told_moves_the_matrix_in_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    shift = np.array([[2.0, -3.0], [0.5, 7.0]])  # per view: columns, rows
    plain = a_blob_sample(monkeypatch, "angled", False)
    shifted = a_blob_sample(monkeypatch, "angled", False, shift)
    place = cube_coordinates(plain["occupancy"])
    for view in range(2):
        old, new = (s["cube_to_pixel"][view].double().numpy() @ place for s in (plain, shifted))
        np.testing.assert_allclose(new[:2] / new[2:] - old[:2] / old[2:], shift[view], atol=1e-4)
    assert torch.equal(plain["radiographs"], shifted["radiographs"])


def test_a_cube_is_sampled_as_simpleitk_does_it() -> None:
    grid = Grid((31, 42, 27), (3.0, 2.0, 4.0), (-41.0, 13.0, -70.0))
    values = np.random.default_rng(0).random(grid.shape, dtype=np.float32)
    cube = Grid.cube((4.3, 52.1, -17.7), 60.0, 23)
    sampled = on_cube(torch.from_numpy(values)[None], grid, cube)[0].numpy()
    np.testing.assert_allclose(sampled, resample(Volume(values, grid), cube).voxels, atol=2e-5)


def test_a_cube_beyond_the_scene_is_empty_there() -> None:
    grid = Grid((10, 10, 10), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0))
    cube = Grid.cube((36.0, 18.0, 18.0), 32.0, 16)
    sampled = on_cube(torch.ones(2, 10, 10, 10), grid, cube)
    beyond = cube.origin_mm[0] + np.arange(16) * 2 > 40.0
    assert float(sampled[..., beyond].max()) == 0.0
    assert float(sampled[:, 4:12, 4:12, :8].min()) == 1.0


def test_the_target_is_the_bone_window_inside_the_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = a_scene_with_a_blob()
    scene = dataclasses.replace(
        scene, hu=torch.full_like(scene.hu, 400), occupancy=torch.full_like(scene.occupancy, 255)
    )
    monkeypatch.setattr(datasets, "random_isocenter", lambda rng, ranges: (0.0, 0.0, 0.0))
    sample = sample_of_scene(scene, np.random.default_rng(0), dataclasses.replace(CONFIG, size=16, fov_mm=128.0))
    np.testing.assert_allclose(sample["target"], 0.5)  # 400 HU is the middle of -250..1050
    np.testing.assert_allclose(sample["occupancy"], 1.0)


def test_random_views_share_the_networks_detector_in_the_plane_of_the_isocentre() -> None:
    kinds = set()
    for seed in range(60):
        pair = random_views(np.random.default_rng(seed))
        for view, angle in ((pair.ap, 0.0), (pair.lateral, 90.0)):
            assert view.detector == DETECTOR
            assert view.beam.magnification == 1.0
            assert abs(view.gantry_angle_deg - angle) < 15
            kinds.add((type(view.beam).__name__, view.gantry_angle_deg == angle))
    assert len(kinds) == 4


def test_isocentres_stay_where_the_scene_covers_the_cube() -> None:
    config = StreamConfig()
    drawn = np.array([random_isocenter(np.random.default_rng(seed), config.isocenter) for seed in range(300)])
    assert np.abs(drawn[:, 2]).max() + config.fov_mm / 2 <= config.scene.height_mm / 2
    assert np.abs(drawn[:, 0]).max() + config.fov_mm / 2 <= config.scene.right_left_mm
    assert drawn[:, 1].mean() < -5  # some lie in the middle of the body, in front of the spine


def test_an_unknown_shift_is_drawn_in_its_share_of_the_cases() -> None:
    shifts = [unknown_shift_px(np.random.default_rng(seed)) for seed in range(400)]
    share = np.mean([bool(shift.any()) for shift in shifts])
    assert share == pytest.approx(GeometryRanges().unknown_shift_share, abs=0.07)


def test_an_unknown_scale_moves_places_away_from_the_middle_of_the_detector() -> None:
    """A matrix of an oblique cone: the same place projects 3 % further from the middle, then moved."""
    pair = VIEWS["angled"]
    exact = cube_to_pixel(pair.ap, Grid.cube(ISOCENTER_MM, 256.0, 64))
    wrong = mistaken(exact, np.array([2.0, -3.0]), 1.03)
    place = np.array([0.4, -0.7, 0.55, 1.0])
    old, new = ((matrix @ place)[:2] / (matrix @ place)[2:] for matrix in (exact, wrong))
    middle = (NETWORK_PIXELS - 1) / 2
    np.testing.assert_allclose(new, middle + 1.03 * (old - middle) + (2.0, -3.0), atol=1e-9)
    scales = np.array([unknown_scales(np.random.default_rng(seed)) for seed in range(400)])
    assert np.mean(scales[:, 0] != 1) == pytest.approx(GeometryRanges().unknown_scale_share, abs=0.06)
    assert scales.min() >= GeometryRanges().unknown_scale[0]
    assert scales.max() <= GeometryRanges().unknown_scale[1]
    assert np.any(scales[:, 0] != scales[:, 1])


@pytest.mark.parametrize("views", sorted(VIEWS))
def test_the_geometry_that_losses_read_is_that_of_the_radiographs(monkeypatch: pytest.MonkeyPatch, views: str) -> None:
    """The target, projected by the views that the sample's rows describe, is bright where the radiographs are."""
    sample = a_blob_sample(monkeypatch, views, mirrored=True)
    cube = Grid.cube((0.0, 0.0, 0.0), CONFIG.fov_mm, CONFIG.size)
    for index, row in enumerate(sample["geometry"]):
        image = project(sample["occupancy"][0], cube, view_of_row(row, CONFIG.size))
        scale = NETWORK_PIXELS / image.shape[0]
        found = (brightest(image) + 0.5) * scale - 0.5
        np.testing.assert_allclose(found, brightest(sample["radiographs"][index, 0]), atol=1.0)
