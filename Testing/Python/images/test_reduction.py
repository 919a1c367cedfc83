"""Films of very many pixels: averaged to fewer on the same field, without moving anything."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from support.dicom_files import a_radiograph_file
from TomoRayLib.images import reduction
from TomoRayLib.synthesis.radiograph_inputs import read_radiographs
from TomoRayLib.synthesis.settings import Arrangement, GeometryOptions


def test_every_new_pixel_is_the_mean_of_the_area_that_it_covers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reduction, "MOST_PIXELS", 1000)
    image = np.random.default_rng(3).random((97, 61)).astype(np.float32)
    rows, columns = reduction.reduced_shape(image.shape)
    assert rows * columns <= 1000 < (rows + 1) * (columns + 1) * 1.1
    fine = np.repeat(np.repeat(image, rows, axis=0), columns, axis=1)  # every old pixel as rows x columns small ones
    expected = fine.reshape(rows, 97, columns, 61).mean(axis=(1, 3), dtype=np.float64)
    np.testing.assert_allclose(reduction.reduced(image), expected, atol=1e-5)


def test_a_film_of_34_million_pixels_keeps_its_field_and_its_places(tmp_path: Path) -> None:
    """A bright dot stays where the header's geometry puts it; a spacing that is given is that of the file's pixels."""
    rows, columns = 6211, 5479
    stored = np.full((rows, columns), 300, np.uint16)
    stored[::7] += 40
    stored[:620] = 4095  # a white border
    stored[1000:1040, 4100:4160] = 4000  # its middle: row 1019.5, column 4129.5
    values = {"DistanceSourceToDetector": 1500, "DistanceSourceToPatient": 1250}
    ap, lateral = ({**values, "PatientOrientation": [right, "F"]} for right in "LP")
    a_radiograph_file(tmp_path / "ap.dcm", stored, ImagerPixelSpacing=[0.07, 0.08], **ap)
    small = np.random.default_rng(1).integers(0, 4000, (600, 500)).astype(np.uint16)
    a_radiograph_file(tmp_path / "lat.dcm", small, ImagerPixelSpacing=[0.7, 0.8], **lateral)
    for given in (None, (0.09, 0.11)):
        inputs = read_radiographs(
            str(tmp_path / "ap.dcm"),
            str(tmp_path / "lat.dcm"),
            GeometryOptions(ap_pixel_spacing_mm=given, ap_offset_mm=(11.0, -7.0)),
            Arrangement(),
        )
        row_mm, column_mm = given or (0.07, 0.08)
        detector = inputs.views.ap.detector
        assert inputs.ap.shape == detector.shape
        assert inputs.ap.size <= reduction.MOST_PIXELS
        assert np.multiply(detector.shape, detector.pixel_spacing_mm) == pytest.approx(
            (rows * row_mm, columns * column_mm)
        )
        weight = inputs.ap - 400.0
        weight = np.where(weight > 200, weight, 0.0).astype(np.float64)
        weight[:700] = 0.0  # the border
        down_mm = (weight.sum(axis=1) @ detector.down_mm()) / weight.sum()
        right_mm = (weight.sum(axis=0) @ detector.right_mm()) / weight.sum()
        assert down_mm == pytest.approx((1019.5 - (rows - 1) / 2) * row_mm + 11.0 * 1.2, abs=0.01)
        assert right_mm == pytest.approx((4129.5 - (columns - 1) / 2) * column_mm - 7.0 * 1.2, abs=0.01)
        assert any("6211 x 5479 pixels averaged to" in note for note in inputs.notes)
        assert any("a white border of 10 % of the height at the top was" in note for note in inputs.notes)
    assert inputs.lateral.shape == (600, 500)
