"""From arrays to pictures: scaling to square pixels, orientation letters, scale bars, the marking, PNG."""

from __future__ import annotations

import base64
import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from TomoRayLib.report.png import png_of
from TomoRayLib.report.slices import Edges

Rgb = tuple[int, int, int]
WHITE, AMBER, INK, OUTLINE = (255, 255, 255), (255, 196, 61), (24, 32, 42), (57, 214, 255)


def scaled(
    values: NDArray[Any], pixel_mm: tuple[float, float], pixels_per_mm: float, *, smooth: bool = True
) -> NDArray[np.float32]:
    """Scale ``values`` (row, column) with (row, column) ``pixel_mm`` to a picture of square pixels, float32.

    The size is rounded to integer pixels: rows * pixel_mm[0] * pixels_per_mm.
    """
    rows, columns = picture_size(values.shape, pixel_mm, pixels_per_mm)
    method = Image.Resampling.BICUBIC if smooth else Image.Resampling.BILINEAR
    picture = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32)).resize((columns, rows), method)
    return np.asarray(picture)


def picture_size(shape: tuple[int, ...], pixel_mm: tuple[float, float], pixels_per_mm: float) -> tuple[int, int]:
    """(rows, columns) of a scaled picture."""
    return (
        max(1, round(shape[0] * pixel_mm[0] * pixels_per_mm)),
        max(1, round(shape[1] * pixel_mm[1] * pixels_per_mm)),
    )


def scale_bar_px(length_mm: float, pixels_per_mm: float) -> int:
    """Length of a scale bar in integer pixels."""
    return round(length_mm * pixels_per_mm)


def grey_picture(share: NDArray[Any]) -> Image.Image:
    """A grey picture, RGB: 0 is black and 1 is white (clipped)."""
    grey = np.rint(np.clip(share, 0.0, 1.0) * 255).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")


def outline(mask: NDArray[np.float32], width_px: int = 2) -> NDArray[np.bool_]:
    """The border of a scaled mask (0..1): the pixels just inside its 0.5 contour."""
    inside = mask > 0.5
    inner = np.pad(inside, width_px, mode="edge")
    eroded = np.ones_like(inside)
    rows, columns = inside.shape
    for down, right in ((0, 1), (2, 1), (1, 0), (1, 2)):
        top, left = down * width_px, right * width_px
        eroded &= inner[top : top + rows, left : left + columns]
    return inside & ~eroded


def paint(picture: Image.Image, where: NDArray[np.bool_], color: Rgb) -> Image.Image:
    """A copy of the picture with ``where`` (rows, columns) in one colour."""
    array = np.asarray(picture).copy()
    array[where] = color
    return Image.fromarray(array)


def annotate(
    picture: Image.Image,
    edges: Edges | None,
    pixels_per_mm: float,
    *,
    bar_mm: float | None = 50.0,
    marking: str | None = None,
    dark_on_light: bool = False,
    text_px: int = 17,
) -> Image.Image:
    """The picture with letters at its four edges, a scale bar at the lower right, and the marking at the top left."""
    draw = ImageDraw.Draw(picture)
    width, height = picture.size
    ink, halo = (INK, WHITE) if dark_on_light else (WHITE, (0, 0, 0))
    gap = round(text_px * 0.5)
    if edges is not None:
        places = {
            edges.left: (gap, height // 2, "lm"),
            edges.right: (width - gap, height // 2, "rm"),
            edges.top: (width // 2, gap, "mt"),
            edges.bottom: (width // 2, height - gap, "mb"),
        }
        for letter, (x, y, anchor) in places.items():
            _text(draw, (x, y), letter, anchor, ink, halo, round(text_px * 1.15))
    if bar_mm is not None:
        _scale_bar(draw, picture.size, bar_mm, pixels_per_mm, ink, halo, text_px)
    if marking:
        color = (150, 70, 0) if dark_on_light else AMBER
        _text(draw, (gap, gap), marking, "lt", color, halo, round(text_px * 0.86))
    return picture


def write_text(
    picture: Image.Image,
    place: tuple[float, float],
    text: str,
    *,
    size_px: int,
    color: Rgb = INK,
    anchor: str = "lt",
    halo: Rgb | None = None,
) -> None:
    """Put a line of text onto the picture; ``anchor`` as in Pillow (first letter l m r, second t m b)."""
    _text(ImageDraw.Draw(picture), place, text, anchor, color, halo, size_px)


def text_width_px(text: str, size_px: int) -> int:
    """Width of a line of text as ``write_text`` writes it."""
    return math.ceil(_font(size_px).getlength(text))


def on_white(rgba: NDArray[np.uint8], background: Rgb = WHITE) -> Image.Image:
    """An RGBA picture laid on an even background."""
    below = Image.new("RGBA", (rgba.shape[1], rgba.shape[0]), (*background, 255))
    below.alpha_composite(Image.fromarray(rgba))
    return below.convert("RGB")


def png_bytes(picture: Image.Image) -> bytes:
    """The picture as a PNG file, 8 bits; grey pictures without colour are stored as grey."""
    known = picture if picture.mode in ("L", "RGB", "RGBA") else picture.convert("RGB")
    return png_of(np.asarray(known))


def data_uri(png: bytes) -> str:
    """A PNG as a ``data:`` address, for a page that needs no other file."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _scale_bar(
    draw: ImageDraw.ImageDraw,
    size: tuple[int, int],
    bar_mm: float,
    pixels_per_mm: float,
    ink: Rgb,
    halo: Rgb,
    text_px: int,
) -> None:
    length = scale_bar_px(bar_mm, pixels_per_mm)
    width, height = size
    gap, thick = round(text_px * 0.6), max(2, text_px // 6)
    right, bottom = width - gap, height - gap
    draw.rectangle((right - length - 1, bottom - thick, right + 1, bottom + 1), fill=halo)
    draw.rectangle((right - length + 1, bottom - thick + 1, right, bottom), fill=ink)
    middle = right - length / 2
    if length < width * 0.4:  # else a text above the middle would cover the bottom letter
        _text(draw, (middle, bottom - thick - 4), f"{bar_mm:g} mm", "mb", ink, halo, round(text_px * 0.86))
    else:
        _text(draw, (right, bottom - thick - 4), f"{bar_mm:g} mm", "rb", ink, halo, round(text_px * 0.86))


def _text(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    anchor: str,
    color: Rgb,
    halo: Rgb | None,
    size_px: int,
) -> None:
    stroke = 0 if halo is None else max(1, size_px // 10)
    draw.text(place, text, fill=color, anchor=anchor, font=_font(size_px), stroke_width=stroke, stroke_fill=halo)


@lru_cache(maxsize=16)
def _font(size_px: int) -> Any:
    """Pillow's own outline font, so that no font need be installed."""
    return ImageFont.load_default(size=size_px)
