"""Pictures of training: a sheet of random phantoms next to real CTs, and a run's learning curves."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.text_formats import csv_records
from TomoRayLib.geometry.presets import c_arm
from TomoRayLib.networks.radiograph_input import network_view
from TomoRayLib.projector.physics.attenuation import hu_to_attenuation
from TomoRayLib.projector.projection import project
from TomoRayLib.report.drawing import grey_picture, text_width_px, write_text
from TomoRayLib.training.data.anatomy import Anatomy
from TomoRayLib.training.data.scenes_of_cts import LabelledCT
from TomoRayLib.training.phantoms.ranges import PhantomRanges
from TomoRayLib.training.phantoms.sampling import course_at, sample_at
from TomoRayLib.training.phantoms.scene import Scene, SceneSize, compose_scene

EDGE_PX = 120  # of each of a scene's five pictures
SHEET_COLUMNS = 2
TITLE_PX = 14
SLICE_WINDOW_HU = (-250.0, 500.0)
DARK, LIGHT = (24, 24, 24), (230, 230, 230)
CURVE_COLORS = (
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (230, 159, 0),
    (86, 180, 233),
)  # Okabe and Ito
CURVES_SIZE_PX = (720, 400)
MARGIN_PX = 48
DOT_PX = 2
LEGEND_PX = 12


def sample_sheet(anatomy: Anatomy, real: Iterable[LabelledCT], count: int, seed: int = 1) -> Image.Image:
    """Real CTs, then ``count`` random phantoms: AP and lateral DRR, axial, sagittal and coronal slice of each."""
    rng = np.random.default_rng(seed)
    size = SceneSize(spacing_mm=2.0)
    rows = [scene_row(scene_around(case, size), f"real: {case.name}") for case in real]
    for number in range(1, count + 1):
        spine, body = anatomy.draw(rng)
        scene = compose_scene(spine, body, rng, size, PhantomRanges())
        rows.append(scene_row(scene, f"phantom {number}: {scene.spine} in {scene.body}"))
    return _sheet(rows)


def scene_around(case: LabelledCT, size: SceneSize) -> Scene:
    """The part of a real CT about the middle of its vertebrae, as it is."""
    grid, spine = size.grid(), case.spine
    middle = float(spine.level_z_mm[:, 1].mean())
    x0, y0 = (float(value) for value in course_at(spine.curve_mm, spine.z_range_mm, torch.tensor(middle)))
    axes = [
        torch.arange(n, dtype=torch.float32) * step + start
        for n, step, start in zip(grid.size, grid.spacing_mm, grid.origin_mm, strict=True)
    ]
    z, y, x = torch.meshgrid(axes[2] + middle, axes[1] + y0, axes[0] + x0, indexing="ij")
    hu = sample_at(case.hu, spine.grid, x, y, z, outside=-1000.0)
    share = sample_at(spine.occupancy, spine.grid, x, y, z, outside=0.0)
    return Scene(hu.round().to(torch.int16), share.round().to(torch.uint8), grid, case.name, case.name)


def scene_row(scene: Scene, title: str) -> Image.Image:
    """Five pictures side by side under their title; the DRRs are what a C-arm about the scene's origin sees."""
    hu = scene.hu.numpy().astype(np.float32)
    i, j, k = (round(-start / step) for start, step in zip(scene.grid.origin_mm, scene.grid.spacing_mm, strict=True))
    attenuation = hu_to_attenuation(scene.hu)
    pair = c_arm()
    radiographs = [project(attenuation, scene.grid, network_view(view)).numpy() for view in (pair.ap, pair.lateral)]
    slices = [_windowed(plane, *SLICE_WINDOW_HU) for plane in (hu[k], hu[::-1, :, i], hu[::-1, j])]
    pictures = [_windowed(image, *np.percentile(image, (1.0, 99.5))) for image in radiographs] + slices
    row = Image.new("RGB", (len(pictures) * EDGE_PX, EDGE_PX + TITLE_PX), DARK)
    for place, picture in enumerate(pictures):
        fitted = _fitted(grey_picture(picture))
        left, top = (EDGE_PX - fitted.width) // 2, (EDGE_PX - fitted.height) // 2
        row.paste(fitted, (place * EDGE_PX + left, TITLE_PX + top))
    write_text(row, (2, 2), title, size_px=TITLE_PX - 3, color=LIGHT)
    return row


