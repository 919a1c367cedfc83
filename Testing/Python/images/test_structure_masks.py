"""Segmentations as folders of binary masks, and as label maps of a stated numbering."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from support.masks import a_mask
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.structure_masks import read_segmentation, structures_in
from TomoRayLib.images.writing import write_volume


def test_a_folder_of_structures_is_read_as_one_label_map(tmp_path: Path) -> None:
    write_volume(tmp_path / "vertebrae_L3.nii.gz", a_mask({1: slice(30, 40)}))
    write_volume(tmp_path / "vertebrae_L4.nii.gz", a_mask({1: slice(10, 20)}))
    write_volume(tmp_path / "sacrum.nii.gz", a_mask({1: slice(0, 5)}))
    labels = read_segmentation(tmp_path)
    np.testing.assert_array_equal(labels.voxels, a_mask({22: slice(30, 40), 23: slice(10, 20)}).voxels)


def test_a_folder_without_vertebrae_names_what_is_expected(tmp_path: Path) -> None:
    write_volume(tmp_path / "rib_left_3.nii.gz", a_mask({1: slice(0, 5)}))
    with pytest.raises(InputError, match="expected masks named after vertebrae"):
        read_segmentation(tmp_path)


def test_structures_are_found_by_the_names_that_tools_give(tmp_path: Path) -> None:
    for name in ("vertebrae_T12.nii.gz", "L1.nrrd", "Vertebra L2.mha", "rib_left_1.nii.gz", "notes.txt"):
        (tmp_path / name).touch()
    assert {label: path.name for label, path in structures_in(tmp_path).items()} == {
        19: "vertebrae_T12.nii.gz",
        20: "L1.nrrd",
        21: "Vertebra L2.mha",
    }


def test_the_numbering_stated_is_that_of_the_numbers(tmp_path: Path) -> None:
    path = tmp_path / "spine.nii.gz"
    mask = a_mask({1: slice(2, 14), 2: slice(20, 32), 201: slice(15, 19), 100: slice(40, 44)})
    write_volume(path, mask)
    labels = read_segmentation(path, "spider")
    np.testing.assert_array_equal(labels.voxels, a_mask({24: slice(2, 14), 23: slice(20, 32)}).voxels)
    assert "labels 100, 201, which are not vertebrae" in labels.notes[0]
    assert not labels.warnings
