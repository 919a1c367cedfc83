"""Borders, letters and text on radiographs: how many are found, how much is found in vain, and what they cost.

    python Testing/Benchmarks/blanked_areas.py --data DATA [--phantoms 20] [--dice NAME ...]

Radiographs are rendered through the C-arm from the CTs in DATA (bodies/, verse/, totalsegmentator/). Nothing is to be
found on them as they are, nor as pictures of 8 bits whose ends are cut off, on phantoms with screws, cages and cement,
and on the real scouts (their padding apart). Then borders and text of Pillow's font are drawn on them: recall and
precision are those of the pixels. ``--dice`` gives, for pairs whose name holds a NAME, Dice of the network's coarsest
output with that of the untouched pair, as it is read and as it was before.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from result_checks import of_bodies, of_labels
from scipy import ndimage

from TomoRayLib.images.blanked_areas import Cleaned, cleaned
from TomoRayLib.images.pair_checks import looks_inverted
from TomoRayLib.projector.projection import project
from TomoRayLib.synthesis.arrangement import Pair
from TomoRayLib.synthesis.model_run import choose_model, coarse_probability
from TomoRayLib.training.data.anatomy import load_anatomy
from TomoRayLib.training.data.augmentation import (
    AppearanceRanges,
    random_appearance,
    random_attenuation,
    random_views,
)
from TomoRayLib.training.data.samples import StreamConfig, random_isocenter
from TomoRayLib.training.phantoms.ranges import PhantomRanges
from TomoRayLib.training.phantoms.scene import compose_scene
from TomoRayLib.weights import load_network

Picture = NDArray[np.float32]
Drawn = tuple[Picture, NDArray[np.bool_]]  # a radiograph with something on it, and where that is

WIDTHS = (0.03, 0.1, 0.2)  # of the image, of a frame
TEXTS = (("L", 26), ("R", 18), ("AP ERECT", 14), ("L-SPINE LAT 12:03", 20))  # and the font's size on 320 pixels
PLACES = ((0.05, 0.08), (0.4, 0.4), (0.2, 0.8))  # (column, row) of a text, as shares
SCOUT_PADDING = -2048


def framed(image: Picture, widths: tuple[float, float, float, float], value: float) -> Drawn:
    """An image with a flat border of ``widths`` (top, bottom, left, right), shares of its rows or columns."""
    rows, columns = image.shape
    top, bottom, left, right = (
        round(width * size) for width, size in zip(widths, (rows, rows, columns, columns), strict=True)
    )
    mask = np.ones(image.shape, dtype=bool)
    mask[top : rows - bottom, left : columns - right] = False
    return np.where(mask, np.float32(value), image), mask


def written(
    image: Picture, text: str, height: int, place: tuple[float, float], value: float, box: float | None
) -> Drawn:
    """An image with a text, in a box of the grey value ``box`` if that is given."""
    rows, columns = image.shape
    font = ImageFont.load_default(round(height * rows / 320))
    layer = Image.new("L", (columns, rows))
    at = (place[0] * columns, place[1] * rows)
    ImageDraw.Draw(layer).text(at, text, fill=255, font=font)
    ink = np.asarray(layer, dtype=np.float32) / 255
    result, mask = image, ink > 0.5
    if box is not None:
        left, top, right, bottom = (round(edge) for edge in ImageDraw.Draw(layer).textbbox(at, text, font=font))
        mask = np.zeros(image.shape, dtype=bool)
        mask[max(0, top - 4) : bottom + 4, max(0, left - 4) : right + 4] = True
        result = np.where(mask, np.float32(box), image)
    return (result * (1 - ink) + np.float32(value) * ink).astype(np.float32), mask


def drawings(image: Picture) -> Iterator[tuple[str, Drawn]]:
    """Everything that is drawn on one radiograph, by kind."""
    low, high = float(image.min()), float(image.max())
    colours = {
        "white": 1.1 * high,
        "white, the brightest": high,
        "black": low,
        "black, far below": low - 0.3 * (high - low),
    }
    for colour, value in colours.items():
        for width in WIDTHS:
            yield f"frame of {width:.0%}, {colour}", framed(image, (width,) * 4, value)
        yield f"top 12 %, right 3 %, {colour}", framed(image, (0.12, 0.0, 0.0, 0.03), value)
    for colour, value, other in (("white", high, low), ("black", low, high)):
        for text, height in TEXTS:
            for kind, box in (("", None), (", in a box", other)):
                for place in PLACES:
                    yield f"{text}, {colour}{kind}", written(image, text, height, place, value, box)


@dataclass
class Tally:
    """Pixels of one kind over all radiographs. Only pixels that the drawing has changed visibly count."""

    recalls: list[float] = field(default_factory=list)
    precisions: list[float] = field(default_factory=list)

    def add(self, image: Picture, drawn: Drawn, found: Cleaned) -> None:
        """Count one drawing; none that hardly shows, such as black on air."""
        picture, mask = drawn
        seen = mask & (np.abs(picture - image) > 0.12 * np.ptp(image))
        if seen.sum() < 0.3 * mask.sum():
            return
        self.recalls.append(float(found.mask[seen].mean()))
        if found.mask.any():
            near = ndimage.binary_dilation(mask, np.ones((3, 3)), iterations=3)  # letters are filled with their outline
            self.precisions.append(float(near[found.mask].mean()))

    def __str__(self) -> str:
        half = sum(recall > 0.5 for recall in self.recalls)
        precision = f"{np.mean(self.precisions):.3f}" if self.precisions else "-"
        return f"{half} of {len(self.recalls)} | {np.mean(self.recalls):.3f} | {precision}"


def in_8_bits(image: Picture, cut_percent: float) -> Picture:
    """An image as a picture of 256 values, with so many percent of its pixels cut off at both ends."""
    low, high = np.percentile(image, (cut_percent, 100 - cut_percent))
    result: Picture = np.round(np.clip((image - low) / (high - low), 0, 1) * 255).astype(np.float32)
    return result


def with_implants(data: Path, count: int) -> Iterator[tuple[str, Picture]]:
    """Radiographs of phantoms that all have screws, cages or cement, in any appearance without borders and letters."""
    anatomy = load_anatomy(data) if count else None
    config = replace(
        StreamConfig(),
        phantom=PhantomRanges(implant_share=0.8, cage_share=0.5, cement_share=0.5, contrast_share=0.3),
        appearance=AppearanceRanges(collimated_share=0.0, marker_share=0.0),
    )
    for number in range(count):
        assert anatomy is not None
        rng = np.random.default_rng((77, number))
        scene = compose_scene(*anatomy.draw(rng), rng, config.scene, config.phantom)
        views = random_views(rng, config.geometry).moved_to(random_isocenter(rng, config.isocenter))
        attenuation = random_attenuation(scene.hu, rng, config.appearance)
        for name, view in (("AP", views.ap), ("lateral", views.lateral)):
            image = random_appearance(project(attenuation, scene.grid, view), rng, config.appearance)
            yield f"phantom {number} {name}", image.numpy()


def real_scouts(data: Path) -> Iterator[tuple[str, Picture]]:
    """The real scouts, cut to what is not padding."""
    for path in sorted((data / "scouts" / "lumbar").glob("*.npy")):
        image = np.load(path).astype(np.float32)
        shown = image > SCOUT_PADDING
        yield f"scout {path.stem}", image[np.ix_(shown.any(axis=1), shown.any(axis=0))]


def count_alarms(images: list[tuple[str, Picture]]) -> None:
    """Print what is found where there is nothing, as the image is and in 8 bits."""
    changes: dict[str, Callable[[Picture], Picture]] = {
        "as it is": lambda image: image,
        "8 bits": lambda image: in_8_bits(image, 0.0),
        "8 bits, 0.5 % cut off at both ends": lambda image: in_8_bits(image, 0.5),
        "8 bits, 2 % cut off at both ends": lambda image: in_8_bits(image, 2.0),
    }
    for change, changed in changes.items():
        alarms = [(name, notes) for name, image in images if (notes := cleaned(changed(image)).notes)]
        print(f"found in vain, {change}: {len(alarms)} of {len(images)}")
        for name, notes in alarms:
            print(f"    {name}: {' '.join(notes)}")


def count_found(images: list[tuple[str, Picture]]) -> None:
    """Print how much is found of what is drawn, and whether it is taken for inversion."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    inverted: dict[str, int] = defaultdict(int)
    for _, image in images:
        right = looks_inverted(image)
        for kind, drawn in drawings(image):
            tallies[kind].add(image, drawn, cleaned(drawn[0]))
            inverted[kind] += looks_inverted(drawn[0]) and not right
    print("\n| drawn | found | recall of pixels | precision | taken for inversion |\n|---|---|---|---|---|")
    for kind, tally in tallies.items():
        print(f"| {kind} | {tally} | {inverted[kind]} |")


