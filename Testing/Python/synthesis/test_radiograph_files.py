"""From DICOM files to two views: what the run gets, and what it tells, for the kinds of header that archives hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.dicom_files import a_dataset
from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import ConeBeam
from TomoRayLib.synthesis.inputs import Inputs
from TomoRayLib.synthesis.radiograph_inputs import read_radiographs
from TomoRayLib.synthesis.settings import Arrangement, GeometryOptions

FILM_CLASS, RT_IMAGE_CLASS = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.840.10008.5.1.4.1.1.481.1"
AT_A_STAND = {"Modality": "DX", "ImagerPixelSpacing": [1.0, 1.0], "DistanceSourceToDetector": 1800}


def a_picture(lateral: bool) -> np.ndarray:
    """Bone-bright grey values (row, column) of a lopsided column, without symmetry."""
    y, x = np.mgrid[0:240, 0:200].astype(float)
    image = 201 + 1500 * np.exp(-(((x - 100) / 60) ** 4))
    for n in range(7):
        middle = 124 + 6 * np.sin(n / 2) if lateral else 110
        image += 1500 * ((np.abs(x - middle) < 16) & (np.abs(y - 20 - 33 * n) < 11))
    return np.rint(image).astype(np.uint16)


def read_pair(folder: Path, sop_class: str = FILM_CLASS, options: GeometryOptions | None = None, **tags: Any) -> Inputs:
    """Write and read an AP and a lateral radiograph; a tag's value may be a pair, one for each, as a tuple."""
    for n, name in enumerate(("ap", "lateral")):
        values = {key: value[n] if isinstance(value, tuple) else value for key, value in tags.items()}
        a_dataset(sop_class, a_picture(lateral=n == 1), **values).save_as(
            folder / f"{name}.dcm", enforce_file_format=True
        )
    paths = (str(folder / "ap.dcm"), str(folder / "lateral.dcm"))
    return read_radiographs(*paths, options or GeometryOptions(), Arrangement())


@pytest.mark.parametrize("calibration", ["FIDUCIAL", None])
def test_a_wall_stands_film_calibrated_at_the_patient_tells_its_magnification(
    tmp_path: Path, calibration: str | None
) -> None:
    spacing = {"PixelSpacing": [1 / 1.2, 1 / 1.2], "PixelSpacingCalibrationType": calibration}
    orientation = (["L", "F"], ["P", "F"])
    inputs = read_pair(tmp_path, PatientOrientation=orientation, **AT_A_STAND, **spacing)
    for view in (inputs.views.ap, inputs.views.lateral):
        assert view.beam.sid_mm == 1800.0
        assert view.beam.sad_mm == pytest.approx(1500.0)
        assert view.detector.pixel_spacing_mm == (1.0, 1.0)
    assert inputs.warnings == ()
    assert any(note.startswith("AP and lateral: ") and "magnification 1.200" in note for note in inputs.notes)


def test_a_wall_stands_film_with_an_sid_alone_is_guessed_with_a_warning(tmp_path: Path) -> None:
    inputs = read_pair(tmp_path, PatientOrientation=(["L", "F"], ["P", "F"]), **AT_A_STAND)
    assert inputs.views.ap.beam == ConeBeam(1500.0, 1800.0)
    assert [warning.partition(":")[0] for warning in inputs.warnings] == ["AP and lateral"]
    assert all("is a guess" in warning and "1.1 to 1.3" in warning for warning in inputs.warnings)
    chosen = read_pair(tmp_path, options=GeometryOptions(preset="upright"), **AT_A_STAND)
    assert not any("guess" in warning for warning in chosen.warnings)


def test_an_rt_images_own_geometry_is_used_and_not_the_presets(tmp_path: Path) -> None:
    inputs = read_pair(
        tmp_path,
        RT_IMAGE_CLASS,
        Modality="RTIMAGE",
        ImagePlanePixelSpacing=[1.5, 1.5],
        RTImageSID=1500,
        RadiationMachineSAD=1000,
        GantryAngle=(0, 90),
        RTImagePlane="NORMAL",
    )
    for view, gantry_deg in ((inputs.views.ap, 0.0), (inputs.views.lateral, 90.0)):
        assert view.beam == ConeBeam(1000.0, 1500.0)
        assert view.detector.pixel_spacing_mm == (1.5, 1.5)
        assert view.gantry_angle_deg == pytest.approx(gantry_deg)
    assert not any("preset" in text for text in (*inputs.notes, *inputs.warnings))


def test_an_oblique_pair_of_angiograms_keeps_its_angles(tmp_path: Path) -> None:
    inputs = read_pair(
        tmp_path,
        Modality="XA",
        ImagerPixelSpacing=[0.9, 0.9],
        DistanceSourceToDetector=1100,
        DistanceSourceToPatient=700,
        PositionerPrimaryAngle=(-6, 84),
        PositionerSecondaryAngle=(3, -2),
    )
    ap, lateral = inputs.views.ap, inputs.views.lateral
    assert (ap.gantry_angle_deg, ap.tilt_deg) == pytest.approx((-6.0, 3.0))  # the detector in front, so from opposite
    assert (lateral.gantry_angle_deg, lateral.tilt_deg) == pytest.approx((84.0, -2.0))
    assert sum("near and far are exchanged" in note for note in inputs.notes) == 2