def learning_curves(run: Path, score: str = "cosine_similarity") -> Image.Image:
    """One curve per validation case over the minutes of all stages of ``run``, each stage marked where it begins.

    Raises InputError if the run has no validation yet, or not this score.
    """
    stages = _validation_by_stage(run, score)
    width, height = CURVES_SIZE_PX
    names = sorted({name for _, curves in stages for name in curves})
    legend = _legend_places(names, width)
    below = max(0, max(y for _, y in legend.values()) + LEGEND_PX + 14 - MARGIN_PX)
    picture = Image.new("RGB", (width, height + below), (255, 255, 255))
    draw = ImageDraw.Draw(picture)
    longest = [max(minutes for points in curves.values() for minutes, _ in points) for _, curves in stages]
    values = [value for _, curves in stages for points in curves.values() for _, value in points]
    low, high = np.floor(min(values) * 10) / 10, np.ceil(max(values) * 10) / 10
    high = max(high, low + 0.1)

    def place(minutes: float, value: float) -> tuple[float, float]:
        return (
            MARGIN_PX + minutes / sum(longest) * (width - 2 * MARGIN_PX),
            height - MARGIN_PX - (value - low) / (high - low) * (height - 2 * MARGIN_PX),
        )

    for value in np.arange(low, high + 0.01, 0.1):
        draw.line([place(0, value), place(sum(longest), value)], (225, 225, 225))
        write_text(picture, (6, place(0, value)[1]), f"{value:.1f}", size_px=12, anchor="lm")
    started = 0.0
    for (stage, curves), minutes in zip(stages, longest, strict=True):
        draw.line([place(started, low), place(started, high)], (150, 150, 150))
        write_text(picture, (place(started, low)[0] + 3, MARGIN_PX - 14), stage, size_px=12)
        for name, points in curves.items():
            color = CURVE_COLORS[names.index(name) % len(CURVE_COLORS)]
            places = [place(started + at, value) for at, value in points]
            draw.line(places, color, 2)
            for x, y in places:
                draw.ellipse((x - DOT_PX, y - DOT_PX, x + DOT_PX, y + DOT_PX), fill=color)
        started += minutes
    for name, where in legend.items():
        color = CURVE_COLORS[names.index(name) % len(CURVE_COLORS)]
        write_text(picture, (where[0], height - MARGIN_PX + 10 + where[1]), name, size_px=LEGEND_PX, color=color)
    title = f"{score.replace('_', ' ')} by minutes of training (0 to {round(sum(longest), 1):g}), by stage"
    write_text(picture, (6, 6), title, size_px=13)
    return picture


def _legend_places(names: list[str], width_px: int) -> dict[str, tuple[int, int]]:
    """Where each name begins, one after the other in as many lines as they need: (x, below the first line)."""
    places, x, y = {}, MARGIN_PX, 0
    for name in names:
        length = text_width_px(name, LEGEND_PX)
        if x > MARGIN_PX and x + length > width_px - 6:
            x, y = MARGIN_PX, y + LEGEND_PX + 5
        places[name] = (x, y)
        x += length + 18
    return places


def _validation_by_stage(run: Path, score: str) -> list[tuple[str, dict[str, list[tuple[float, float]]]]]:
    """Per stage, from coarse to fine: case (all phantoms as one, their mean) to its (minutes, score)."""
    stages = []
    for path in sorted(run.glob("*/validation.csv"), key=lambda one: one.stat().st_mtime):
        rows = csv_records(path)
        if rows and score not in rows[0]:
            raise InputError(f"Expected one of {sorted(set(rows[0]) - {'case', 'step', 'minutes'})}, got {score!r}.")
        gathered: dict[str, dict[float, list[float]]] = {}
        for row in rows:
            name = "phantoms" if row["case"].startswith("phantom") else row["case"]
            gathered.setdefault(name, {}).setdefault(float(row["minutes"]), []).append(float(row[score]))
        curves = {
            name: [(minutes, float(np.mean(values))) for minutes, values in sorted(points.items())]
            for name, points in gathered.items()
        }
        if curves:
            stages.append((path.parent.name, curves))
    if not stages:
        raise InputError(f"Expected stages with a validation.csv in {run}, got none; give the folder of a run.")
    return stages


def _windowed(image: NDArray[np.float32], low: float, high: float) -> NDArray[np.float32]:
    return np.clip((image - low) / max(high - low, 1e-6), 0.0, 1.0).astype(np.float32)


def _fitted(picture: Image.Image) -> Image.Image:
    scale = EDGE_PX / max(picture.size)
    return picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BILINEAR)


def _sheet(rows: list[Image.Image]) -> Image.Image:
    width, height = rows[0].size
    lines = -(-len(rows) // SHEET_COLUMNS)
    sheet = Image.new("RGB", (SHEET_COLUMNS * (width + 4), lines * (height + 4)), DARK)
    for number, row in enumerate(rows):
        line, column = divmod(number, SHEET_COLUMNS)
        sheet.paste(row, (column * (width + 4), line * (height + 4)))
    return sheet
