"""The network that TomoRay comes with, on a phantom and on real CTs that it was not trained on."""

from __future__ import annotations

from pathlib import Path

import pytest

from TomoRayLib.images.files import read_volume
from TomoRayLib.images.masks.checks import placed_mask
from TomoRayLib.images.structure_masks import read_segmentation
from TomoRayLib.jobs.demonstration_phantom import phantom_volumes
from TomoRayLib.segmentation.agreement import agreement
from TomoRayLib.synthesis.own_labels import choose_segmenter, is_segmenter_there

pytestmark = pytest.mark.skipif(not is_segmenter_there(), reason="this version comes without a segmenter")
ROOT = Path(__file__).resolve().parents[3]
NOT_TRAINED_ON = ("sub-verse005", "sub-verse007", "sub-verse008")


def test_the_phantoms_vertebrae_are_found() -> None:
    ct, labels = phantom_volumes()
    scores = agreement(choose_segmenter("cpu", "auto").segment(ct).labels, labels)
    assert scores is not None
    assert scores.dice > 0.6
    assert scores.counts.found >= scores.counts.whole // 2


@pytest.mark.slow
@pytest.mark.parametrize("name", NOT_TRAINED_ON)
def test_vertebrae_of_people_it_has_not_seen_are_found_and_in_order(name: str) -> None:
    places = [parent / "shared" / "data" / "verse" for parent in ROOT.parents]
    found = [path for place in places if place.is_dir() for path in sorted(place.rglob(f"{name}*_ct.nii.gz"))]
    if not found:
        pytest.skip("the shared data are not there")
    ct = read_volume(found[0])
    (mask,) = (found[0].parents[2] / "derivatives" / name).glob("*_seg-vert_msk.nii.gz")
    scores = agreement(choose_segmenter("cpu", "auto").segment(ct).labels, placed_mask(read_segmentation(mask), ct))
    assert scores is not None
    assert scores.dice > 0.75
    assert scores.counts.named_up_to_shift >= 0.75 * scores.counts.whole
