"""Where NRRD volumes lie, by the definition of the format; expected values worked out by hand."""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable
from pathlib import Path

import nrrd
import numpy as np
import pytest

from support.header_files import VOXELS, write_nrrd
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.files import read_labels, read_volume

STEPS = "space directions: (0,2,0) (0,0,1) (.5,0,0)"  # i to +y, j to +z, k to +x of the frame
ASSUMED = "Its header does not say how its axes lie in the patient"


@pytest.mark.parametrize(
    ("space", "signs"),
    [
        ("left-posterior-superior", (1, 1, 1)),
        ("LPS", (1, 1, 1)),
        ("right-anterior-superior", (-1, -1, 1)),
        ("RAS", (-1, -1, 1)),
        ("Left-Anterior-Superior", (1, -1, 1)),
        ("LAS", (1, -1, 1)),
    ],
)
def test_frame_of_the_patient_is_turned_into_lps(tmp_path: Path, space: str, signs: tuple[int, int, int]) -> None:
    """The frame's x, y and z are flipped, row by row; axes may be permuted and left-handed."""
    volume = read_volume(write_nrrd(tmp_path / "ct.nrrd", f"space: {space}\n{STEPS}\nspace origin: (10,-20,30)"))
    expected = np.diag([*signs, 1.0]) @ [[0, 0, 0.5, 10], [2, 0, 0, -20], [0, 1, 0, 30], [0, 0, 0, 1]]
    np.testing.assert_allclose(volume.grid.index_to_world, expected, atol=1e-12)
    np.testing.assert_array_equal(volume.voxels, VOXELS)
    assert (volume.notes, volume.warnings) == ((), ())


@pytest.mark.parametrize("origin", ["", "\nspace origin: (nan,nan,nan)"])
def test_a_place_that_is_not_stated_is_warned_of(tmp_path: Path, origin: str) -> None:
    volume = read_volume(write_nrrd(tmp_path / "ct.nrrd", f"space: LPS\n{STEPS}{origin}"))
    assert volume.grid.origin_mm == (0.0, 0.0, 0.0)
    assert len(volume.warnings) == 1
    assert "no place (space origin): the first voxel was put at 0, 0, 0" in volume.warnings[0]


def test_nrrd_of_pynrrd_lies_where_its_header_says(tmp_path: Path) -> None:
    header = {
        "space": "left-posterior-superior",
        "space directions": [[0, 2.0, 0], [0, 0, 1.0], [0.5, 0, 0]],
        "space origin": [10, -20, 30],
        "encoding": "gzip",
    }
    nrrd.write(str(tmp_path / "ct.nrrd"), VOXELS.T, header)
    volume = read_volume(tmp_path / "ct.nrrd")
    expected = [[0, 0, 0.5, 10], [2, 0, 0, -20], [0, 1, 0, 30], [0, 0, 0, 1]]
    np.testing.assert_allclose(volume.grid.index_to_world, expected, atol=1e-12)
    np.testing.assert_array_equal(volume.voxels, VOXELS)


