"""What is loaded beside the reading, and what is kept between the stages."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import numpy as np
import pytest

from support.labelled_cts import a_labelled_ct
from TomoRayLib.anatomy.grey_levels import LookupTable
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.presets import c_arm
from TomoRayLib.images.types import Volume
from TomoRayLib.jobs.case import tries_arrangements
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.jobs.preloading import load_projector, preload
from TomoRayLib.metrics.row import prepare_truth
from TomoRayLib.synthesis.inputs import Inputs, SourceCT
from TomoRayLib.synthesis.rendering import render
from TomoRayLib.synthesis.true_case import NO_SEGMENTATION, NOT_IN_VIEW, true_case
from TomoRayLib.weights import find_model, kept_network

pytestmark = pytest.mark.usefixtures("small_network")


def test_a_network_is_loaded_once_and_again_if_its_file_has_changed(tiny_models: Path, tmp_path: Path) -> None:
    entry = find_model()
    assert kept_network(entry) is kept_network(entry)
    copy = tmp_path / entry.file
    copy.write_bytes(entry.path.read_bytes())
    moved = dataclasses.replace(entry, folder=tmp_path)
    network = kept_network(moved)
    copy.write_bytes(copy.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match="SHA-256"):
        kept_network(moved)
    assert kept_network(entry) is not network


def test_what_cannot_be_loaded_is_told_by_who_needs_it(tiny_models: Path, tmp_path: Path) -> None:
    job = SynthesisJob(out=str(tmp_path / "out"), ap="ap.nrrd", lateral="lateral.nrrd")
    broken = dataclasses.replace(find_model(), folder=tmp_path)
    preload(job, broken)
    for thread in threading.enumerate():
        if thread.name == "loading beside":
            thread.join()
    with pytest.raises(InputError, match="weights"):
        kept_network(broken)


def test_the_projector_can_be_loaded_ahead() -> None:
    load_projector()


@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_a_ct_may_be_overwritten_and_is_not_unless_asked(kind: type) -> None:
    ct, _ = a_labelled_ct()
    views = c_arm(ct.grid.center_mm)
    hu = ct.voxels.astype(kind)
    cameras = {"ap": views.ap, "lat": views.lateral}
    kept = render(Volume(hu, ct.grid), cameras)
    np.testing.assert_array_equal(hu, ct.voxels.astype(kind))
    lost = render(Volume(hu.copy(), ct.grid), cameras, overwrite=True)
    for name, image in kept.items():
        np.testing.assert_array_equal(lost[name], image)


def test_the_true_case_is_the_truth_of_the_ct_that_may_then_go() -> None:
    ct, labels = a_labelled_ct()
    grid = Grid((50, 61, 70), (2.1, 1.7, 2.6), (-20.0, -110.0, 80.0))
    true = true_case(ct, labels, grid, LookupTable.linear())
    assert true.vertebrae is not None
    truth = true.vertebrae.truth
    reference = prepare_truth(truth.grey, truth.vertebrae().voxels, grid.spacing_mm)
    np.testing.assert_array_equal(true.vertebrae.reference.dilated_mask, reference.dilated_mask)
    np.testing.assert_array_equal(true.hu.voxels, truth.hu().voxels)
    assert true_case(ct, None, grid, LookupTable.linear()).remark == NO_SEGMENTATION
    far = Grid.cube((9000.0, 0.0, 0.0), 100.0, 16)
    assert true_case(ct, labels, far, LookupTable.linear()).remark == NOT_IN_VIEW
    empty = SourceCT(ct, labels).without_voxels()
    assert empty.labels is not None
    assert (empty.ct.grid, empty.labels.grid) == (ct.grid, labels.grid)
    assert empty.ct.voxels.shape == ct.voxels.shape
    assert not empty.ct.voxels.any()


def test_radiographs_that_state_their_views_are_not_tried_in_other_arrangements() -> None:
    nothing = np.zeros((2, 2), np.float32)
    stated = Inputs(nothing, nothing, c_arm(), state_their_views=True)
    plain = SynthesisJob(out="out", ap="ap.nrrd", lateral="lateral.nrrd")
    assert not tries_arrangements(plain, stated)
    assert tries_arrangements(plain, dataclasses.replace(stated, state_their_views=False))
    assert tries_arrangements(dataclasses.replace(plain, flip_ap=True), stated)
    assert not tries_arrangements(dataclasses.replace(plain, flip_ap=True, suggest=False), stated)
