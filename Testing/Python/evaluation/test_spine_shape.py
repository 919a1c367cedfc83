"""Copies of a spine under other names, in other orientations; and people who are not copies."""

from __future__ import annotations

import numpy as np
import pytest

from support.labelled_cts import a_labelled_ct
from TomoRayLib.evaluation.known_people import known_pictures
from TomoRayLib.evaluation.spine_shape import (
    MAYBE,
    ONE_PERSON,
    SHAPE,
    alike,
    from_text,
    likeness,
    spine_picture,
    to_text,
)
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.resampling import labels_on_grid
from TomoRayLib.images.types import Volume


@pytest.fixture(scope="module")
def a_spine() -> Volume:
    return a_labelled_ct()[1]


def test_a_text_holds_a_picture(a_spine: Volume) -> None:
    picture = spine_picture(a_spine)
    assert picture.shape == SHAPE
    assert 100 < picture.sum() < 600
    np.testing.assert_array_equal(from_text(to_text(picture)), picture)
    with pytest.raises(ValueError, match="picture"):
        from_text("AAAA")


def test_a_copy_is_found_whatever_its_axes_place_voxels_and_numbers(a_spine: Volume) -> None:
    """Mirrored storage, an oblique grid of other voxels 300 mm away, other label numbers: the same spine."""
    picture = spine_picture(a_spine)
    angle = np.deg2rad(20)
    turned = (np.cos(angle), -np.sin(angle), 0, np.sin(angle), np.cos(angle), 0, 0, 0, 1)
    oblique = Grid((140, 130, 100), (2.2, 2.4, 2.0), (-90.0, -250.0, 70.0), turned)
    resampled = labels_on_grid(a_spine, oblique)
    moved = Volume(
        np.where(resampled.voxels > 0, resampled.voxels - 3, 0),
        Grid(oblique.size, oblique.spacing_mm, tuple(np.add(oblique.origin_mm, 300.0)), oblique.direction),
    )
    mirrored = a_labelled_ct(direction_x=-1.0)[1]
    assert (resampled.voxels > 0).sum() * np.prod(oblique.spacing_mm) == pytest.approx(
        (a_spine.voxels > 0).sum() * np.prod(a_spine.grid.spacing_mm), rel=0.1
    )
    for other in (resampled, moved, mirrored):
        assert likeness(picture, spine_picture(other)) > ONE_PERSON


def test_a_mirrored_patient_or_a_longer_spine_is_no_copy(a_spine: Volume) -> None:
    """The knob lies on the other side; half of the vertebrae are missing."""
    flipped = Volume(a_spine.voxels[:, :, ::-1].copy(), a_spine.grid)
    shorter = a_labelled_ct((20, 21))[1]
    for other in (shorter,):
        assert likeness(spine_picture(a_spine), spine_picture(other)) < MAYBE
    assert likeness(spine_picture(a_spine), spine_picture(flipped)) < 1
    assert likeness(spine_picture(a_spine), np.zeros(SHAPE, dtype=bool)) == 0


def test_the_likest_come_first_and_others_not_at_all(a_spine: Volume) -> None:
    picture, short = spine_picture(a_spine), spine_picture(a_labelled_ct((20, 21))[1])
    nearly = picture.copy()
    nearly[tuple(np.argwhere(picture)[0])] = False
    assert alike([picture, short], [short, nearly, picture]) == [[2, 1], [0]]
    assert alike([picture], []) == [[]]
    assert alike([], [picture]) == []


def test_the_known_people_that_come_with_the_models_are_unlike_each_other() -> None:
    """No two of them would be taken for one person; their own pictures are found."""
    known = known_pictures()
    assert len(known) >= 50
    names = list(known)
    drawn = [known[name][0] for name in names]
    for name, picture in zip(names, drawn, strict=True):
        assert [names[place] for place in alike([picture], drawn)[0]] == [name]