@pytest.mark.parametrize("frame", ["space: scanner-xyz", "space: 3D-right-handed", "space dimension: 3"])
def test_frame_that_is_no_patients_is_taken_as_lps_with_a_warning(tmp_path: Path, frame: str) -> None:
    volume = read_volume(write_nrrd(tmp_path / "ct.nrrd", f"{frame}\n{STEPS}"))
    np.testing.assert_allclose(volume.grid.direction_matrix, [[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    assert volume.warnings[0].startswith(ASSUMED)


@pytest.mark.parametrize("space", ["3D-left-handed", "right-posterior-superior", "LPI"])
def test_frame_that_is_not_known_is_refused(tmp_path: Path, space: str) -> None:
    with pytest.raises(InputError, match=rf"expected a frame of the patient .* got space: {space}"):
        read_volume(write_nrrd(tmp_path / "ct.nrrd", f"space: {space}\n{STEPS}"))


@pytest.mark.parametrize(
    ("unit", "mm"), [("mm", 1), ("cm", 10), ("um", 0.001), ("\u00b5m", 0.001), ("", 1), ("m", 1000)]
)
def test_space_units_are_turned_into_mm(tmp_path: Path, unit: str, mm: float) -> None:
    steps = f"space directions: ({2 / mm},0,0) (0,{1 / mm},0) (0,0,{0.5 / mm})\nspace origin: ({10 / mm},{-20 / mm},0)"
    path = write_nrrd(tmp_path / "ct.nrrd", f'space: RAS\n{steps}\nspace units: "{unit}" "{unit}" "{unit}"')
    volume = read_volume(path)
    np.testing.assert_allclose(volume.grid.spacing_mm, (2, 1, 0.5), rtol=1e-12)
    np.testing.assert_allclose(volume.grid.origin_mm, (-10, 20, 0), rtol=1e-12)
    assert bool(volume.notes) == (mm != 1)


def test_units_of_axes_are_turned_into_mm(tmp_path: Path) -> None:
    path = write_nrrd(
        tmp_path / "ct.nrrd", 'spacings: .2 .1 .5\naxis mins: 1 0 0\nunits: "cm" "cm" "mm"\ncenters: node ??? ???'
    )
    grid = read_volume(path).grid
    np.testing.assert_allclose(grid.spacing_mm, (2, 1, 0.5))
    np.testing.assert_allclose(grid.origin_mm, (10, 0.5, 0.25))


@pytest.mark.parametrize("field", ['space: LPS\nspace units: "in" "in" "in"', "space: LPS\nspace units: e e e"])
def test_unit_that_is_not_known_is_refused(tmp_path: Path, field: str) -> None:
    with pytest.raises(InputError, match=r"expected lengths in mm, cm, m or um, got '\w+' \(space units\)"):
        read_volume(write_nrrd(tmp_path / "ct.nrrd", f"{field}\n{STEPS}"))


@pytest.mark.parametrize(
    ("centers", "spacing_mm", "origin_mm"),
    [
        ("cell cell cell", (2, 1, 0.5), (11, -19.5, 30.25)),  # 14 mm over 7 cells; the first centre is half a cell in
        ("node node node", (14 / 6, 5 / 4, 1.5 / 2), (10, -20, 30)),  # over 6 steps; the first centre is the bound
        ("node cell node", (14 / 6, 1, 1.5 / 2), (10, -19.5, 30)),
    ],
)
def test_bounds_of_axes_give_size_and_place(
    tmp_path: Path, centers: str, spacing_mm: tuple[float, ...], origin_mm: tuple[float, ...]
) -> None:
    fields = f"axis mins: 10 -20 30\naxis maxs: 24 -15 31.5\ncenters: {centers}"
    volume = read_volume(write_nrrd(tmp_path / "ct.nrrd", fields))
    np.testing.assert_allclose(volume.grid.spacing_mm, spacing_mm)
    np.testing.assert_allclose(volume.grid.origin_mm, origin_mm)
    assert volume.notes == ("Its voxel size was derived from axis mins, axis maxs and centers.",)
    assert volume.warnings[0].startswith(ASSUMED)


def test_bounds_stand_in_for_spacings_of_nan(tmp_path: Path) -> None:
    fields = "spacings: nan nan nan\naxis mins: 0 0 0\naxis maxs: 14 5 1.5\ncenters: cell cell cell"
    np.testing.assert_allclose(read_volume(write_nrrd(tmp_path / "ct.nrrd", fields)).grid.spacing_mm, (2, 1, 0.5))


def test_bounds_without_centers_are_refused_with_both_readings(tmp_path: Path) -> None:
    path = write_nrrd(tmp_path / "ct.nrrd", "axis mins: 0 0 0\naxis maxs: 14 5 1.5")
    with pytest.raises(InputError, match=r"expected centers .*voxels are 2 long if bounds are outer faces, 2\.333"):
        read_volume(path)


def test_bounds_beside_other_spacings_are_refused_with_both(tmp_path: Path) -> None:
    fields = "spacings: 1 1 1\naxis mins: 0 0 0\naxis maxs: 14 5 1.5\ncenters: cell cell cell"
    with pytest.raises(InputError, match="got two: 1 by spacings and 2 by axis mins and axis maxs"):
        read_volume(write_nrrd(tmp_path / "ct.nrrd", fields))


@pytest.mark.parametrize("name", ["spacings: 9 9 9", "axis mins: 0 0 0"])
def test_size_beside_directions_is_refused_with_both(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"got two: 2 x 1 x 0\.5 by space directions, and"):
        read_volume(write_nrrd(tmp_path / "ct.nrrd", f"space: LPS\n{STEPS}\n{name}"))


def test_spacings_of_nan_beside_directions_say_nothing(tmp_path: Path) -> None:
    fields = f"space: LPS\n{STEPS}\nspacings: nan nan nan\nspace origin: (nan,nan,nan)"
    grid = read_volume(write_nrrd(tmp_path / "ct.nrrd", fields)).grid
    np.testing.assert_allclose((*grid.spacing_mm, *grid.origin_mm), (2, 1, 0.5, 0, 0, 0))


def test_spacings_alone_are_taken_as_lps_with_a_warning(tmp_path: Path) -> None:
    volume = read_volume(write_nrrd(tmp_path / "ct.nrrd", "spacings: 2 1 .5"))
    np.testing.assert_allclose(volume.grid.index_to_world, np.diag([2, 1, 0.5, 1]))
    assert volume.warnings == (
        f'{ASSUMED} (no "space"): taken as to the left, back and head (LPS), as ITK does; check left and right, front '
        "and back.",
    )


@pytest.mark.parametrize(
    "fields",
    [
        "",
        "spacings: nan nan nan",
        "spacings: 2 1 nan",
        "spacings: -2 1 .5",
        "spacings: 0 1 .5",
        "axis mins: 14 0 0\naxis maxs: 0 5 1.5\ncenters: cell cell cell",
        "thicknesses: 2 1 .5",
    ],
)
def test_volume_without_a_voxel_size_is_refused(tmp_path: Path, fields: str) -> None:
    with pytest.raises(InputError, match=r"expected a voxel size above 0 along axis \d, got "):
        read_volume(write_nrrd(tmp_path / "ct.nrrd", fields))


def test_space_without_directions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected space directions, as its header names a space, got none"):
        read_volume(write_nrrd(tmp_path / "ct.nrrd", "space: LPS\nspacings: 2 1 .5"))


@pytest.mark.parametrize(
    "fields",
    [
        f'space: LPS\n{STEPS}\nspace units: "mm" "mm"',
        'spacings: 2 1 .5\nunits: "mm"',
        "spacings: 2 1 .5\ncenters: cell",
    ],
)
def test_wrong_count_of_texts_is_refused(tmp_path: Path, fields: str) -> None:
    with pytest.raises(InputError, match="expected 3 texts in "):
        read_volume(write_nrrd(tmp_path / "ct.nrrd", fields))


@pytest.mark.parametrize("where", ["first", "last"])
def test_list_axis_of_one_item_is_dropped(tmp_path: Path, where: str) -> None:
    steps = STEPS.removeprefix("space directions: ")
    first = where == "first"
    directions = f"none {steps}" if first else f"{steps} none"
    kinds = "list domain domain domain" if first else "domain domain domain list"
    fields = f"space: LPS\nspace directions: {directions}\nkinds: {kinds}"
    path = write_nrrd(tmp_path / "mask.nrrd", fields, sizes="1 7 5 3" if first else "7 5 3 1")
    labels = read_labels(path)
    np.testing.assert_array_equal(labels.voxels, VOXELS)
    np.testing.assert_allclose(labels.grid.spacing_mm, (2, 1, 0.5))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("RGB-color", "one grey value per voxel, got 3"),
        ("vector", "got 3"),
        ("list", "got 3"),
        ("complex", "complex numbers"),
        ("time", "a sequence of 3"),
        ("???", "kinds to say what axis 1 holds"),
    ],
)
def test_several_values_per_voxel_are_refused(tmp_path: Path, kind: str, words: str) -> None:
    steps = STEPS.removeprefix("space directions: ")
    fields = f"space: LPS\nspace directions: none {steps}\nkinds: {kind} domain domain domain"
    path = write_nrrd(tmp_path / "ct.nrrd", fields, sizes="3 7 5 3", voxels=np.repeat(VOXELS.ravel(), 3))
    with pytest.raises(InputError, match=words):
        read_volume(path)


@pytest.mark.parametrize(
    ("fields", "voxels"),
    [
        ("byte skip: 7", bytes(7) + VOXELS.tobytes()),
        ("byte skip: -1", bytes(9) + VOXELS.tobytes()),
        ("line skip: 1", b"a line\n" + VOXELS.tobytes()),
    ],
)
def test_bytes_before_the_voxels_are_skipped(tmp_path: Path, fields: str, voxels: bytes) -> None:
    path = write_nrrd(tmp_path / "ct.nrrd", f"space: LPS\n{STEPS}\n{fields}", voxels=np.frombuffer(voxels, np.uint8))
    np.testing.assert_array_equal(read_volume(path).voxels, VOXELS)


def test_detached_header_is_read_with_its_voxels(tmp_path: Path) -> None:
    path = write_nrrd(tmp_path / "ct.nhdr", f"space: LPS\n{STEPS}\ndata file: ct.raw", voxels=np.zeros(0, np.uint8))
    (tmp_path / "ct.raw").write_bytes(VOXELS.tobytes())
    np.testing.assert_array_equal(read_volume(path).voxels, VOXELS)


@pytest.mark.parametrize(("encoding", "packed"), [("raw", bytes), ("gzip", gzip.compress)])
def test_voxels_of_another_length_beside_a_detached_header_are_refused(
    tmp_path: Path, encoding: str, packed: Callable[[bytes], bytes]
) -> None:
    """A header before the voxels, as of a NIfTI file, would be read as voxels."""
    fields = f"space: LPS\n{STEPS}\ndata file: ct.raw"
    path = write_nrrd(tmp_path / "ct.nhdr", fields, voxels=np.zeros(0, np.uint8))
    path.write_bytes(path.read_bytes().replace(b"encoding: raw", f"encoding: {encoding}".encode()))
    (tmp_path / "ct.raw").write_bytes(packed(VOXELS.tobytes()))
    np.testing.assert_array_equal(read_volume(path).voxels, VOXELS)
    (tmp_path / "ct.raw").write_bytes(packed(bytes(352) + VOXELS.tobytes()))
    with pytest.raises(InputError, match=r"expected 210 bytes of voxels in ct\.raw, as its sizes say, got 562"):
        read_volume(path)


def test_detached_header_without_its_voxels_is_refused(tmp_path: Path) -> None:
    path = write_nrrd(tmp_path / "ct.nhdr", f"space: LPS\n{STEPS}\ndata file: ct.raw", voxels=np.zeros(0, np.uint8))
    with pytest.raises(InputError, match=r"expected its voxels in ct\.raw \(data file\), got no such file"):
        read_volume(path)


def test_encoding_that_is_not_read_is_refused_by_name(tmp_path: Path) -> None:
    path = write_nrrd(tmp_path / "ct.nrrd", f"space: LPS\n{STEPS}")
    header, _, voxels = path.read_bytes().partition(b"\n\n")
    path.write_bytes(header.replace(b"raw", b"bzip2") + b"\n\n" + bz2.compress(voxels))
    with pytest.raises(InputError, match="got encoding bzip2; save it with gzip"):
        read_volume(path)


def test_measurement_frame_and_old_range_leave_a_ct_as_it_is(tmp_path: Path) -> None:
    fields = f"space: LPS\n{STEPS}\nmeasurement frame: (0,1,0) (1,0,0) (0,0,1)\nold min: -1024\nold max: 3071"
    volume = read_volume(write_nrrd(tmp_path / "ct.nrrd", fields))
    np.testing.assert_array_equal(volume.voxels, VOXELS)
    np.testing.assert_allclose(volume.grid.direction_matrix, [[0, 0, 1], [1, 0, 0], [0, 1, 0]])


@pytest.mark.parametrize("name", ["ct.mha", "ct.nrrd.gz", "ct.nii.gz", "ct.dat", "ct"])
def test_nrrd_under_another_ending_is_refused_with_a_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"rename it to ct\.nrrd\."):
        read_volume(write_nrrd(tmp_path / name, f"space: LPS\n{STEPS}"))


