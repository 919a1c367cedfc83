"""Small made-up inputs that are easily read wrongly, each beside its right values.

The scripts that write them lie in ``shared/cases/readers`` next to the checkout or further up; without that folder the
tests are skipped. Each test names the script that it runs. Inputs 15 to 18 are made here: those scripts ask TomoRay
themselves, by older module names.
"""

from __future__ import annotations

import importlib.util
import runpy
import struct
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import tifffile

from TomoRayLib.anatomy.vertebrae import NAME_OF_LABEL
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import ConeBeam
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.images.checks import check_ct
from TomoRayLib.images.ct_plausibility import ct_warnings
from TomoRayLib.images.files import read_labels, read_radiograph, read_volume
from TomoRayLib.images.masks.checks import describe_mask, prepared_mask
from TomoRayLib.images.structure_masks import read_segmentation
from TomoRayLib.images.types import Radiograph, Volume
from TomoRayLib.synthesis.acquisition import pair_geometry
from TomoRayLib.synthesis.settings import GeometryOptions
from TomoRayLib.synthesis.stated_geometry import stated_geometry

LUMBAR_Z_MM = {20: 60.0, 21: 26.0, 22: -8.0, 23: -42.0, 24: -76.0}
HALF_A_SLICE_MM = 3.0  # of 5 mm, and the spinous processes end with one or two of them
VERTEBRA_HU = 350.0


@pytest.fixture(scope="module")
def scripts() -> Path:
    for parent in Path(__file__).resolve().parents:
        if (parent / "shared" / "cases" / "readers").is_dir():
            return parent / "shared" / "cases" / "readers"
    pytest.skip("no shared/cases/readers next to this checkout")