def count_cost(pairs: list[tuple[str, Pair]], model_id: str | None) -> None:
    """Print the Dice of the network's coarsest output with that of the untouched pair."""
    model = choose_model(model_id, "cpu", "auto")
    network = load_network(model.entry, model.device)

    def bone(ap: Picture, lateral: Picture, pair: Pair) -> NDArray[np.bool_]:
        return coarse_probability(ap, lateral, pair.views, network, model.entry, model.precision) > 0.5

    kinds: dict[str, Callable[[Picture], Picture]] = {
        "white frame of 10 %": lambda image: framed(image, (0.1,) * 4, 1.1 * float(image.max()))[0],
        "black frame of 10 %": lambda image: framed(image, (0.1,) * 4, float(image.min()))[0],
        "white text": lambda image: _with_three_texts(image, float(image.max())),
        "black text": lambda image: _with_three_texts(image, float(image.min())),
    }
    print("\n| pair | drawn | Dice as before | Dice as it is read |\n|---|---|---|---|")
    for name, pair in pairs:
        truth = bone(pair.ap, pair.lateral, pair)
        for kind, drawn in kinds.items():
            ap, lateral = drawn(pair.ap), drawn(pair.lateral)
            results = bone(ap, lateral, pair), bone(cleaned(ap).pixels, cleaned(lateral).pixels, pair)
            before, now = (2 * (one & truth).sum() / max(1, one.sum() + truth.sum()) for one in results)
            print(f"| {name} | {kind} | {before:.3f} | {now:.3f} |", flush=True)


def _with_three_texts(image: Picture, value: float) -> Picture:
    for text, height, place in (("L", 40, (0.04, 0.06)), ("R", 34, (0.47, 0.31)), ("AP ERECT 12:03", 20, (0.38, 0.78))):
        image = written(image, text, height, place, value, None)[0]
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--phantoms", type=int, default=20)
    parser.add_argument("--few", action="store_true", help="draw on every fifth radiograph only")
    parser.add_argument("--dice", nargs="*", default=(), metavar="NAME")
    parser.add_argument("--model", default=None)
    options = parser.parse_args()
    torch.set_num_threads(2)
    pairs = [(name, made()) for name, made in (*of_labels(options.data), *of_bodies(options.data))]
    images = [(f"{name} {view}", getattr(pair, view)) for name, pair in pairs for view in ("ap", "lateral")]
    implants = list(with_implants(options.data, options.phantoms))
    for group, found in (("CTs", images), ("implants", implants), ("real scouts", list(real_scouts(options.data)))):
        print(f"{group}:")
        count_alarms(found)
    count_found(images[:: 5 if options.few else 1])
    if options.dice:
        count_cost([one for one in pairs if any(part in one[0] for part in options.dice)], options.model)


if __name__ == "__main__":
    main()
