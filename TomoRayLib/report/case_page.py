"""The HTML page of one case, as a radiologist would read it: self-contained, no scripts, no network, prints on A4."""

from __future__ import annotations

import os

from PIL import Image

from TomoRayLib.anatomy.grey_levels import BONE_WINDOW
from TomoRayLib.base.files import write_atomically
from TomoRayLib.base.notices import NOTICE
from TomoRayLib.geometry.beams import ParallelBeam
from TomoRayLib.metrics.table import MetricsTable
from TomoRayLib.report.color_maps import DIFFERENCE_COLORS, DISTANCE_COLORS, color_bar
from TomoRayLib.report.content import UNSURE_MARK, ReportContent, Shown
from TomoRayLib.report.drawing import data_uri, png_bytes
from TomoRayLib.report.figures import (
    NOT_SCORED,
    SliceRow,
    geometry_text,
    radiograph_picture,
    slice_rows,
    truth_heading,
)
from TomoRayLib.report.markup import escape
from TomoRayLib.report.measures_section import measures_section
from TomoRayLib.report.page import html_page
from TomoRayLib.report.reprojection_section import reprojection_section
from TomoRayLib.report.solids import Solids, SurfaceView, surface_views
from TomoRayLib.report.tables import at_a_glance, provenance_table, scores_section
from TomoRayLib.report.uncertainty_section import uncertainty_section
from TomoRayLib.report.vertebra_section import vertebra_section

PAPER = (
    "Zanier O, Theiler S, Mutten RD, Ryu SJ, Regli L, Serra C, Staartjes VE. TomoRay: Generating Synthetic Computed "
    "Tomography of the Spine From Biplanar Radiographs. Neurospine 2024;21(1):68-75."
)
LIMITS = (
    "Diagnosis, treatment, surgical planning or navigation, measurements on a patient, or any other clinical decision.",
    "Finding or excluding fractures, tumours, infection or any other disease: whatever two radiographs do not show was "
    "filled in with the usual shape of spines.",
    "Assessing bone density: the HU values are estimates and are not calibrated.",
    "Anything outside the vertebrae: soft tissue, ribs, sacrum and pelvis are left out.",
)
WHY_NOT_SCORED = (
    "The CT is shown but not scored: scores compare vertebrae, and either no vertebra segmentation was given or none "
    "of its vertebrae lies in this field of view."
)
MANY_NOTES = 5  # more are set smaller, in two columns
_SLICE_HEADS = ("Synthetic", "Synthetic, outline of the truth", "Difference")


def render_report(content: ReportContent, solids: Solids | None = None) -> str:
    """Render the page of one case. All pictures are in it as PNG; nothing is fetched when it is opened.

    Args:
        content: One case's radiographs, volumes, scores and provenance.
        solids: Its surfaces in 3D if they are made already.

    Returns:
        The page as HTML text.
    """
    shown = content.shown
    metrics = content.metrics if shown.is_scored else None
    sections = [
        _opening(content, shown, metrics),
        _radiographs(content),
        reprojection_section(content, shown.synthetic_names),
        measures_section(content.measures, content.names_doubt),
        vertebra_section(content),
        _slices(slice_rows(shown), shown),
        uncertainty_section(shown, content.uncertainty, content.expected_dice),
        _surfaces(surface_views(shown, solids), shown),
        "" if metrics is None else scores_section(metrics),
        provenance_table(content.provenance),
        _limits(),
    ]
    return html_page(f"{content.title} \N{EN DASH} TomoRay, SYNTHETIC CT", sections)


def write_report(path: str | os.PathLike[str], content: ReportContent, solids: Solids | None = None) -> None:
    """Write the page of one case atomically.

    Args:
        path: The HTML file to write.
        content: One case's radiographs, volumes, scores and provenance.
        solids: Its surfaces in 3D if they are made already.

    Raises:
        OutputError: If the file cannot be written.
    """
    text = render_report(content, solids)
    with write_atomically(path) as partial:
        partial.write_text(text, encoding="utf-8")


