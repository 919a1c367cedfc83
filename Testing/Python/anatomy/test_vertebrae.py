"""Names and numbers of vertebrae."""

from __future__ import annotations

import pytest

from TomoRayLib.anatomy.vertebrae import region_of


def test_a_vertebra_belongs_to_a_part_of_the_spine_by_its_name() -> None:
    assert [region_of(name) for name in ("C7", "T13", "L6")] == ["cervical", "thoracic", "lumbar"]
    with pytest.raises(ValueError, match="name of a vertebra"):
        region_of("S1")
