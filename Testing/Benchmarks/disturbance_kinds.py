"""Kinds of disturbance that are normal in hospitals, each as a change of one rendered pair of radiographs.

A ``Film`` is one radiograph as a console has it: its pixels, bone bright, and what its header will state. Geometry is
disturbed where the pair is rendered (what the machine did) or in the header (what it says); pixels afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from TomoRayLib.geometry.beams import ConeBeam
from TomoRayLib.geometry.presets import c_arm, ct_scout
from TomoRayLib.geometry.views import Biplanar, View
from TomoRayLib.synthesis.settings import Exposure

Pixels = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Film:
    """One radiograph (rows, columns), bone bright, and its DICOM header by keyword."""

    pixels: Pixels
    header: dict[str, Any] = field(default_factory=dict)


Change = Callable[[Film], Film]
Taken = Callable[[Biplanar], Biplanar]


def _same_film(film: Film) -> Film:
    return film


def _same_pair(pair: Biplanar) -> Biplanar:
    return pair


@dataclass(frozen=True, eq=False)
class Kind:
    """A disturbance.

    Args:
        name: What happened, as a line of the table.
        group: Under which heading it stands.
        taken: The true views, from those that the headers state.
        exposure: What the pixels show.
        ap: Change of the AP film; also of the lateral one if ``lateral`` is None.
        lateral: Change of the lateral film.
        swapped: Give the lateral as AP and the other way round.
        stranger: Take the lateral of another patient: of the CT turned about and made shorter.
    """

    name: str
    group: str
    taken: Taken = _same_pair
    exposure: Exposure = Exposure()  # noqa: RUF009 (frozen)
    ap: Change = _same_film
    lateral: Change | None = None
    swapped: bool = False
    stranger: bool = False

    def changed(self, ap: Film, lateral: Film) -> tuple[Film, Film]:
        """Both films, disturbed."""
        return self.ap(ap), (self.ap if self.lateral is None else self.lateral)(lateral)


# Geometry: what the machine did, while the headers state the straight pair.


def moved(view: View, x_mm: float = 0.0, y_mm: float = 0.0, z_mm: float = 0.0) -> View:
    x, y, z = view.isocenter_mm
    return view.moved_to((x + x_mm, y + y_mm, z + z_mm))


def lateral_moved(x_mm: float = 0.0, y_mm: float = 0.0, z_mm: float = 0.0) -> Taken:
    return lambda pair: Biplanar(pair.ap, moved(pair.lateral, x_mm, y_mm, z_mm), pair.ap.isocenter_mm)


def ap_moved(x_mm: float = 0.0, y_mm: float = 0.0, z_mm: float = 0.0) -> Taken:
    return lambda pair: Biplanar(moved(pair.ap, x_mm, y_mm, z_mm), pair.lateral, pair.ap.isocenter_mm)


def turned(ap: dict[str, float] | None = None, lateral: dict[str, float] | None = None) -> Taken:
    """Views off their angles in degrees, by the fields of ``View``."""

    def change(view: View, by: dict[str, float] | None) -> View:
        return replace(view, **{name: getattr(view, name) + value for name, value in (by or {}).items()})

    return lambda pair: replace(pair, ap=change(pair.ap, ap), lateral=change(pair.lateral, lateral))


def with_beam(sad_mm: float, sid_mm: float) -> Taken:
    return lambda pair: replace(
        pair,
        ap=replace(pair.ap, beam=ConeBeam(sad_mm, sid_mm)),
        lateral=replace(pair.lateral, beam=ConeBeam(sad_mm, sid_mm)),
    )


def as_slot(pair: Biplanar) -> Biplanar:
    return ct_scout(pair.ap.isocenter_mm)


# Headers: what they state, while the machine stood straight.


def stating(**values: Any) -> Change:
    """Header with these values; None takes one away."""

    def change(film: Film) -> Film:
        header = {**film.header, **values}
        return replace(film, header={name: value for name, value in header.items() if value is not None})

    return change


def spaced(factor: float) -> Change:
    """The detector's pixels stated larger than they are."""

    def change(film: Film) -> Film:
        spacing = [value * factor for value in film.header["ImagerPixelSpacing"]]
        return replace(film, header={**film.header, "ImagerPixelSpacing": spacing})

    return change


