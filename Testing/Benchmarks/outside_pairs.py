"""Pairs of pictures that are no pair of an AP and a lateral radiograph of one spine: the kinds of ``unlike_training``.

Those of the wrong part, the wrong views or two patients are rendered from the real CTs in DATA/bodies, the others are
drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from TomoRayLib.geometry.grid import Grid, Vector3
from TomoRayLib.geometry.presets import c_arm
from TomoRayLib.images.files import read_volume
from TomoRayLib.images.resampling import resample
from TomoRayLib.images.types import Volume
from TomoRayLib.synthesis.arrangement import Pair
from TomoRayLib.synthesis.rendering import render

Array = NDArray[np.float32]
Made = Callable[[], Pair]
TORSO, TORSO_2, HEAD = "tcga_de_a4ma_torso", "acrin_nsclc_042_torso", "acrin_flt_001_head_neck"
PELVIS, PELVIS_2, CHEST = "acrin_flt_001_abdomen_pelvis", "totalsegmentator_example_abdomen_pelvis", "nlst_chest"
SPINE_MM, AT_0_90 = (0.0, 20.0), (0.0, 90.0)  # usual places of the spine about a body's middle, and of the tube
BEYOND_MM = 60.0  # from a CT's end to the isocentre of what lies there


def about(ct: Volume, place: Vector3, angles_deg: tuple[float, float] = (0.0, 90.0)) -> Pair:
    """Two views of a CT through the C-arm; ``place`` is the isocentre in LPS mm."""
    views = c_arm(place)
    turned = replace(
        views,
        ap=replace(views.ap, gantry_angle_deg=angles_deg[0]),
        lateral=replace(views.lateral, gantry_angle_deg=angles_deg[1]),
    )
    images = render(ct, {"ap": turned.ap, "lat": turned.lateral})
    return Pair(images["ap"], images["lat"], views)  # the angles are not told


def in_body(
    data: Path, name: str, from_top: float, aside_mm: tuple[float, float] = (0.0, 0.0)
) -> tuple[Volume, Vector3]:
    """(CT, place): ``from_top`` is its share of the CT's height, ``aside_mm`` how far left and behind the middle."""
    ct = read_volume(data / "bodies" / f"{name}.nii.gz")
    corners = ct.grid.corners_mm()
    low, high = corners.min(axis=0), corners.max(axis=0)
    x, y, _ = (low + high) / 2
    z = min(max(high[2] - from_top * (high[2] - low[2]), low[2] + BEYOND_MM), high[2] - BEYOND_MM)
    return ct, (float(x + aside_mm[0]), float(y + aside_mm[1]), float(z))


def slices(ct: Volume, place: Vector3) -> tuple[Array, Array]:
    """A coronal and a sagittal slice through ``place``, upright, on the detector of a pair: a CT's own pictures."""
    cube = resample(ct, Grid.cube(place, 300.0, 150)).voxels[::-1]
    shown = np.clip((cube + 160.0) / 560.0, 0.0, 1.0).astype(np.float32)
    return _enlarged(shown[:, 75]), _enlarged(shown[:, :, 75])


def _enlarged(picture: Array) -> Array:
    shape = c_arm().ap.detector.shape
    found = Image.fromarray(picture).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(found, dtype=np.float32)


def drawn(ap: Array, lateral: Array) -> Pair:
    """Two pictures as a pair of C-arm radiographs."""
    return Pair(ap.astype(np.float32), lateral.astype(np.float32), c_arm())


def noise(sd_px: float, seed: int) -> Array:
    """Gaussian noise of unit variance, blurred by ``sd_px``."""
    plain = np.random.default_rng(seed).normal(size=c_arm().ap.detector.shape)
    smooth = ndimage.gaussian_filter(plain, sd_px) if sd_px else plain
    return (smooth / smooth.std()).astype(np.float32)


def gradient(angle_deg: float) -> Array:
    rows, columns = np.mgrid[-1.0 : 1.0 : c_arm().ap.detector.rows * 1j, -1.0 : 1.0 : c_arm().ap.detector.columns * 1j]
    angle = np.deg2rad(angle_deg)
    return np.asarray(np.cos(angle) * rows + np.sin(angle) * columns, dtype=np.float32)


def wire_grid(pitch_px: int, width_px: int) -> Array:
    """The film of a calibration grid: wires of ``width_px``, slightly unsharp."""
    rows, columns = np.indices(c_arm().ap.detector.shape)
    wires = ((rows % pitch_px) < width_px) | ((columns % pitch_px) < width_px)
    return ndimage.gaussian_filter(wires.astype(np.float32), 1.0)


def photograph(seed: int) -> Array:
    """Lit balls on a table, rendered: shading, shadows and sharp outlines, as in a photograph."""
    rng = np.random.default_rng(seed)
    shape = c_arm().ap.detector.shape
    rows, columns = np.indices(shape)
    picture = 0.25 + 0.5 * rows / shape[0] + 0.03 * noise(2.0, seed)
    for _ in range(9):
        radius = rng.uniform(0.04, 0.16) * shape[0]
        y, x = rng.uniform(0.1, 0.9, 2) * shape
        up, left = (rows - y) / radius, (columns - x) / radius
        picture = np.where(np.hypot(up - 0.35, left - 0.35) < 1.0, picture * 0.6, picture)
        height = np.sqrt(np.clip(1.0 - up**2 - left**2, 0.0, 1.0))
        lit = rng.uniform(0.4, 1.0) * np.clip(0.2 + 0.8 * (-0.5 * up - 0.5 * left + 0.7 * height), 0.05, 1.0)
        picture = np.where(up**2 + left**2 < 1.0, lit, picture)
    return picture.astype(np.float32)


