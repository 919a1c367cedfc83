"""Crops, loss and training of the CT segmenter, on small hand-made anatomy."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from support.anatomies import a_body
from support.labelled_cts import a_labelled_ct
from TomoRayLib.anatomy.vertebra_field import LEVEL_MIDDLE, LEVEL_UNIT, OFFSET_UNIT_MM, centroids_of_labels
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.networks.ct_segmenter import CTSegmenter, CTSegmenterConfig, normalised_hu
from TomoRayLib.networks.weight_files import save_weights
from TomoRayLib.training.data.anatomy import Anatomy
from TomoRayLib.training.data.licences import WATCHED, recorded_sources
from TomoRayLib.training.phantoms.scene import Scene, SceneSize
from TomoRayLib.training.phantoms.spines import detailed_spine
from TomoRayLib.training.segmenter.crops import CropConfig, CropStream, crop_of_scene, labelled_scene
from TomoRayLib.training.segmenter.losses import between_vertebrae, segmenter_loss
from TomoRayLib.training.segmenter.trainer import SegmenterTraining, train_segmenter
from TomoRayLib.training.segmenter.validation import score_of, segmenter_case

SMALL = CTSegmenterConfig((4, 4, 8, 8, 8))
GRID = Grid((40, 30, 50), (2.0, 2.0, 2.0), (-39.0, 11.0, -120.0))
PLAIN = CropConfig(
    size=(32, 16, 32),
    noisy_share=0.0,
    blur_z_sd_mm=(0.0, 0.0),
    blur_sd_mm=(0.0, 0.0),
    factor=(1.0, 1.0),
    shift_hu=(0.0, 0.0),
    cut_share=0.0,
    spine_share=1.0,
)


def a_scene(axis: int = 0) -> Scene:
    """Two vertebrae off the middle; the HU of each voxel is ten times its index along ``axis`` (z, y, x)."""
    labels = np.zeros(GRID.shape, np.uint8)
    labels[12:20, 8:15, 22:33] = 21
    labels[24:33, 6:13, 20:30] = 20
    hu = torch.from_numpy((np.indices(GRID.shape)[axis] * 10).astype(np.int16))
    return Scene(
        hu, torch.from_numpy((labels > 0) * 255).to(torch.uint8), GRID, "two", "none", torch.from_numpy(labels)
    )


def crop_of(seed: int, axis: int = 0) -> dict[str, torch.Tensor]:
    scene = labelled_scene(a_scene(axis), real=False)
    assert scene is not None
    return crop_of_scene(scene, np.random.default_rng(seed), PLAIN)


@pytest.mark.parametrize("seed", range(6))
def test_a_crop_points_at_the_centroids_of_the_whole_scene(seed: int) -> None:
    """Also of a vertebra that the crop cuts: each voxel's place in the scene is read off its HU."""
    scene = a_scene()
    assert scene.labels is not None
    centroids = centroids_of_labels(scene.labels.numpy(), GRID)
    crop = crop_of(seed)
    z, y, x = (crop_of(seed, axis)["hu"][0].numpy() * 40.0 for axis in range(3))
    inside = np.argwhere(crop["inside"][0].numpy() > 0)
    assert len(inside)
    for k, j, i in inside[:: max(1, len(inside) // 20)]:
        place = round(z[k, j, i]), round(y[k, j, i]), round(x[k, j, i])
        label = int(scene.labels[place])
        at = np.array(GRID.origin_mm) + 2.0 * np.array(place[::-1])
        offset = crop["field"][:3, k, j, i].numpy() * OFFSET_UNIT_MM
        assert float(crop["field"][3, k, j, i]) * LEVEL_UNIT + LEVEL_MIDDLE == pytest.approx(label + 0.5, abs=1e-4)
        assert at + offset == pytest.approx(centroids[label], abs=1e-3)


def test_beyond_the_labels_of_a_real_ct_nothing_is_taught() -> None:
    scene = labelled_scene(a_scene(), real=True)
    assert scene is not None
    assert np.flatnonzero(scene.known).tolist() == list(range(12, 33))
    crop = crop_of_scene(scene, np.random.default_rng(1), PLAIN)
    hu = crop["hu"][0].numpy() * 40.0
    known = crop["known"][0].numpy() > 0
    rows = np.round(hu[:, 8, 16])
    assert known.any()
    assert (known[:, 8, 16] == ((rows >= 12) & (rows < 33))).all()


def test_where_the_field_of_view_ends_sooner_there_is_air_and_no_vertebra() -> None:
    scene = labelled_scene(a_scene(), real=False)
    assert scene is not None
    cut_vertebrae = 0
    for seed in range(40):
        whole, cut = (
            crop_of_scene(scene, np.random.default_rng(seed), replace(PLAIN, cut_share=share)) for share in (0.0, 1.0)
        )
        is_air = cut["hu"] != whole["hu"]
        assert (cut["hu"][is_air] == -2.5).all()
        for name in ("mask", "inside"):
            assert (cut[name][is_air] == 0).all()
            assert torch.equal(cut[name][~is_air], whole[name][~is_air])
        assert torch.equal(cut["field"], whole["field"] * cut["inside"])
        cut_vertebrae += bool((whole["inside"][is_air] > 0).any())
    assert cut_vertebrae > 2


def test_a_vertebra_that_the_scan_cuts_has_a_mask_and_no_centroid() -> None:
    scene = a_scene()
    assert scene.labels is not None
    scene.labels[12:18] = 0  # two slices are left of the lower one, inside the scene
    labelled = labelled_scene(scene, real=True)
    assert labelled is not None
    assert set(labelled.centroids_mm) == {20}
    assert bool(labelled.mask[18:20].any())


def test_a_scene_without_numbers_gives_no_crop() -> None:
    scene = a_scene()
    assert labelled_scene(Scene(scene.hu, scene.occupancy, GRID, "two", "none"), real=False) is None


def test_crops_go_on_as_a_stopped_run_would_have_seen_them() -> None:
    anatomy, config = small_anatomy(), small_crops()
    whole = iter(CropStream(anatomy, config))
    expected = [next(whole) for _ in range(7)]
    resumed = iter(CropStream(anatomy, config, crops_done=5))
    for crop in expected[5:]:
        again = next(resumed)
        assert all(torch.equal(crop[name], again[name]) for name in crop)


def small_anatomy() -> Anatomy:
    _, labels = a_labelled_ct((19, 20, 21, 22))
    grid = Grid((60, 50, 70), (3.0, 3.0, 3.0), (-50.0, -150.0, 80.0))
    return Anatomy((detailed_spine("column", labels.voxels, grid),), (a_body(8.0),))


def small_crops() -> CropConfig:
    return CropConfig(size=(32, 32, 32), uses=3, kept=2, scene=SceneSize(50.0, 50.0, 50.0, 120.0, 2.0))


def test_the_loss_falls_to_nothing_for_the_truth_and_sees_each_error() -> None:
    crop = {name: value[None] for name, value in crop_of(2).items()}
    truth = torch.cat([(crop["mask"] - 0.5) * 60.0, crop["field"]], dim=1)
    right, _ = segmenter_loss(truth, crop)
    assert float(right) < 1e-3
    for channel in range(5):
        wrong = truth.clone()
        wrong[:, channel] = -wrong[:, channel] if channel == 0 else wrong[:, channel] + 0.5
        assert float(segmenter_loss(wrong, crop)[0]) > 0.05
    unknown = {**crop, "known": torch.zeros_like(crop["known"])}
    wrong = truth.clone()
    wrong[:, 0] = -wrong[:, 0]
    assert segmenter_loss(wrong, unknown)[1]["entropy"] == 0.0


def test_what_lies_between_two_vertebrae_counts_most() -> None:
    """Three voxels lie between them: the middle one is within reach of both, and with one voxel between, that and its
    neighbours are."""
    level = torch.zeros(1, 1, 20, 5, 5)
    level[:, :, 2:8], level[:, :, 11:17] = 1.0, 0.5
    inside = (level > 0).float()
    assert torch.nonzero(between_vertebrae(level, inside)[0, 0, :, 2, 2]).ravel().tolist() == [9]
    level[:, :, 8:10] = 1.0
    near = between_vertebrae(level, (level > 0).float())[0, 0, :, 2, 2]
    assert torch.nonzero(near).ravel().tolist() == [9, 10, 11]
    assert not bool(between_vertebrae(torch.ones(1, 1, 4, 4, 4), torch.ones(1, 1, 4, 4, 4)).any())


def losses_of_a_run(folder: Path) -> list[float]:
    with (folder / "log.csv").open(encoding="utf-8") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def test_a_run_learns(tmp_path: Path) -> None:
    ct, labels = a_labelled_ct()
    cases = [segmenter_case("column", ct, labels)]
    settings = SegmenterTraining(steps=30, workers=0, validate_every_steps=1000, network=SMALL)
    train_segmenter(settings, small_crops(), small_anatomy(), cases, tmp_path / "run", lambda line: None)
    losses = losses_of_a_run(tmp_path / "run")
    assert len(losses) > 2
    assert losses[-1] < 0.9 * losses[0]


SUMS_OF_GRADIENTS = """
import torch
from itertools import islice
from torch.utils.data import default_collate
from test_segmenter_training import SMALL, small_anatomy, small_crops
from TomoRayLib.training.segmenter import trainer
from TomoRayLib.training.segmenter.crops import CropStream
torch.set_num_threads(1)
torch.manual_seed(1)
config = trainer.SegmenterTraining(workers=0, network=SMALL)
run = trainer._Run.setup(config, small_anatomy(), [], trainer.Path("nowhere"))
crop = default_collate(list(islice(CropStream(small_anatomy(), small_crops()), 2)))
print(run.step(crop)["gradient"])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc fills the memory that it gives")
def test_a_gradient_does_not_depend_on_what_memory_held_before() -> None:
    """The coarsest volume of these crops has 2 voxels an edge, for which bfloat16 has no right gradient."""
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    found = [
        subprocess.run(
            [sys.executable, "-c", SUMS_OF_GRADIENTS],
            env={**os.environ, "PYTHONPATH": paths, "MALLOC_PERTURB_": fill},
            capture_output=True,
            encoding="utf-8",
            check=True,
        ).stdout
        for fill in ("0", "128")
    ]
    assert 0 < float(found[0]) < 100
    assert found[1] == found[0]


def test_a_run_whose_gradient_is_never_a_number_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *_: torch.tensor(float("inf")))
    settings = SegmenterTraining(steps=30, workers=0, network=SMALL)
    with pytest.raises(InputError, match=r"not a number in each of the last 20 steps, up to step 20, .* lower peak_lr"):
        train_segmenter(settings, small_crops(), small_anatomy(), [], tmp_path / "run", lambda line: None)


def test_a_run_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    ct, labels = a_labelled_ct()
    cases = [segmenter_case("column", ct, labels)]
    settings = SegmenterTraining(steps=4, workers=0, validate_every_steps=1000, network=SMALL)
    lines: list[str] = []
    checkpoint = train_segmenter(settings, small_crops(), small_anatomy(), cases, tmp_path / "run", lines.append)
    content = torch.load(checkpoint, weights_only=True)
    assert content["progress"]["steps"] == 4
    assert WATCHED in {one.use for one in recorded_sources(checkpoint) if "column" in one.items}
    longer = SegmenterTraining(steps=6, workers=0, validate_every_steps=1000, network=SMALL)
    train_segmenter(longer, small_crops(), small_anatomy(), cases, tmp_path / "run", lines.append)
    assert torch.load(checkpoint, weights_only=True)["progress"]["steps"] == 6
    with pytest.raises(InputError, match=r"(?s)Expected a CT segmenter.s checkpoint .* Choose another folder"):
        train_segmenter(SegmenterTraining(steps=40, workers=0), small_crops(), small_anatomy(), cases, tmp_path / "run")


def test_a_run_starts_from_published_weights_of_its_network_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    state = CTSegmenter(SMALL).state_dict()
    name = tmp_path / "published.safetensors"
    save_weights(state, name, {"network": json.dumps(asdict(SMALL)), "sources": "[]"})
    settings = SegmenterTraining(steps=1, peak_lr=1e-12, workers=0, start_from=str(name), network=SMALL)
    checkpoint = train_segmenter(settings, small_crops(), small_anatomy(), [], tmp_path / "run", lambda line: None)
    after = torch.load(checkpoint, weights_only=True)["ema"]
    for key, value in state.items():
        np.testing.assert_allclose(after[key].numpy(), value.numpy(), atol=0.02 * float(value.abs().max()) + 1e-6)
    other = replace(settings, network=CTSegmenterConfig((8, 8, 8, 8, 8)))
    with pytest.raises(InputError, match="Expected a CT segmenter's checkpoint"):
        train_segmenter(other, small_crops(), small_anatomy(), [], tmp_path / "other", lambda line: None)


def test_a_case_is_scored_by_what_the_network_gives_it() -> None:
    ct, labels = a_labelled_ct()
    case = segmenter_case("column", ct, labels)

    class Truth(torch.nn.Module):
        """Gives a case's own mask and field, moved aside by ``off_mm`` and ``off_levels``."""

        def __init__(self, off_mm: float, off_levels: float) -> None:
            super().__init__()
            self.off = torch.nn.Parameter(torch.tensor([0.0, off_mm / OFFSET_UNIT_MM, 0, 0, off_levels / LEVEL_UNIT]))

        def forward(self, hu: torch.Tensor) -> torch.Tensor:
            both = torch.cat([case.mask * 2.0 - 1.0, case.field], dim=1) + self.off.view(1, 5, 1, 1, 1)
            padding = [edge for a, b in zip(hu.shape[:1:-1], both.shape[:1:-1], strict=True) for edge in (0, a - b)]
            return torch.nn.functional.pad(both, padding)

    assert score_of(Truth(0.0, 0.0), [case])["column"] == pytest.approx({"dice": 1.0, "centroid_mm": 0.0, "level": 0.0})
    moved = score_of(Truth(4.0, 1.0), [case])["column"]
    assert moved == pytest.approx({"dice": 1.0, "centroid_mm": 4.0, "level": 1.0}, abs=1e-4)


def test_the_network_gives_five_channels_for_the_edges_it_can_take() -> None:
    torch.manual_seed(0)
    network = CTSegmenter(SMALL).eval()
    hu = normalised_hu(torch.randn(2, 1, 32, 16, 48) * 300.0)
    with torch.no_grad():
        output = network(hu)
    assert output.shape == (2, 5, 32, 16, 48)
    assert output.dtype == torch.float32
    assert normalised_hu(torch.tensor([-3000.0, 400.0, 9000.0])).tolist() == [-2.5, 1.0, 4.0]
    with pytest.raises(InputError, match="five numbers"):
        CTSegmenterConfig((4, 8))
    with pytest.raises(InputError, match="above 0"):
        SegmenterTraining(steps=0)
    with pytest.raises(InputError, match="multiples of 16"):
        CropConfig(size=(40, 32, 32))
    assert 1.0e6 < sum(value.numel() for value in CTSegmenter().parameters()) < 2.0e6