def test_layers_of_a_segmentation_lie_where_its_header_says(tmp_path: Path) -> None:
    """Two layers in centimetres, each with one vertebra."""
    names = "".join(
        f"Segment{layer}_Name:=L{layer + 1}\nSegment{layer}_LabelValue:=1\nSegment{layer}_Layer:={layer}\n"
        for layer in (0, 1)
    )
    fields = (
        "space: RAS\nspace directions: none (0,.2,0) (0,0,.1) (.05,0,0)\nkinds: list domain domain domain\n"
        f'space units: "cm" "cm" "cm"\nspace origin: (1,-2,3)\n{names.rstrip()}'
    )
    layers = np.stack([VOXELS > 80, VOXELS < 20], axis=-1).astype("<i2")
    labels = read_labels(write_nrrd(tmp_path / "spine.seg.nrrd", fields, sizes="2 7 5 3", voxels=layers))
    np.testing.assert_array_equal(labels.voxels, np.where(VOXELS > 80, 20, np.where(VOXELS < 20, 21, 0)))
    expected = [[0, 0, -0.5, -10], [-2, 0, 0, 20], [0, 1, 0, 30], [0, 0, 0, 1]]
    np.testing.assert_allclose(labels.grid.index_to_world, expected, atol=1e-12)


def test_more_voxels_than_numbers_can_count_are_refused(tmp_path: Path) -> None:
    fields = "space: LPS\nspace directions: (2,0,0) (0,1,0) (0,0,.5)"
    path = write_nrrd(tmp_path / "ct.nrrd", fields, sizes="7 99999999999999999999 3")
    with pytest.raises(InputError):
        read_volume(path)