def _opening(content: ReportContent, shown: Shown, metrics: MetricsTable | None) -> str:
    x, y, z = shown.grid.extent_mm
    i, j, k = shown.grid.size
    kind = "synthetic CT of the spine"
    if shown.truth_hu is not None:
        kind += ", compared with the CT" if shown.is_scored else ", shown with the CT, not scored"
        kind += f" ({escape(shown.labels_by)})" if shown.is_scored and shown.labels_by else ""
    parts = [
        f"<h1>{escape(content.title)}</h1>",
        f'<p class="sub">TomoRay report: {kind}. {i} × {j} × {k} voxels over {x:.0f} × {y:.0f} × {z:.0f} mm.</p>',
    ]
    if content.demonstration_note:
        parts.append(f'<div class="callout plain"><p>{escape(content.demonstration_note)}</p></div>')
    notes = list(content.notes)
    if not shown.synthetic_mask.any() and not any("synthetic CT is empty" in note for note in notes):
        notes.insert(0, "No bone was found: the synthetic CT is empty. Check the radiographs and their geometry.")
    if notes:
        items = "".join(f"<li>{escape(note)}</li>" for note in notes)
        kind = "callout many" if len(notes) > MANY_NOTES else "callout"
        parts.append(f'<div class="{kind}"><p><b>Please note</b></p><ul>{items}</ul></div>')
    if metrics is not None:
        parts.append(at_a_glance(metrics))
    if shown.truth_hu is not None and not shown.is_scored:
        parts.append(f"<p>{WHY_NOT_SCORED}</p>")
    if shown.truth_hu is None:
        parts.append(
            "<p>No CT of this patient was given, so nothing on this page tells how close the synthetic CT is to the "
            "real anatomy. It is a plausible spine that fits two radiographs.</p>"
        )
    return "\n".join(parts)


def _radiographs(content: ReportContent) -> str:
    figures = []
    for name, pixels, view in (
        ("Anteroposterior (AP)", content.ap, content.views.ap),
        ("Lateral", content.lateral, content.views.lateral),
    ):
        picture = _image(radiograph_picture(pixels, view), f"{name} radiograph, bone bright")
        text = f"<b>{name}.</b> {escape(geometry_text(view))}."
        figures.append(f"<figure>{picture}<figcaption>{text}</figcaption></figure>")
    beams = (content.views.ap.beam, content.views.lateral.beam)
    diverges = not all(isinstance(beam, ParallelBeam) for beam in beams)
    shorter = "; nearer to the detector the same length looks shorter" if diverges else ""
    return (
        "<h2>The two radiographs</h2>"
        f'<p class="caption">Bone is bright. Scale bars: 50 mm at the isocentre, the middle of the synthetic CT'
        f'{shorter}.</p><div class="pair">{"".join(figures)}</div>'
    )


def _slices(rows: tuple[SliceRow, ...], shown: Shown) -> str:
    low, high = BONE_WINDOW.low_hu, BONE_WINDOW.high_hu
    window = (
        f"Bone window: centre {BONE_WINDOW.center_hu:g} HU, width {BONE_WINDOW.width_hu:g} HU "
        f"({low:g} to {high:g} HU)".replace("-", "\N{MINUS SIGN}")
    )
    convention = "Axial slices are seen from the feet; the patient's right is at image left. Positions are LPS in mm."
    if any(name.endswith(UNSURE_MARK) for name, _ in (*shown.synthetic_names, *shown.truth_names)):
        convention += " A name with a question mark: count unsure, all names of that spine may be one or more off."
    if shown.truth_hu is None:
        figures = "".join(
            f"<figure>{_image(row.synthetic, f'Synthetic CT, {row.caption}')}"
            f"<figcaption>{escape(row.caption)}</figcaption></figure>"
            for row in rows
        )
        return (
            f'<h2>Slices of the synthetic CT</h2><p class="caption">{window}. {convention}</p>'
            f'<div class="gallery">{figures}</div>'
        )
    if not shown.is_scored:
        return (
            "<h2>CT and synthetic CT</h2>"
            f'<p class="caption">{window}. {convention} The CT shows all tissue, the synthetic CT only vertebrae.</p>'
            + _pair_sheet(rows[:2])
            + _pair_sheet(rows[2:])
        )
    heading = truth_heading(shown)
    low, high = DIFFERENCE_COLORS.low, DIFFERENCE_COLORS.high
    bar = color_bar(
        DIFFERENCE_COLORS,
        (low, low / 2, 0.0, high / 2, high),
        (f"\N{MINUS SIGN}{-low:g} HU", f"\N{MINUS SIGN}{-low / 2:g}", "0", f"+{high / 2:g}", f"+{high:g} HU"),
        "Colour scale of the difference in HU",
    )
    return (
        "<h2>Truth and synthetic CT</h2>"
        f'<p class="caption">{window}. {convention} The truth shows only the vertebrae of the CT in 100 grey levels, '
        "as the synthetic CT does. Difference: synthetic minus truth; blue where the synthetic CT has too little, red "
        f"where it has too much.</p>{bar}" + _slice_sheet(rows[:2], heading) + _slice_sheet(rows[2:], heading)
    )