def test_an_sid_in_centimetres_is_converted(tmp_path: Path) -> None:
    inputs = read_pair(tmp_path, **(AT_A_STAND | {"DistanceSourceToDetector": 180}))
    assert inputs.views.lateral.beam.sid_mm == 1800.0
    assert any("is 180: taken as centimetres, 1800 mm" in note for note in inputs.notes)


def test_an_sad_without_sid_is_asked_for_by_its_radiograph_and_tag(tmp_path: Path) -> None:
    tags = {"Modality": "DX", "ImagerPixelSpacing": [1.5, 1.5], "DistanceSourceToPatient": 1600}
    with pytest.raises(InputError, match=r"^AP radiograph: expected an SID .* 1600 mm .*0018,1111") as caught:
        read_pair(tmp_path, **tags)
    assert caught.value.field == "sid_mm"


def test_a_refused_spacing_names_both_and_can_be_given(tmp_path: Path) -> None:
    tags = AT_A_STAND | {"PixelSpacing": [0.25, 0.25], "DistanceSourceToPatient": 1500}
    with pytest.raises(InputError, match=r"say 1 and 0\.25 mm, ratio 4.*; give the pixel spacing") as caught:
        read_pair(tmp_path, **tags)
    assert caught.value.field == "pixel_spacing_mm"
    given = read_pair(tmp_path, options=GeometryOptions(pixel_spacing_mm=(1.0, 1.0)), **tags)
    assert given.views.ap.detector.pixel_spacing_mm == (1.0, 1.0)


def with_white_border(image: np.ndarray) -> np.ndarray:
    """The picture with a border of 26 rows at its top and 17 columns at its left."""
    image = image.copy()
    image[:26], image[:, :17] = 4095, 4095
    return image


def read_bordered(folder: Path, how: Arrangement, clean: bool = True) -> Inputs:
    """Read an AP radiograph with a white border, and a lateral one without."""
    for n, name in enumerate(("ap", "lateral")):
        picture = a_picture(lateral=n == 1)
        dataset = a_dataset(FILM_CLASS, picture if n else with_white_border(picture), **AT_A_STAND)
        dataset.save_as(folder / f"{name}.dcm", enforce_file_format=True)
    paths = (str(folder / "ap.dcm"), str(folder / "lateral.dcm"))
    return read_radiographs(*paths, GeometryOptions(), how, clean=clean)


def test_a_white_border_is_told_shown_as_given_and_filled_for_the_network(tmp_path: Path) -> None:
    inputs = read_bordered(tmp_path, Arrangement())
    rows, columns = inputs.ap.shape
    border = f"{26 / rows:.1%} of the height at the top, {17 / columns:.1%} of the width at the left".replace("%", " %")
    start = f"AP: on the image as it is read, a white border of {border}"
    assert any(note.startswith(start.replace(".0 %", " %")) for note in inputs.notes)
    assert not any("lateral" in note and "white border" in note for note in inputs.notes)
    assert not any("inverted" in warning for warning in inputs.warnings)
    assert np.array_equal(inputs.ap, with_white_border(a_picture(lateral=False)))
    ap, lateral = inputs.for_network.ap, inputs.for_network.lateral
    assert np.array_equal(ap[28:, 19:], inputs.ap[28:, 19:])
    assert ap.max() <= a_picture(lateral=False).max()
    assert np.array_equal(lateral, inputs.lateral)


def test_the_filled_image_is_mirrored_and_inverted_like_the_given_one(tmp_path: Path) -> None:
    plain = read_bordered(tmp_path, Arrangement()).for_network.ap
    ap = read_bordered(tmp_path, Arrangement(flip_ap=True)).for_network.ap
    assert np.array_equal(ap, plain[:, ::-1])


def test_cleaning_can_be_left_out(tmp_path: Path) -> None:
    inputs = read_bordered(tmp_path, Arrangement(), clean=False)
    assert not any("border" in note for note in inputs.notes)
    assert np.array_equal(inputs.for_network.ap, inputs.ap)
    assert inputs.as_read is not None
    assert np.array_equal(inputs.as_read.ap, inputs.ap)


def test_a_radiograph_that_is_nearly_all_blank_is_used_as_it_is_with_a_warning(tmp_path: Path) -> None:
    for n, name in enumerate(("ap", "lateral")):
        picture = a_picture(lateral=n == 1).copy()
        if n:
            rows, columns = picture.shape
            field = slice(round(0.3 * rows), round(0.75 * rows)), slice(round(0.3 * columns), round(0.75 * columns))
            exposed = picture[field]
            picture = np.full_like(picture, 4095)
            picture[field] = exposed
        a_dataset(FILM_CLASS, picture, **AT_A_STAND).save_as(tmp_path / f"{name}.dcm", enforce_file_format=True)
    paths = (str(tmp_path / "ap.dcm"), str(tmp_path / "lateral.dcm"))
    inputs = read_radiographs(*paths, GeometryOptions(), Arrangement())
    assert any(warning.startswith("lateral: on the image as it is read, a white") for warning in inputs.warnings)
    assert not any("white border" in note for note in inputs.notes)
    assert np.array_equal(inputs.for_network.lateral, inputs.lateral)
