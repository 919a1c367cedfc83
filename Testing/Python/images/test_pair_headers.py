"""Two files that cannot be of one pair: a sentence for each, and no name or number of a patient in any."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.dicom_files import a_radiograph_file
from TomoRayLib.images.pair_headers import CERVICAL, LUMBAR, THORACIC, regions_of
from TomoRayLib.synthesis.radiograph_inputs import read_radiographs
from TomoRayLib.synthesis.settings import Arrangement, GeometryOptions


def said(folder: Path, **tags: Any) -> list[str]:
    """The warnings on a pair of films; a tag's value as a tuple is one for each."""
    rng = np.random.default_rng(5)
    values = {
        "ImagerPixelSpacing": [1.0, 1.1],
        "DistanceSourceToDetector": 1500,
        "DistanceSourceToPatient": 1250,
        "PatientOrientation": (["L", "F"], ["P", "F"]),
    } | tags
    for n, name in enumerate(("ap", "lateral")):
        own = {key: value[n] if isinstance(value, tuple) else value for key, value in values.items()}
        own = {key: value for key, value in own.items() if value is not None}
        a_radiograph_file(folder / f"{name}.dcm", rng.integers(0, 4000, (230, 190)).astype(np.uint16), **own)
    inputs = read_radiographs(str(folder / "ap.dcm"), str(folder / "lateral.dcm"), GeometryOptions(), Arrangement())
    return [*inputs.warnings, *inputs.notes]


@pytest.mark.parametrize(
    ("tags", "differs"),
    [
        ({"PatientID": ("A-1001", "B-2002")}, "Patient ID (0010,0020) differs"),
        ({"PatientName": ("Roe^Jane", "Doe^John")}, "Patient's Name (0010,0010) differs"),
        (
            {"PatientID": ("A-1001", "B-2002"), "PatientName": ("Roe^Jane", "Doe^John")},
            "Patient ID (0010,0020) and Patient's Name (0010,0010) differ",
        ),
    ],
)
def test_views_of_different_patients_are_told_without_naming_them(tmp_path: Path, tags: dict, differs: str) -> None:
    sentences = said(tmp_path, **tags)
    (found,) = [sentence for sentence in sentences if "different patients" in sentence]
    assert differs in found
    assert not any(word in sentence for sentence in sentences for word in ("1001", "2002", "Roe", "Doe", "Jane"))


@pytest.mark.parametrize(
    "tags",
    [
        {"PatientName": ("DOE^JOHN", "Doe^John^^")},
        {"PatientID": ("77 ", "77")},
        {"PatientID": ("77", ""), "PatientName": ("", "Doe^John")},
    ],
)
def test_the_same_patient_written_in_another_way_is_not_told(tmp_path: Path, tags: dict) -> None:
    assert not any("different patients" in sentence for sentence in said(tmp_path, **tags))


@pytest.mark.parametrize(
    ("parts", "differ"),
    [
        (("CHEST", "LSPINE"), True),
        (("THORAX", "LUMBAR SPINE"), True),
        (("CSPINE", "L SPINE"), True),
        (("ABDOMEN", "LSPINE"), False),
        (("TLSPINE", "LSSPINE"), False),
        (("SPINE", "LSPINE"), False),
        (("CHEST", None), False),
        (("CERVICAL SPINE", "LUMBAR SPINE"), True),
        (("CERVICAL SPINE", "LSPINE"), True),
        (("THORACIC SPINE", "CSPINE"), True),
        (("DORSAL SPINE", "L-SPINE"), True),
        (("FULL SPINE", "CERVICAL SPINE"), False),
        (("TOTAL SPINE", "C_SPINE"), False),
    ],
)
def test_a_chest_beside_a_lumbar_lateral_is_told(tmp_path: Path, parts: tuple, differ: bool) -> None:
    found = [one for one in said(tmp_path, BodyPartExamined=parts) if "different parts of the body" in one]
    assert len(found) == int(differ)
    assert not differ or all(part.upper() in found[0] for part in parts)


C, T, L = CERVICAL, THORACIC, LUMBAR


@pytest.mark.parametrize(
    ("body_part", "regions"),
    [
        *((text, {C}) for text in ("CERVICAL SPINE", "CSPINE", "C SPINE", "c-spine", "NECK", "SKULL", "HEAD")),
        *((text, {T}) for text in ("THORACIC SPINE", "DORSAL SPINE", "TSPINE", "DSPINE", "D SPINE AP", "CHEST")),
        *((text, {L}) for text in ("LUMBAR SPINE", "LSPINE", "L SPINE", "L_SPINE", "LSSPINE", "L/S SPINE", "SSPINE")),
        *((text, {T, L}) for text in ("TLSPINE", "T-L SPINE", "THORACOLUMBAR SPINE", "DORSOLUMBAR SPINE")),
        *((text, {C, T}) for text in ("CTSPINE", "CERVICOTHORACIC SPINE")),
        *((text, {C, T, L}) for text in ("FULL SPINE", "TOTAL SPINE", "WHOLE SPINE", "WHOLEBODY", "SCOLIOSIS")),
        *((text, set()) for text in ("SPINE", "CT SPINE", "CERVIX", "WHIPLASH", "", None)),
        ("LUMBOSACRAL SPINE", {L}),
        ("CT LSPINE", {L}),
    ],
)
def test_a_body_part_names_its_regions_and_no_other(body_part: str | None, regions: set[str]) -> None:
    assert regions_of(body_part) == regions


def test_two_ap_views_are_told_as_such_and_not_as_swapped(tmp_path: Path) -> None:
    sentences = said(tmp_path, PatientOrientation=["L", "F"], ViewPosition="AP")
    (found,) = [sentence for sentence in sentences if "Both radiographs are frontal" in sentence]
    assert "Choose a lateral radiograph" in found
    assert not any("swapped" in sentence for sentence in sentences)
    laterals = said(tmp_path, PatientOrientation=["P", "F"], ViewPosition="LL")
    assert any("Both radiographs are lateral" in sentence for sentence in laterals)


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"ImageType": ["DERIVED", "PRIMARY", "", "STITCHED"]}, "Image Type (0008,0008) says STITCH"),
        ({"SeriesDescription": "Full spine, stitched"}, "Series Description (0008,103E) says STITCH"),
        ({"DerivationDescription": "composed of 3 images"}, "Derivation Description (0008,2111) says COMPOSED"),
    ],
)
def test_exposures_that_the_vendor_stitched_are_told_by_what_the_header_says(
    tmp_path: Path, tags: dict, words: str
) -> None:
    (found,) = [one for one in said(tmp_path, **tags) if "several exposures" in one]
    assert words in found
    assert found.startswith("AP and lateral: The image is 230 mm long and it was put together")
    assert "several points" in found
    assert not any("several exposures" in one for one in said(tmp_path, SeriesDescription="Lumbar spine"))