def calibrated(magnification: float) -> Change:
    """A Pixel Spacing (0028,0030) measured on a ball beside the spine, beside that of the detector."""

    def change(film: Film) -> Film:
        spacing = [value / magnification for value in film.header["ImagerPixelSpacing"]]
        return replace(film, header={**film.header, "PixelSpacing": spacing, "PixelSpacingCalibrationType": "FIDUCIAL"})

    return change


# Pixels.


def pixels(change: Callable[[Pixels], Any]) -> Change:
    return lambda film: replace(film, pixels=np.asarray(change(film.pixels), dtype=np.float32))


def bordered(share: float, white: bool, sides: str = "tblr") -> Change:
    """A border of ``share`` of the height or width on the sides, black or as bright as lead."""

    def change(image: Pixels) -> Pixels:
        rows, columns = image.shape
        high, wide = round(share * rows), round(share * columns)
        result = image.copy()
        grey = 1.1 * image.max() if white else image.min()
        places = {
            "t": np.s_[:high],
            "b": np.s_[rows - high :],
            "l": np.s_[:, :wide],
            "r": np.s_[:, columns - wide :],
        }
        for side in sides:
            result[places[side]] = grey
        return result

    return pixels(change)


def oblique_border(share: float, white: bool, degrees: float) -> Change:
    def change(image: Pixels) -> Pixels:
        rows, columns = image.shape
        y, x = np.mgrid[:rows, :columns]
        y, x = y - (rows - 1) / 2, x - (columns - 1) / 2
        cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        u, v = x * cosine + y * sine, y * cosine - x * sine
        field_of_view = (abs(u) < (0.5 - share) * columns) & (abs(v) < (0.5 - share) * rows)
        return np.where(field_of_view, image, 1.1 * image.max() if white else image.min())

    return pixels(change)


def round_field(image: Pixels) -> Pixels:
    """The circle of an image intensifier."""
    rows, columns = image.shape
    y, x = np.mgrid[:rows, :columns]
    inside = np.hypot((y - (rows - 1) / 2) / (rows / 2), (x - (columns - 1) / 2) / (columns / 2)) < 0.97
    return np.where(inside, image, image.min())


def texted(white: bool, boxed: bool = False, size_share: float = 0.045) -> Change:
    """Burnt-in text in the corners, and a letter beside the spine."""

    def change(image: Pixels) -> Pixels:
        rows, columns = image.shape
        mask = Image.new("L", (columns, rows), 0)
        draw = ImageDraw.Draw(mask)
        font = ImageFont.load_default(size=max(8, round(size_share * rows)))
        large = ImageFont.load_default(size=max(8, round(2 * size_share * rows)))
        boxes = []
        for place, text, kind in (
            ((0.03, 0.03), "SPINE  80 kV", font),
            ((0.03, 0.09), "12 mAs  14:32", font),
            ((0.6, 0.9), "Series 3", font),
            ((0.72, 0.2), "L", large),
        ):
            at = (place[0] * columns, place[1] * rows)
            boxes.append(draw.textbbox(at, text, font=kind))
            draw.text(at, text, fill=255, font=kind)
        letters = np.asarray(mask) > 127
        result = image.copy()
        if boxed:
            for left, top, right, bottom in boxes:
                result[int(top) - 3 : int(bottom) + 3, int(left) - 3 : int(right) + 3] = image.min()
        result[letters] = 1.1 * image.max() if white else image.min()
        return result

    return pixels(change)


