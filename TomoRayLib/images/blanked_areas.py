"""What a radiograph shows that is no X-ray of the patient: borders, letters and text, found, told and filled.

A network reads the image with these areas filled from their surroundings: borders continue what lies at their edge,
letters what lies around them. Of the fillings tried (floor, median, the edge continued, mirrored, with more or less
smoothing) this one, smoothed a little, lost least.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from TomoRayLib.images.borders import ROUND, Border, find_borders
from TomoRayLib.images.letters import Letters, find_letters

FILLED_PX = 400  # the size at which fillings are made, which are smooth
BORDER_SD = 0.0125  # of the image's size: smoothing of what continues the edge
LETTERS_SD = 0.004
LEAST_CHANGE = 0.01  # of the image's range: a filling that changes less is not made, such as air in place of black
LARGEST_SHARE = 0.75  # of the image: if more is blank, too little is left to fill it from


@dataclass(frozen=True, eq=False)
class Cleaned:
    """A radiograph (rows, columns) with borders, letters and text filled, and which of them were.

    ``pixels`` is the array that was given if there were none. ``warning`` is a sentence on borders and letters that
    were found but left, as too little of the image lies outside them.
    """

    pixels: NDArray[np.float32]
    borders: tuple[Border, ...] = ()
    letters: tuple[Letters, ...] = ()
    warning: str | None = None

    @property
    def notes(self) -> list[str]:
        """A sentence on the borders and one on the letters, if there are any.

        Places are shares of the image as it is read: its pixels may be fewer than its file's, or lie otherwise.
        """
        notes = []
        if self.borders:
            told, verb = _borders_in_words(self.borders, self.pixels.shape)
            notes.append(f"{told} {verb} left out for the network: the image is continued there.")
        if self.letters:
            places = _letters_in_words(self.letters, self.pixels.shape)
            notes.append(f"letters or text left out for the network, on the image as it is read: {places}.")
        return notes

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Boolean (rows, columns): the pixels of the borders, letters and texts."""
        mask = np.zeros(self.pixels.shape, dtype=bool)
        for border in self.borders:
            mask |= border.mask
        for one in self.letters:
            mask[one.place] |= one.mask
        return mask


def cleaned(pixels: NDArray[np.float32]) -> Cleaned:
    """Find borders, letters and text on a radiograph and fill them.

    Args:
        pixels: (rows, columns), bone bright or dark, at any scale.

    Returns:
        The image, filled where its content would change: black beside air stays as it is, and is not named.
    """
    borders = find_borders(pixels)
    hidden = np.zeros(pixels.shape, dtype=bool)
    for border in borders:
        hidden |= _grown(border.mask, 1 + border.blur_px)
    letters = find_letters(pixels, hidden if borders else None)
    if not borders and not letters:
        return Cleaned(pixels)
    written = np.zeros(pixels.shape, dtype=bool)
    for one in letters:
        written[one.place] |= one.mask
    result = _filled(pixels, hidden | written, written & ~hidden)
    low, high = np.percentile(pixels, (0.5, 99.5))
    least = LEAST_CHANGE * float(high - low)
    kept_borders = tuple(one for one in borders if _change(pixels, result, one.mask) > least)
    kept_letters = tuple(one for one in letters if _change(pixels[one.place], result[one.place], one.mask) > least)
    if not kept_borders and not kept_letters:
        return Cleaned(pixels)
    share = float((hidden | written).mean())
    if share > LARGEST_SHARE:
        return Cleaned(pixels, warning=_too_much(share, kept_borders, kept_letters, pixels.shape))
    return Cleaned(result, kept_borders, kept_letters)


def _too_much(share: float, borders: tuple[Border, ...], letters: tuple[Letters, ...], shape: tuple[int, ...]) -> str:
    """A sentence on what covers so much of an image that it is left as it is."""
    found = [_borders_in_words(borders, shape)[0]] if borders else []
    found += ["letters or text"] if letters else []
    return (
        f"{' and '.join(found)} found, but left as they are: with {_percent(share)} of the image blank too little is "
        "left to fill them from, and the network takes them for anatomy. Crop the image to the exposed field."
    )


def _grown(mask: NDArray[np.bool_], steps: int) -> NDArray[np.bool_]:
    """The mask and ``steps`` pixels more, along rows and columns."""
    grown: NDArray[np.bool_] = ndimage.maximum_filter(mask, size=2 * steps + 1)
    return grown


def _change(before: NDArray[np.float32], after: NDArray[np.float32], mask: NDArray[np.bool_]) -> float:
    return float(np.abs(after[mask] - before[mask]).mean())


def _filled(pixels: NDArray[np.float32], blank: NDArray[np.bool_], written: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The image with its ``blank`` pixels, of which ``written`` are letters, filled from the others."""
    block = -(-max(pixels.shape) // FILLED_PX)
    counts = _block_sums((~blank).astype(np.float32), block)
    means = _block_sums(np.where(blank, np.float32(0), pixels), block) / np.maximum(counts, 1)
    nearest = ndimage.distance_transform_edt(counts < 0.5 * counts.max(), return_distances=False, return_indices=True)
    continued = means[tuple(nearest)]
    result = pixels.copy()
    for mask, share in ((blank & ~written, BORDER_SD), (written, LETTERS_SD)):
        places = np.nonzero(mask)
        if len(places[0]):
            smooth = ndimage.gaussian_filter(continued, share * max(continued.shape), mode="nearest")
            at = [(place + 0.5) / block - 0.5 for place in places]
            result[places] = ndimage.map_coordinates(smooth, at, order=1, mode="nearest")
    return result


def _block_sums(values: NDArray[np.float32], block: int) -> NDArray[np.float32]:
    """Sums of ``values`` (rows, columns) over blocks of pixels; the last ones may be smaller."""
    rows, columns = values.shape
    padded = np.pad(values, ((0, -rows % block), (0, -columns % block)))
    sums: NDArray[np.float32] = padded.reshape(-(-rows // block), block, -(-columns // block), block).sum(axis=(1, 3))
    return sums


def _borders_in_words(borders: tuple[Border, ...], shape: tuple[int, ...]) -> tuple[str, str]:
    """ "on the image as it is read, a white border of 10 % of the height at the top", or several of them, and the verb
    that follows."""
    if borders[0].side == ROUND:
        return f"a {borders[0].colour} border around a circle", "was"
    colours = list(dict.fromkeys(border.colour for border in borders))
    parts = []
    for colour in colours:
        ours = [border for border in borders if border.colour == colour]
        places = ", ".join(
            f"{_percent(border.depth_px / shape[axis])} of the {('height', 'width')[axis]} at the {border.side}"
            for border in ours
            for axis in (int(border.side in ("left", "right")),)
        )
        parts.append(f"a {colour} border of {places}")
    return f"on the image as it is read, {' and '.join(parts)}", "was" if len(parts) == 1 else "were"


def _letters_in_words(letters: tuple[Letters, ...], shape: tuple[int, ...]) -> str:
    """Where letters lie: "20 % to 31.5 % of the height and 3 % to 4.1 % of the width", for each."""
    return "; ".join(
        " and ".join(
            f"{_percent(one.start / size)} to {_percent(one.stop / size)} of the {along}"
            for one, size, along in zip(text.place, shape, ("height", "width"), strict=True)
        )
        for text in letters
    )


def _percent(share: float) -> str:
    """ "10 %" or "0.8 %"."""
    return f"{round(100 * share, 1):g} %"
