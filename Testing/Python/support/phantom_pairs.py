"""The built-in phantom's two radiographs through the C-arm."""

from __future__ import annotations

from TomoRayLib.geometry.presets import c_arm
from TomoRayLib.jobs.demonstration_phantom import phantom_volumes
from TomoRayLib.synthesis.acquisition import vertebrae_center_mm
from TomoRayLib.synthesis.arrangement import Pair
from TomoRayLib.synthesis.rendering import render
from TomoRayLib.synthesis.settings import Exposure


def rendered_phantom(exposure: Exposure = Exposure()) -> Pair:  # noqa: B008 (frozen)
    """AP and lateral about the middle of its vertebrae, with their true views."""
    ct, labels = phantom_volumes()
    views = c_arm(vertebrae_center_mm(labels))
    images = render(ct, {"ap": views.ap, "lat": views.lateral}, exposure)
    return Pair(images["ap"], images["lat"], views)