def screenshot(path: Path) -> Array:
    """A picture file in grey."""
    with Image.open(path) as picture:
        return _enlarged(np.asarray(picture.convert("L"), dtype=np.float32))


def outside(data: Path, screenshots: Path) -> Iterator[tuple[str, str, Made]]:
    """Yield (kind, name, pair) of what is no pair of AP and lateral radiographs of one spine."""
    yield from _other_parts(data)
    yield from _other_views(data)
    yield from _mixed(data)
    yield from _no_radiographs(screenshots)


def _body(
    data: Path,
    name: str,
    from_top: float,
    aside_mm: tuple[float, float] = SPINE_MM,
    angles: tuple[float, float] = AT_0_90,
) -> Made:
    return lambda: about(*in_body(data, name, from_top, aside_mm), angles)


def _other_parts(data: Path) -> Iterator[tuple[str, str, Made]]:
    yield "skull", HEAD, _body(data, HEAD, 0.0, (0.0, 0.0))
    yield "skull", f"{HEAD}, lower", _body(data, HEAD, 0.25, (0.0, -20.0))
    for name in (TORSO, PELVIS, PELVIS_2):
        yield "pelvis and hips", name, _body(data, name, 1.0 if name != TORSO else 0.85, (0.0, -20.0))
    yield "thigh", TORSO, _body(data, TORSO, 1.0, (90.0, 0.0))
    yield "thigh", f"{TORSO}, right", _body(data, TORSO, 1.0, (-90.0, 0.0))
    yield "beside the spine", TORSO, _body(data, TORSO, 0.5, (130.0, 0.0))
    yield "beside the spine", CHEST, _body(data, CHEST, 0.4, (-120.0, -40.0))


def _other_views(data: Path) -> Iterator[tuple[str, str, Made]]:
    changes: dict[str, Callable[[Pair], tuple[Array, Array]]] = {
        "two AP views": lambda pair: (pair.ap, pair.ap * 1.02),
        "two lateral views": lambda pair: (pair.lateral, pair.lateral * 1.02),
        "both inverted": lambda pair: (-pair.ap, -pair.lateral),
        "both on their side": lambda pair: (np.rot90(pair.ap), np.rot90(pair.lateral)),
    }
    for name, share in ((TORSO, 0.45), (TORSO_2, 0.6), (CHEST, 0.5)):
        for kind, change in changes.items():
            made = _body(data, name, share)
            yield kind, name, lambda change=change, made=made: drawn(*change(made()))  # type: ignore[misc]
    for name, share in ((TORSO, 0.45), (TORSO_2, 0.6)):
        yield "both views from 45 degrees", name, _body(data, name, share, SPINE_MM, (45.0, 135.0))
    for name, share in ((TORSO, 0.45), (TORSO_2, 0.6), (HEAD, 0.1)):
        place = (data, name, share)
        yield "slices of a CT", name, lambda place=place: drawn(*slices(*in_body(*place)))  # type: ignore[misc]


def _mixed(data: Path) -> Iterator[tuple[str, str, Made]]:
    def mixed(first: Made, second: Made) -> Made:
        return lambda: Pair((pair := first()).ap, second().lateral, pair.views)

    chest, lumbar = _body(data, CHEST, 0.35), _body(data, TORSO, 0.6)
    yield "chest with a lumbar lateral", "nlst, tcga", mixed(chest, lumbar)
    yield "chest with a lumbar lateral", "tcga, acrin", mixed(_body(data, TORSO, 0.25), _body(data, PELVIS, 0.4))
    yield "two patients mixed", "tcga, acrin", mixed(lumbar, _body(data, PELVIS, 0.3))
    yield "two patients mixed", "acrin, tcga", mixed(_body(data, TORSO_2, 0.5), _body(data, TORSO, 0.35))


def _no_radiographs(screenshots: Path) -> Iterator[tuple[str, str, Made]]:
    made: list[tuple[str, str, Array, Array]] = [
        ("noise", f"blurred by {sd_px:g}", noise(sd_px, 1), noise(sd_px, 2)) for sd_px in (0.0, 2.0, 12.0)
    ]
    made.append(("gradients", "two directions", gradient(0.0), gradient(60.0)))
    speckled = [gradient(angle) + 0.02 * noise(0.0, seed) for seed, angle in enumerate((90.0, 20.0))]
    made.append(("gradients", "with noise", speckled[0], speckled[1]))
    made.append(("an empty exposure", "fine noise", noise(1.0, 3), noise(1.0, 4)))
    heel = [5.0 + 0.3 * gradient(0.0) + 0.02 * noise(1.0, seed) for seed in (5, 6)]
    made.append(("an empty exposure", "with heel effect", heel[0], heel[1]))
    made.append(("a grid's film", "10 mm", wire_grid(20, 3), wire_grid(20, 3)))
    made.append(("a grid's film", "wide", wire_grid(48, 5), wire_grid(40, 5)))
    made += [("a photograph", f"rendered {seed}", photograph(seed), photograph(seed + 10)) for seed in (1, 2, 3)]
    pictures = sorted(screenshots.glob("*.png"))[:4]
    for first, second in zip(pictures[::2], pictures[1::2], strict=False):
        made.append(("a screenshot", first.stem, screenshot(first), screenshot(second)))
    for kind, name, ap, lateral in made:
        yield kind, name, lambda ap=ap, lateral=lateral: drawn(ap, lateral)  # type: ignore[misc]