def test_header_that_is_cut_off_before_its_sizes_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "ct.nrrd"
    path.write_bytes(b"NRRD0005\ntype: short\ndimension: 3\n")
    with pytest.raises(InputError, match=r"got none in the NRRD header: it is cut off .* copy or export"):
        read_volume(path)


@pytest.mark.parametrize(
    ("again", "words"),
    [
        ("sizes: 2 3 4\n", "expected each field once, got 'sizes' as"),
        ("dimension: 170\n", "expected each field once, got 'dimension' as '3' and as '170'"),
    ],
)
def test_field_that_is_stated_twice_is_refused_with_both_texts(tmp_path: Path, again: str, words: str) -> None:
    path = write_nrrd(tmp_path / "ct.nrrd", f"space: LPS\n{STEPS}")
    path.write_bytes(path.read_bytes().replace(b"\nspace: LPS\n", f"\nspace: LPS\n{again}".encode(), 1))
    with pytest.raises(InputError) as error:
        read_volume(path)
    assert words in str(error.value)


def test_field_that_is_stated_twice_alike_is_read(tmp_path: Path) -> None:
    path = write_nrrd(tmp_path / "ct.nrrd", f"space: LPS\n{STEPS}\nspace: LPS")
    np.testing.assert_array_equal(read_volume(path).voxels, VOXELS)


def test_dimensions_without_a_size_are_refused(tmp_path: Path) -> None:
    path = write_nrrd(tmp_path / "ct.nrrd", f"space: LPS\n{STEPS}")
    path.write_bytes(path.read_bytes().replace(b"dimension: 3", b"dimension: 170", 1))
    with pytest.raises(InputError, match="as many sizes as dimensions, got 3 of '170'"):
        read_volume(path)
