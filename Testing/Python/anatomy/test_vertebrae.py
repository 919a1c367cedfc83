"""Names and numbers of vertebrae."""

from __future__ import annotations

import pytest

from TomoRayLib.anatomy.vertebrae import LABEL_OF_NAME, label_of_structure, region_of


def test_a_vertebra_belongs_to_a_part_of_the_spine_by_its_name() -> None:
    assert [region_of(name) for name in ("C7", "T13", "L6")] == ["cervical", "thoracic", "lumbar"]
    with pytest.raises(ValueError, match="name of a vertebra"):
        region_of("S1")


@pytest.mark.parametrize(
    ("vertebra", "names"),
    [
        ("L1", "lumbar vertebra 1|L 1|L-1|L_1|VB_L1|L1_seg|L1_mask|mask L1|1st lumbar vertebra|vertebra 1 lumbar"),
        ("L1", "Vertebra L1|vertebrae_L1|L1 vertebra|first lumbar vertebra|LWK1|LWK 1|1. LWK|vertebraeL1|L01|vb L1"),
        ("L5", "5th lumbar vertebra|fifth lumbar vertebra|lumbar vertebra 5|lumbar_vertebra5|L5_vertebra_left_half"),
        ("T12", "D12|Th12|TH 12|T12|twelfth thoracic vertebra|12th dorsal vertebra|thoracic vertebra T12"),
        ("T7", "BWK 7|7. BWK|BWK07|thoracic vertebra 07"),
        ("C1", "Atlas|atlas (C1)|HWK 1|cervical vertebra 1|first cervical vertebra"),
        ("C2", "Axis|C2 (axis)|vertebra_axis"),
    ],
)
def test_usual_names_of_a_vertebra_are_known(vertebra: str, names: str) -> None:
    assert {name: label_of_structure(name) for name in names.split("|")} == dict.fromkeys(
        names.split("|"), LABEL_OF_NAME[vertebra]
    )


OTHERS = (
    "rib L1|rib_left_3|disc L1-L2|L1-L2|vertebrae L1-L3|vertebrae L1-3|L1-2|left 1|1 L|LV1|L|L9|C8|sacrum|S1|"
    "kidney L 1|lumbar vertebrae 1-3|vertebra|vertebra 1|vertebral canal at L1|thoracic|lumbar|atlas axis|T1 nerve|"
    "screw L 1|CT 1|L1 spinous process|Segment_1|lumbar vertebrae|first vertebra|tumour L1|aorta T12|"
)


@pytest.mark.parametrize("name", OTHERS.split("|"))
def test_other_structures_and_several_vertebrae_are_no_vertebra(name: str) -> None:
    assert label_of_structure(name) is None
