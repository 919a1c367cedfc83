"""Real labelled CTs: refused with a reason, and set into scenes as they lie in the patient."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from support.labelled_cts import COLUMN_MM, HEIGHT_MM, a_labelled_ct, written
from support.phantoms import STILL
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.types import Volume
from TomoRayLib.images.writing import write_volume
from TomoRayLib.training.data.anatomy import Anatomy
from TomoRayLib.training.data.samples import StreamConfig
from TomoRayLib.training.data.scenes_of_cts import labelled_ct, load_labelled_ct, scene_of_case
from TomoRayLib.training.data.stream import SampleStream
from TomoRayLib.training.data.training_cases import (
    find_labelled_cts,
    find_training_cases,
)
from TomoRayLib.training.phantoms.scene import Scene, SceneSize

COARSE = SceneSize(right_left_mm=96.0, anterior_mm=96.0, posterior_mm=96.0, height_mm=200.0, spacing_mm=4.0)


def test_a_mask_of_another_ct_is_refused(tmp_path: Path) -> None:
    ct, mask = a_labelled_ct()
    moved = dataclasses.replace(mask.grid, origin_mm=(900.0, 900.0, 900.0))
    write_volume(tmp_path / "x.nii.gz", ct)
    write_volume(tmp_path / "x_seg.nii.gz", Volume(mask.voxels, moved))
    ((case,), _) = find_labelled_cts(tmp_path)
    with pytest.raises(InputError, match="a mask that lies in the CT"):
        load_labelled_ct(case)


def place_of(scene: Scene, marked: np.ndarray) -> np.ndarray:
    """(3,) centroid in scene millimetres of the bone where ``marked`` is true."""
    k, j, i = np.nonzero((scene.occupancy.numpy() > 127) & marked)
    return np.array([i.mean(), j.mean(), k.mean()]) * scene.grid.spacing_mm + scene.grid.origin_mm


@pytest.mark.parametrize("direction_x", [1.0, -1.0])
@pytest.mark.parametrize("seed", range(4))
def test_an_undeformed_case_lies_in_the_scene_as_in_the_patient_or_mirrored(seed: int, direction_x: float) -> None:
    """The knob of L1 lies 30 mm to the patient's left of the column whichever way the file stores its columns."""
    case = labelled_ct("case", *a_labelled_ct(direction_x=direction_x))
    np.testing.assert_allclose(case.spine.curve_mm[60], COLUMN_MM, atol=6.0)  # the knob pulls it to the left
    scene = scene_of_case(case, np.random.default_rng(seed), COARSE, STILL)
    x = scene.grid.origin_mm[0] + np.arange(scene.grid.size[0]) * 4.0
    y = scene.grid.origin_mm[1] + np.arange(scene.grid.size[1]) * 4.0
    everything = np.ones(scene.grid.shape, bool)
    column = place_of(scene, everything)
    aside = np.abs(x - column[0]) > 20
    knob = place_of(scene, everything & aside)
    assert abs(knob[0] - column[0]) == pytest.approx(30.0, abs=6.0)
    assert abs(column[1]) < 4
    assert knob[2] - column[2] == pytest.approx(1.5 * HEIGHT_MM, abs=5.0)  # L1 above the middle of L1 to L4
    bone = scene.hu.numpy()[scene.occupancy.numpy() > 250]
    np.testing.assert_allclose(np.median(bone), 700, atol=1)
    assert int(scene.hu[0, np.abs(y).argmin(), -1]) == -1000  # beyond the scan


def test_both_mirror_images_of_a_case_are_drawn() -> None:
    case = labelled_ct("case", *a_labelled_ct())
    scenes = [scene_of_case(case, np.random.default_rng(seed), COARSE, STILL) for seed in range(8)]
    x = scenes[0].grid.origin_mm[0] + np.arange(scenes[0].grid.size[0]) * 4.0
    sides = {float(np.sign(place_of(scene, np.abs(x)[None, None] > 20)[0])) for scene in scenes}
    assert sides == {-1.0, 1.0}


def test_a_stream_of_real_cts_alone_gives_samples(tmp_path: Path) -> None:
    written(tmp_path / "a.nii.gz", tmp_path / "a_seg.nii.gz")
    cohort, _ = find_training_cases([tmp_path])
    config = StreamConfig(size=16, kept=1, scene=dataclasses.replace(COARSE, spacing_mm=8.0))
    sample = next(iter(SampleStream(Anatomy(cohort=cohort), config)))
    assert sample["target"].shape == (1, 16, 16, 16)
    assert float(sample["occupancy"].max()) > 0.3
    assert bool(torch.isfinite(sample["radiographs"]).all())


@pytest.mark.parametrize("direction_x", [1.0, -1.0])
def test_the_labels_of_a_scene_lie_where_its_vertebrae_do(direction_x: float) -> None:
    ct, mask = a_labelled_ct(direction_x=direction_x)
    case = labelled_ct("case", ct, mask)
    fine = dataclasses.replace(COARSE, spacing_mm=1.5)
    scene = scene_of_case(case, np.random.default_rng(3), fine, STILL)
    assert scene.labels is not None
    labels = scene.labels.numpy()
    assert set(np.unique(labels)) - {0} <= set(np.unique(mask.voxels).tolist())
    assert ((labels > 0) != (scene.occupancy.numpy() > 127)).mean() < 0.08 * (labels > 0).mean()
    heights = [np.nonzero(labels == label)[0].mean() for label in np.unique(labels) if label]
    assert len(heights) > 1
    assert heights == sorted(heights, reverse=True)