@pytest.fixture(scope="module")
def made(scripts: Path) -> ModuleType:
    """The scripts' common toolbox, which has the true picture and the marker's place."""
    spec = importlib.util.spec_from_file_location("_made", scripts / "_made.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def case(request: pytest.FixtureRequest, scripts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the script of the number given by ``of_script`` has filled."""
    (script,) = scripts.glob(f"{request.param}_*.py")
    monkeypatch.setattr(sys, "argv", [script.name, str(tmp_path)])
    monkeypatch.syspath_prepend(str(scripts))
    runpy.run_path(str(script), run_name="__main__")
    return tmp_path


def of_script(number: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [number], indirect=True)


def correlation(radiograph: Radiograph, picture: np.ndarray) -> float:
    return float(np.corrcoef(radiograph.pixels.ravel(), picture.ravel())[0, 1])


def refusal(read, *arguments) -> str | None:
    """The sentence of an InputError; None if nothing was refused."""
    try:
        read(*arguments)
    except InputError as error:
        return str(error)
    return None


def place_of_brightest(volume: Volume) -> np.ndarray:
    k, j, i = (float(axis.mean()) for axis in np.nonzero(volume.voxels > 2000))
    return (volume.grid.index_to_world @ (i, j, k, 1.0))[:3]


def heights_of_labels(labels: Volume) -> dict[int, float]:
    """Middle of each label's voxels along z, in mm."""
    found = {}
    for label in np.unique(labels.voxels[labels.voxels > 0]):
        k, j, i = (float(axis.min() + axis.max()) / 2 for axis in np.nonzero(labels.voxels == label))
        found[int(label)] = float((labels.grid.index_to_world @ (i, j, k, 1.0))[2])
    return found


def mean_hu_under(labels: Volume, ct: Volume) -> float:
    mask, _ = prepared_mask(labels, ct)
    return float(ct.voxels[mask.voxels > 0].mean())


@of_script("01")
@pytest.mark.parametrize("view", ["ap", "lateral"])
def test_jpeg_lossless_and_plain_monochrome1_give_the_same_bright_bone(case: Path, view: str, made: ModuleType) -> None:
    plain, packed = (read_radiograph(case / f"{view}_{kind}.dcm") for kind in ("plain", "jpeg_lossless"))
    np.testing.assert_array_equal(packed.pixels, plain.pixels)
    assert correlation(packed, made.picture(view == "lateral")) == pytest.approx(1.0)


@of_script("02")
def test_enhanced_ct_with_a_gap_is_refused_and_one_out_of_order_sorted(case: Path, made: ModuleType) -> None:
    _, _, spacing, _ = made.ct()
    for name in ("whole", "interleaved"):
        volume = read_volume(case / f"{name}.dcm")
        np.testing.assert_allclose(volume.grid.spacing_mm, spacing)
        np.testing.assert_allclose(place_of_brightest(volume), made.MARKER_MM, atol=1.5)
    assert "5.00 to 25.00 mm" in str(refusal(read_volume, case / "gap.dcm"))


@of_script("03")
@pytest.mark.parametrize("name", ["ap_code0", "ap_code2", "lateral_code0", "lateral_code2"])
def test_nifti_radiograph_with_rows_from_below_is_head_up_or_refused(case: Path, name: str, made: ModuleType) -> None:
    path = case / f"{name}.nii.gz"
    sentence = refusal(read_radiograph, path)
    if sentence is None:
        np.testing.assert_array_equal(read_radiograph(path).pixels, made.picture("lateral" in name))
    else:
        assert "orientation" in sentence


@of_script("04")
@pytest.mark.parametrize("view", ["ap", "lateral"])
@pytest.mark.parametrize("kind", ["fiducial", "no_type"])
def test_two_spacings_tell_the_magnification(case: Path, view: str, kind: str) -> None:
    stated = stated_geometry(read_radiograph(case / f"{view}_{kind}.dcm"), GeometryOptions())
    assert isinstance(stated.beam, ConeBeam)
    assert (stated.beam.sid_mm, stated.beam.sad_mm) == pytest.approx((1800.0, 1500.0), rel=1e-3)
    assert stated.pixel_spacing_mm == pytest.approx((1.0, 1.0))


@of_script("04")
def test_wall_stand_without_a_second_spacing_is_no_c_arm_in_silence(case: Path) -> None:
    pair = [read_radiograph(case / f"{view}_sid_alone.dcm") for view in ("ap", "lateral")]
    sentence = refusal(pair_geometry, *pair, GeometryOptions())
    warnings = (sentence,) if sentence else pair_geometry(*pair, GeometryOptions()).warnings
    assert any("upright" in str(text) for text in warnings)


@of_script("05")
def test_ct_without_orientation_is_refused_or_warned_of(case: Path) -> None:
    path = case / "ct_no_codes.nii.gz"
    sentence = refusal(read_volume, path)
    assert "orientation" in (sentence or " ".join(read_volume(path).warnings))
    assert bool(refusal(read_labels, path)) == bool(sentence)


@of_script("06")
def test_ct_of_two_matrices_and_its_mask_lie_at_one_place(case: Path) -> None:
    ct, labels = read_volume(case / "case_ct.nii.gz"), read_labels(case / "case_seg.nii.gz")
    assert mean_hu_under(labels, ct) == pytest.approx(VERTEBRA_HU)


@of_script("07")
def test_names_of_slicers_segments_win_over_their_numbers(case: Path) -> None:
    labels = read_segmentation(case / "vertebrae.seg.nrrd")
    assert heights_of_labels(labels) == pytest.approx(LUMBAR_Z_MM, abs=HALF_A_SLICE_MM)


@of_script("08")
@pytest.mark.parametrize("name", ["bottom_up_from_1", "totalsegmentator_v1", "totalsegmentator_v2_two"])
def test_numbers_that_rise_towards_the_head_are_never_verses_in_silence(case: Path, name: str) -> None:
    sentence = refusal(read_segmentation, case / f"{name}.nii.gz")
    if sentence is None:
        labels = read_segmentation(case / f"{name}.nii.gz")
        assert labels.warnings
        right = {label: z for label, z in LUMBAR_Z_MM.items() if "two" not in name or label in (23, 24)}
        assert heights_of_labels(labels) == pytest.approx(right, abs=HALF_A_SLICE_MM)


@of_script("08")
def test_a_stated_numbering_names_the_vertebrae(case: Path) -> None:
    labels = read_segmentation(case / "totalsegmentator_v1.nii.gz", "totalsegmentator-v1")
    assert heights_of_labels(labels) == pytest.approx(LUMBAR_Z_MM, abs=HALF_A_SLICE_MM)


@of_script("09")
def test_dicom_segmentation_is_read_by_segment(case: Path) -> None:
    labels = read_segmentation(case / "seg.dcm")
    assert heights_of_labels(labels) == pytest.approx(LUMBAR_Z_MM, abs=HALF_A_SLICE_MM)
    assert mean_hu_under(labels, read_volume(case / "ct.nii.gz")) == pytest.approx(VERTEBRA_HU)


@of_script("10")
@pytest.mark.parametrize("name", ["black_is_zero_16", "white_is_zero_16", "white_is_zero_8"])
def test_white_is_zero_tiff_has_bright_bone(case: Path, name: str, made: ModuleType) -> None:
    radiograph = read_radiograph(case / f"{name}.tif")
    assert correlation(radiograph, made.picture()) > 0.999
    assert bool(radiograph.header.notes) == name.startswith("white")


@of_script("11")
def test_zero_filled_surroundings_of_a_ct_are_warned_of(case: Path) -> None:
    volumes = {path.name.split(".")[0]: read_volume(path) for path in sorted(case.glob("*.nii.gz"))}
    for volume in volumes.values():
        check_ct(volume)
    alarmed = {name for name, volume in volumes.items() if ct_warnings(volume)}
    assert alarmed == {"ct_fill0", "ct_wedge0"}


@of_script("12")
@pytest.mark.parametrize("view", ["ap", "lateral"])
def test_rt_image_states_its_geometry(case: Path, view: str, made: ModuleType) -> None:
    radiograph = read_radiograph(case / f"{view}.dcm")
    stated = stated_geometry(radiograph, GeometryOptions(), 90.0 if view == "lateral" else 0.0)
    assert isinstance(stated.beam, ConeBeam)
    assert (stated.beam.sid_mm, stated.beam.sad_mm) == pytest.approx((1500.0, 1000.0))
    assert stated.pixel_spacing_mm == pytest.approx((1.5, 1.5))
    assert stated.gantry_angle_deg == pytest.approx(90.0 if view == "lateral" else 0.0)
    assert correlation(radiograph, made.picture(view == "lateral")) == pytest.approx(1.0)


@of_script("13")
def test_dicom_without_preamble_or_ending_is_read_like_one_with_both(case: Path, made: ModuleType) -> None:
    bare, whole = read_radiograph(case / "IM0001"), read_radiograph(case / "IM0001.dcm")
    np.testing.assert_array_equal(bare.pixels, whole.pixels)
    assert (bare.header.sid_mm, bare.header.sad_mm) == (whole.header.sid_mm, whole.header.sad_mm) == (1800.0, 1500.0)
    assert correlation(bare, made.picture()) == pytest.approx(1.0)


@of_script("14")
def test_messages_lead_the_right_way(case: Path, made: ModuleType) -> None:
    grey = read_radiograph(case / "grey_alpha.png")
    assert correlation(grey, made.picture()) > 0.999
    sad_alone = read_radiograph(case / "sad_alone_1600.dcm")
    sentence = str(refusal(stated_geometry, sad_alone, GeometryOptions()))
    assert "swapped" not in sentence
    assert "SID" in sentence
    in_cm = read_radiograph(case / "sid_in_cm.dcm")
    sentence = refusal(stated_geometry, in_cm, GeometryOptions())
    if sentence is None:
        beam = stated_geometry(in_cm, GeometryOptions()).beam
        assert isinstance(beam, ConeBeam)
        assert beam.sid_mm == pytest.approx(1800.0)
        assert any("1800" in note for note in in_cm.header.notes)
    structures = read_segmentation(case / "segmentations")
    assert set(np.unique(structures.voxels)) == {0, 22}


@pytest.mark.parametrize("options", [{}, {"tile": (16, 16)}, {"tile": (32, 32)}, {"extratags": [(274, 3, 1, 2, True)]}])
def test_tiled_and_turned_tiffs_keep_all_grey_levels(options: dict[str, object], tmp_path: Path) -> None:
    """15: 112 columns are no multiple of 32; Orientation 2 has column 0 at the right."""
    grey = (np.arange(128 * 112) % 4096).astype(np.uint16).reshape(128, 112)
    tifffile.imwrite(tmp_path / "film.tif", grey, photometric="minisblack", **options)
    right = grey[:, ::-1] if "extratags" in options else grey
    np.testing.assert_array_equal(read_radiograph(tmp_path / "film.tif").pixels, right)


def names_of(numbers_from_above: list[int], labels: str = "auto") -> list[str]:
    """Names of a stack of boxes with these numbers, the head's first."""
    grid = Grid((40, 40, 240), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    voxels = np.zeros(grid.shape, np.int16)
    height = 240 // len(numbers_from_above)
    for place, number in enumerate(numbers_from_above):
        top = 240 - place * height
        voxels[top - height + 1 : top - 1, 10:30, 10:30] = number
    return [NAME_OF_LABEL[label] for label in describe_mask(Volume(voxels, grid), labels=labels).labels]


@pytest.mark.parametrize("numbers", [[22, 23, 24, 26, 29, 30], [22, 122, 222, 23, 123, 223, 24, 124, 224]])
def test_masks_of_tptbox_are_verses_with_more(numbers: list[int]) -> None:
    """16: sacrum and S2 to S6 = 26, 29-33; discs + 100, endplates + 200."""
    assert names_of(numbers) == ["L3", "L4", "L5"]


@pytest.mark.parametrize(
    ("labels", "numbers", "right"),
    [
        ("totalspineseg", [11, 12, 13, 14, 15, 16, 17], "C1 C2 C3 C4 C5 C6 C7"),
        ("totalspineseg", [13, 14, 15, 16, 17, 21, 22, 23, 24], "C3 C4 C5 C6 C7 T1 T2 T3 T4"),
        ("totalspineseg", [41, 42, 43, 44, 45, 50], "L1 L2 L3 L4 L5"),
        ("vertebrae-mr", [6, 5, 4, 3, 2, 1], "L1 L2 L3 L4 L5"),
    ],
)
def test_other_numberings_are_right_or_asked_for(labels: str, numbers: list[int], right: str) -> None:
    """16: stated they are right; unstated they are right or refused, with the numbering's name in the sentence."""
    assert names_of(numbers, labels) == right.split()
    sentence = refusal(names_of, numbers)
    if sentence is None:
        assert names_of(numbers) == right.split()
    else:
        assert labels in sentence


@pytest.mark.parametrize(
    ("fields", "right_mm"),
    [
        ("axis mins: 0 0 0\naxis maxs: 120 120 120\ncenters: cell cell cell\n", 2.0),
        ("spacings: nan nan nan\n", None),
        (
            "space: left-posterior-superior\nspace directions: (.2,0,0) (0,.2,0) (0,0,.2)\n"
            'space units: "cm" "cm" "cm"\n',
            2.0,
        ),
    ],
)
def test_nrrd_has_the_size_that_its_definition_says(fields: str, right_mm: float | None, tmp_path: Path) -> None:
    """17: axis bounds, unknown spacings, centimetres."""
    ct = np.full((60, 60, 60), -1000, np.int16)
    ct[10:50, 10:50, 10:50], ct[20:40, 20:40, 20:40] = 40, 500
    path = tmp_path / "ct.nrrd"
    header = f"NRRD0005\ntype: int16\ndimension: 3\nsizes: 60 60 60\nendian: little\nencoding: raw\n{fields}\n"
    path.write_bytes(header.encode() + ct.tobytes())
    if right_mm is None:
        assert "nan" in str(refusal(read_volume, path))
    else:
        assert read_volume(path).grid.spacing_mm == pytest.approx((right_mm,) * 3)


@pytest.mark.parametrize("qform_code", [0, 1])
def test_sheared_nifti_is_refused_whatever_its_qform_says(qform_code: int, tmp_path: Path) -> None:
    """18: y grows by 0.6 mm with each slice."""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, 60, 60, 60, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, 4, 16)  # int16
    struct.pack_into("<8f", header, 76, 1, 2, 2, 2, 0, 0, 0, 0)
    struct.pack_into("<3f", header, 108, 352, 1, 0)
    header[123] = 2  # mm
    struct.pack_into("<2h", header, 252, qform_code, 1)
    struct.pack_into("<12f", header, 280, 2, 0, 0, 0, 0, 2, 0.6, 0, 0, 0, 2, 0)
    header[344:348] = b"n+1\0"
    path = tmp_path / "ct.nii"
    path.write_bytes(bytes(header) + np.zeros((60, 60, 60), np.int16).tobytes())
    assert "shear" in str(refusal(read_volume, path))
