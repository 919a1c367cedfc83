"""Views as plain numbers: there and back, and what is refused."""

from __future__ import annotations

import json

import pytest

from TomoRayLib.base.errors import InputError
from TomoRayLib.geometry.beams import ConeBeam
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.presets import PRESETS, c_arm
from TomoRayLib.geometry.view_json import view_from_dict, view_to_dict
from TomoRayLib.geometry.views import View

VIEWS = {
    "cone": View(
        ConeBeam(900.0, 1400.0), Detector(60, 80, (0.7, 1.3), (5.0, -9.0)), 25.0, 12.0, -7.0, (3.0, -4.0, 5.0)
    ),
    "lateral": c_arm().lateral,
    "parallel": PRESETS["parallel"]().ap,
}


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_survives_json(name: str) -> None:
    assert view_from_dict(json.loads(json.dumps(view_to_dict(VIEWS[name])))) == VIEWS[name]


@pytest.mark.parametrize("broken", [{}, {"beam": {"kind": "fan"}, "detector": {}}, {"beam": {"kind": "cone"}, "x": 1}])
def test_a_broken_view_is_refused(broken: dict) -> None:
    with pytest.raises(InputError, match="beam"):
        view_from_dict(broken)