def implanted(image: Pixels) -> Pixels:
    """Eight screws of metal beside the middle."""
    result, (rows, columns) = image.copy(), image.shape
    for row in np.linspace(0.35, 0.65, 4):
        for column in (0.45, 0.53):
            y, x = round(row * rows), round(column * columns)
            result[y : y + max(2, rows // 60), x : x + columns // 12] = image.max() * 1.05
    return result


def edges_enhanced(amount: float, sd_px: float) -> Change:
    return pixels(lambda image: image + amount * (image - ndimage.gaussian_filter(image, sd_px)))


def levelled(image: Pixels) -> Pixels:
    """Multi-scale contrast: coarse differences made small, fine ones large, as consoles have it."""
    coarse = ndimage.gaussian_filter(image, image.shape[0] / 12)
    middle = ndimage.gaussian_filter(image, image.shape[0] / 60)
    return 0.35 * coarse + 1.0 * (middle - coarse) + 1.8 * (image - middle)


def windowed(low: float, high: float) -> Change:
    def change(image: Pixels) -> Pixels:
        first, last = np.percentile(image, (low, high))
        return np.clip(image, first, last)

    return pixels(change)


def curved(gamma: float) -> Change:
    def change(image: Pixels) -> Pixels:
        share = (image - image.min()) / np.ptp(image)
        return share**gamma

    return pixels(change)


def shuttered(film: Film) -> Film:
    """A linear picture, as a detector measures it: bone dark, and the header says so."""
    values = np.exp(-film.pixels)
    return Film(values, {**film.header, "PixelIntensityRelationship": "LIN", "PixelIntensityRelationshipSign": 1})


def grid_lines(image: Pixels) -> Pixels:
    """Lines of a standing grid, 4 pixels apart, of 6 % contrast."""
    return image * (1 + 0.06 * np.sin(2 * np.pi * np.arange(image.shape[1]) / 4.0))


def banded(image: Pixels) -> Pixels:
    """Two films stitched with a step: the lower half darker by a tenth."""
    result = image.copy()
    result[round(0.55 * len(image)) :] -= 0.1 * np.ptp(image)
    return result


def inverted(image: Pixels) -> Pixels:
    return image.max() + image.min() - image


KINDS = (
    Kind("none", "as it should be"),
    Kind("lateral 10 mm higher", "views apart", lateral_moved(z_mm=10)),
    Kind("lateral 30 mm higher", "views apart", lateral_moved(z_mm=30)),
    Kind("lateral 30 mm lower", "views apart", lateral_moved(z_mm=-30)),
    Kind("lateral 55 mm higher", "views apart", lateral_moved(z_mm=55)),
    Kind("AP 30 mm higher", "views apart", ap_moved(z_mm=30)),
    Kind("lateral 10 mm off in depth", "views apart", lateral_moved(y_mm=-10)),
    Kind("lateral 20 mm off in depth", "views apart", lateral_moved(y_mm=-20)),
    Kind("AP 20 mm to the side", "views apart", ap_moved(x_mm=20)),
    Kind("lateral 30 mm higher, 20 mm off in depth", "views apart", lateral_moved(y_mm=20, z_mm=30)),
    Kind("AP turned by 5 degrees", "angles", turned({"gantry_angle_deg": 5.0})),
    Kind("lateral turned by 5 degrees", "angles", turned(None, {"gantry_angle_deg": 5.0})),
    Kind("lateral turned by 10 degrees", "angles", turned(None, {"gantry_angle_deg": 10.0})),
    Kind("AP tilted by 5 degrees", "angles", turned({"tilt_deg": 5.0})),
    Kind("lateral tilted by 5 degrees", "angles", turned(None, {"tilt_deg": 5.0})),
    Kind("AP rolled by 5 degrees", "angles", turned({"roll_deg": 5.0})),
    Kind("lateral rolled by 5 degrees", "angles", turned(None, {"roll_deg": 5.0})),
    Kind("lateral stated 5 % too large", "scale", lateral=spaced(1.05)),
    Kind("lateral stated 5 % too small", "scale", lateral=spaced(0.95)),
    Kind("lateral stated 20 % too small", "scale", lateral=spaced(0.8)),
    Kind("both stated 5 % too large", "scale", ap=spaced(1.05)),
    Kind("spacing calibrated at the patient, called so", "scale", ap=calibrated(1.536)),
    Kind("spacing calibrated at the patient, called the detector's", "scale", ap=spaced(1 / 1.536)),
    Kind(
        "no distances stated, in truth SAD 1500, SID 1800",
        "scale",
        with_beam(1500.0, 1800.0),
        ap=stating(DistanceSourceToDetector=None, DistanceSourceToPatient=None),
    ),
    Kind("scatter .25 of the primary", "exposure", exposure=Exposure(scatter_to_primary=0.25)),
    Kind("scatter .5 of the primary", "exposure", exposure=Exposure(scatter_to_primary=0.5)),
    Kind("scatter as much as the primary", "exposure", exposure=Exposure(scatter_to_primary=1.0)),
    Kind("80 kV", "exposure", exposure=Exposure(kvp=80.0)),
    Kind("80 kV, scatter 1", "exposure", exposure=Exposure(kvp=80.0, scatter_to_primary=1.0)),
    Kind("120 kV, scatter 2", "exposure", exposure=Exposure(kvp=120.0, scatter_to_primary=2.0)),
    Kind("few photons (20,000 a pixel)", "exposure", exposure=Exposure(kvp=80.0, photons=20_000.0)),
    Kind(
        "moved during the exposure (4 mm blur)",
        "exposure",
        ap=pixels(lambda image: ndimage.gaussian_filter(image, (4.0 / 1.5, 1.0))),
    ),
    Kind("edges enhanced", "console", ap=edges_enhanced(1.5, 4.0)),
    Kind("multi-scale contrast", "console", ap=pixels(levelled)),
    Kind("windowed to the 5th to 95th percentile", "console", ap=windowed(5, 95)),
    Kind("windowed to the 25th to 75th percentile", "console", ap=windowed(25, 75)),
    Kind("gamma .5", "console", ap=curved(0.5)),
    Kind("gamma 2", "console", ap=curved(2.0)),
    Kind("raw linear pixels, header says so", "console", ap=shuttered),
    Kind("lines of a grid", "console", ap=pixels(grid_lines)),
    Kind("stitched with a step", "console", ap=pixels(banded)),
    Kind("black border of 10 %", "borders and letters", ap=bordered(0.1, white=False)),
    Kind("white border of 10 %", "borders and letters", ap=bordered(0.1, white=True)),
    Kind("white border of 10 %, lateral alone", "borders and letters", lateral=bordered(0.1, white=True)),
    Kind("white border of 15 % at left and right", "borders and letters", ap=bordered(0.15, True, "lr")),
    Kind("white border of 8 %, 4 degrees oblique", "borders and letters", ap=oblique_border(0.08, True, 4.0)),
    Kind("round field", "borders and letters", ap=pixels(round_field)),
    Kind("white text", "borders and letters", ap=texted(white=True)),
    Kind("black text", "borders and letters", ap=texted(white=False)),
    Kind("white text in black boxes", "borders and letters", ap=texted(white=True, boxed=True)),
    Kind("screws", "borders and letters", ap=pixels(implanted)),
    Kind("both inverted, header silent", "mistakes", ap=pixels(inverted)),
    Kind("views swapped", "mistakes", swapped=True, ap=stating(PatientOrientation=None)),
    Kind(
        "lateral mirrored, header silent",
        "mistakes",
        ap=stating(PatientOrientation=None),
        lateral=lambda film: Film(film.pixels[:, ::-1], {**film.header, "PatientOrientation": None}),
    ),
    Kind("lateral of another patient", "mistakes", stranger=True),
    Kind("AP of the chest, 150 mm higher", "mistakes", ap_moved(z_mm=150)),
    Kind("scouts, headers say C-arm", "mistakes", as_slot),
)


def stated_pair(center_mm: tuple[float, float, float]) -> Biplanar:
    """The pair that the headers state: a C-arm about ``center_mm``."""
    return c_arm(center_mm)
