"""Copies of a spine under other names, in other orientations; and people who are not copies."""

from __future__ import annotations

import numpy as np
import pytest

from support.labelled_cts import a_labelled_ct
from TomoRayLib.evaluation.known_people import known_pictures
from TomoRayLib.evaluation.spine_shape import (
    COPY,
    MAYBE,
    SHAPE,
    alike,
    alike_earlier,
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
    assert 1500 < picture.sum() < 2500
    np.testing.assert_array_equal(from_text(to_text(picture)), picture)
    with pytest.raises(ValueError, match="picture"):
        from_text("AAAA")


def test_a_copy_is_found_whatever_its_directions_place_and_numbers(a_spine: Volume) -> None:
    """Other numbers and 300 mm away, stored mirrored, axes exchanged: the same voxels of the same spine."""
    picture = spine_picture(a_spine)
    far = tuple(np.add(a_spine.grid.origin_mm, 300.0).tolist())
    renumbered = np.where(a_spine.voxels > 0, a_spine.voxels - 3, 0)
    moved = Volume(renumbered, Grid(a_spine.grid.size, a_spine.grid.spacing_mm, far))
    mirrored = a_labelled_ct(direction_x=-1.0)[1]
    (i, j, k), (x, y, z) = a_spine.grid.size, a_spine.grid.spacing_mm
    exchanged = Volume(
        np.ascontiguousarray(a_spine.voxels.transpose(2, 0, 1)),  # now (x, z, y)
        Grid((j, k, i), (y, z, x), a_spine.grid.origin_mm, (0, 0, 1, 1, 0, 0, 0, 1, 0)),
    )
    for other in (moved, mirrored, exchanged):
        assert likeness(picture, spine_picture(other)) >= COPY


def test_a_copy_in_a_cohort_is_told_of_the_later_one(a_spine: Volume) -> None:
    """One cube further along an axis it is a copy still; another row of vertebrae is none."""
    picture = spine_picture(a_spine)
    others = [spine_picture(a_labelled_ct((20, 21))[1]), spine_picture(a_labelled_ct((17, 18, 19, 20, 21))[1])]
    for axis in range(3):
        cohort = [others[0], picture, others[1], np.roll(picture, 1, axis=axis)]
        assert alike_earlier(cohort) == [[], [], [], [1]]
        assert alike(cohort, [picture]) == [[], [0], [], [0]]
    assert alike_earlier([]) == []
    assert alike_earlier([picture]) == [[]]


def test_a_copy_on_oblique_voxels_may_be_one(a_spine: Volume) -> None:
    angle = np.deg2rad(20)
    turned = (np.cos(angle), -np.sin(angle), 0, np.sin(angle), np.cos(angle), 0, 0, 0, 1)
    oblique = Grid((280, 260, 200), (1.1, 1.2, 1.0), (-90.0, -250.0, 70.0), turned)
    assert likeness(spine_picture(a_spine), spine_picture(labels_on_grid(a_spine, oblique))) >= MAYBE


def test_a_mirrored_patient_another_size_or_fewer_vertebrae_are_no_copies(a_spine: Volume) -> None:
    """The knob on the other side; a spine 6 % larger; half of the vertebrae."""
    picture = spine_picture(a_spine)
    flipped = Volume(a_spine.voxels[:, :, ::-1].copy(), a_spine.grid)
    x, y, z = a_spine.grid.spacing_mm
    larger = Volume(a_spine.voxels, Grid(a_spine.grid.size, (1.06 * x, 1.06 * y, 1.06 * z)))
    for other in (flipped, larger, a_labelled_ct((20, 21))[1]):
        assert likeness(picture, spine_picture(other)) < COPY
    assert likeness(picture, np.zeros(SHAPE, dtype=bool)) == 0


def test_thick_slices_are_drawn_without_gaps() -> None:
    """A block of 3 x 9 x 5 voxels of 8, 4 and 12 mm fills its cubes whole."""
    voxels = np.zeros((9, 13, 7), np.uint8)
    voxels[2:7, 2:11, 2:5] = 20
    picture = spine_picture(Volume(voxels, Grid((7, 13, 9), (8.0, 4.0, 12.0))))
    assert 1.0 <= picture.sum() * 64 / (3 * 8 * 9 * 4 * 5 * 12) < 1.2  # half a cube more at each side, at most
    z, y, x = (np.flatnonzero(picture.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1)))
    assert picture[z[0] : z[-1] + 1, y[0] : y[-1] + 1, x[0] : x[-1] + 1].mean() > 0.95


def test_the_likest_come_first_and_others_not_at_all(a_spine: Volume) -> None:
    picture, short = spine_picture(a_spine), spine_picture(a_labelled_ct((20, 21))[1])
    nearly = picture.copy()
    nearly[tuple(np.argwhere(picture)[:9].T)] = False
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