def _slice_sheet(rows: tuple[SliceRow, ...], truth: str) -> str:
    heads = (truth, *_SLICE_HEADS)
    cells = "".join(f'<div class="head">{escape(head)}</div>' for head in heads)
    for row in rows:
        cells += f'<div class="level">{escape(row.caption)}</div>'
        for head, picture in zip(heads, (row.truth, row.synthetic, row.outlined, row.difference), strict=True):
            if picture is not None:
                cells += f"<figure>{_image(picture, f'{head}: {row.caption}')}</figure>"
    return f'<div class="sheet">{cells}</div>'


def _pair_sheet(rows: tuple[SliceRow, ...]) -> str:
    """Lay out each slice of the CT next to the synthetic one."""
    cells = "".join(f'<div class="level">{escape(row.caption)}</div>' for row in rows)
    cells += f'<div class="head">{NOT_SCORED}</div><div class="head">Synthetic</div>' * len(rows)
    for row in rows:
        for head, picture in ((NOT_SCORED, row.truth), ("Synthetic", row.synthetic)):
            if picture is not None:
                cells += f"<figure>{_image(picture, f'{head}: {row.caption}')}</figure>"
    return f'<div class="sheet pairs" style="--columns: {2 * len(rows)}">{cells}</div>'


def _surfaces(views: tuple[SurfaceView, ...], shown: Shown) -> str:
    heading = "<h2>Surfaces in 3D</h2>"
    if shown.truth_mask is None:
        figures = "".join(_surface_figure(view.synthetic, "Synthetic", view.caption) for view in views)
        return (
            f'{heading}<p class="caption">Surface of the synthetic vertebrae. Parallel projection; scale bars 50 mm.'
            f'</p><div class="solids single">{figures}</div>'
        )
    truth = "".join(_surface_figure(view.truth, "Truth", view.caption) for view in views)
    synthetic = "".join(_surface_figure(view.synthetic, "Synthetic", view.caption) for view in views)
    colored = "".join(_surface_figure(view.distance, "Distance", view.caption) for view in views)
    high = DISTANCE_COLORS.high
    bar = color_bar(
        DISTANCE_COLORS,
        (0.0, high / 4, high / 2, high),
        ("0 mm", f"{high / 4:g}", f"{high / 2:g}", f"{high:g} mm or more"),
        "Colour scale of the distance in mm",
    )
    return (
        f'{heading}<p class="caption">Parallel projection; scale bars 50 mm. All pictures have the same scale and '
        'centre.</p><div class="solids"><div class="head">'
        + escape(truth_heading(shown))
        + '</div><div class="head">Synthetic</div>'
        f"{truth}{synthetic}"
        '<div class="head">Synthetic, coloured by its distance to the truth</div><div class="head"></div>'
        f'{colored}<div class="side"><p>Each point of the synthetic surface has the colour of its distance to the '
        f"nearest point of the true surface. Light is near, dark is far.</p>{bar}"
        '<p class="note">Parts of the true spine that the synthetic one lacks do not appear here: compare with the '
        "pictures above, and see HD95 and ASSD below, which measure both directions.</p></div></div>"
    )


def _surface_figure(picture: Image.Image | None, kind: str, caption: str) -> str:
    if picture is None:
        return "<figure></figure>"
    return f"<figure>{_image(picture, f'{kind}, {caption}')}<figcaption>{escape(caption)}</figcaption></figure>"


def _limits() -> str:
    items = "".join(f"<li>{limit}</li>" for limit in LIMITS)
    return (
        "<h2>Not to be used for</h2>"
        f'<ul class="limits">{items}</ul>'
        "<p>TomoRay is research software. It is not a medical device and has not been cleared or approved by any "
        "authority.</p><h2>Citation</h2>"
        f"<p>{PAPER}</p><footer>Made by TomoRay (Apache-2.0). {escape(NOTICE)}.</footer>"
    )


def _image(picture: Image.Image, text: str) -> str:
    width, height = picture.size
    return f'<img src="{data_uri(png_bytes(picture))}" width="{width}" height="{height}" alt="{escape(text)}">'
