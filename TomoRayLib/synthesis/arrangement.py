"""Two radiographs and their views, arranged: exchanged, turned, mirrored, inverted."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.geometry.views import Biplanar, View
from TomoRayLib.images.pair_checks import check_pair
from TomoRayLib.images.types import Radiograph
from TomoRayLib.synthesis.acquisition import oriented
from TomoRayLib.synthesis.settings import Arrangement

LARGEST_OFF_NOMINAL_DEG = 45.0  # a view farther than this from its nominal direction is the other view


@dataclass(frozen=True)
class Pair:
    """AP and lateral radiograph, (rows, columns) each, on the detectors of ``views``."""

    ap: NDArray[np.float32]
    lateral: NDArray[np.float32]
    views: Biplanar

    def arranged(self, how: Arrangement) -> Pair:
        """Return the pair as ``how`` takes it; size, spacing and offset of the detectors go with their images."""
        pair = self._swapped() if how.swapped else self
        ap, ap_view = oriented(pair.ap, pair.views.ap, how.flip_ap, how.invert_ap, how.turn_ap)
        lateral, lateral_view = oriented(
            pair.lateral, pair.views.lateral, how.flip_lateral, how.invert_lateral, how.turn_lateral
        )
        return Pair(ap, lateral, replace(pair.views, ap=ap_view, lateral=lateral_view))

    def _swapped(self) -> Pair:
        """Both images in each other's place.

        Angles that only say which image is which stay in their place; those that were read from the images, and show
        that they are in the wrong place, go with them.
        """
        ap, lateral = self.views.lateral, self.views.ap
        if _off_deg(self.views.ap) < LARGEST_OFF_NOMINAL_DEG:
            ap, lateral = _directed_as(ap, self.views.ap), _directed_as(lateral, self.views.lateral)
        return Pair(self.lateral, self.ap, replace(self.views, ap=ap, lateral=lateral))


def _off_deg(view: View) -> float:
    """Angle (0..90) between the line along which a view looks and the front-back axis."""
    return abs((view.gantry_angle_deg + 90.0) % 180.0 - 90.0)


def _directed_as(view: View, other: View) -> View:
    return replace(view, gantry_angle_deg=other.gantry_angle_deg, tilt_deg=other.tilt_deg, roll_deg=other.roll_deg)


def pair_warnings(ap: Radiograph, lateral: Radiograph, views: Biplanar, how: Arrangement) -> list[str]:
    """Return what ``check_pair`` says of two radiographs once they are turned as ``how`` has it.

    Raises InputError for one image given twice.
    """
    upright = Pair(ap.pixels, lateral.pixels, views).arranged(
        Arrangement(turn_ap=how.turn_ap, turn_lateral=how.turn_lateral)
    )
    ap, lateral = _turned(ap, upright.ap, how.turn_ap), _turned(lateral, upright.lateral, how.turn_lateral)
    return check_pair(ap, lateral, upright.views, invert_ap=how.invert_ap, invert_lateral=how.invert_lateral)


def _turned(image: Radiograph, pixels: NDArray[np.float32], degrees: int) -> Radiograph:
    """A radiograph with its pixels turned already; its spacing is turned here."""
    spacing_mm = image.pixel_spacing_mm
    if spacing_mm is not None and degrees % 180:
        spacing_mm = (spacing_mm[1], spacing_mm[0])
    return replace(image, pixels=pixels, pixel_spacing_mm=spacing_mm)
