"""The files of one case: surfaces, report, volumes, radiographs, scores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from TomoRayLib.base.files import write_bytes, write_text
from TomoRayLib.base.notices import NOTICE
from TomoRayLib.base.text_formats import write_json
from TomoRayLib.base.threads import in_threads
from TomoRayLib.images.case_surfaces import CaseSurfaces, write_surfaces
from TomoRayLib.images.vertebra_surfaces import write_vertebra_surfaces
from TomoRayLib.images.writing import write_volume
from TomoRayLib.jobs.case_result import CaseResult
from TomoRayLib.report.case_page import write_report
from TomoRayLib.report.content import ReportContent
from TomoRayLib.report.overview import overview_figure
from TomoRayLib.report.paper_figures import paper_figures
from TomoRayLib.report.solids import Solids
from TomoRayLib.synthesis.own_labels import labels_marking
from TomoRayLib.synthesis.rendering import write_radiograph
from TomoRayLib.synthesis.reprojection import write_reprojection


def surfaces_of(result: CaseResult) -> CaseSurfaces:
    """The surfaces of the synthetic vertebrae and the true ones, which are made when they are first asked for."""
    return CaseSurfaces(result.synthetic.bone(), result.true_vertebrae)


def draw_case(folder: Path, result: CaseResult, provenance: dict[str, Any]) -> None:
    """Write the surfaces in LPS mm and, if the job wants them, those of each vertebra, the report and its overview."""
    surfaces, seen = result.surfaces or surfaces_of(result), result.reprojections
    vertebrae = surfaces.synthetic_mask
    content = ReportContent(
        title=result.title,
        views=result.inputs.views,
        ap=result.inputs.ap,
        lateral=result.inputs.lateral,
        synthetic=result.hu,
        synthetic_mask=vertebrae,
        truth=result.comparison.true_hu if result.comparison else None,
        truth_labels=result.true_vertebrae,
        metrics=result.metrics,
        provenance={key: value for key, value in provenance.items() if key not in result.spine_dict()},
        spine=result.synthetic.spine,
        matched=result.comparison.matched if result.comparison else None,
        bone_mm=(seen[0].thickness_mm, seen[1].thickness_mm) if seen else None,
        agreements=result.agreements,
        notes=result.warnings,
        demonstration_note=result.job.demonstration_note,
        labels_by=result.labels_by,
        labels_unsure=result.labels_unsure,
        uncertainty=result.sureness.volume() if result.sureness else None,
        expected_dice=result.sureness.to_json_dict()["expected_dice"] if result.sureness else None,
        surfaces=surfaces,
        measures=result.measures_dict,
    )

    solids = Solids(content.shown)

    def overview() -> None:
        write_bytes(folder / "overview.png", overview_figure(content, solids))

    def figures() -> None:
        for name, png in paper_figures(content, solids).items():
            write_bytes(folder / name, png)

    pictures: list[Callable[[], object]] = []
    if result.job.report:
        pictures += [lambda: write_report(folder / "report.html", content, solids), overview]
    if result.job.figures:
        pictures.append(figures)
    shared: list[Callable[[], object]] = [lambda: write_surfaces(folder, surfaces)]
    if result.job.vertebra_surfaces:
        shared.append(lambda: write_vertebra_surfaces(folder, result.synthetic.vertebrae()))
    if pictures:
        shared.append(lambda: (solids.synthetic, *((solids.truth, solids.distance) if solids.has_truth else ())))
    for tasks in (shared, pictures):
        in_threads(tasks, most=len(tasks))


def write_case(folder: Path, result: CaseResult) -> None:
    """Write volumes, radiographs and scores."""
    synthetic, inputs, metrics = result.synthetic, result.inputs, result.metrics
    volumes = {"synthetic_ct": result.hu, "synthetic_vertebrae": synthetic.vertebrae()}
    if result.sureness is not None:
        volumes["uncertainty"] = result.sureness.volume()
    if result.comparison is not None:
        volumes["truth_ct"] = result.comparison.true_hu
    if result.true_vertebrae is not None:
        volumes["truth_vertebrae"] = result.true_vertebrae
    for name, volume in volumes.items():
        marking = {} if name.startswith("truth") else {"TomoRay.notice": NOTICE}
        if name == "truth_vertebrae" and result.labels_by is not None:
            marking = labels_marking()
        write_volume(folder / f"{name}.nrrd", volume, marking)
    for name, image, view in (("ap", inputs.ap, inputs.views.ap), ("lat", inputs.lateral, inputs.views.lateral)):
        write_radiograph(folder, name, image, view, center_mm=inputs.views.center_mm)
    if result.reprojections is not None:
        ap, lateral = result.reprojections
        write_reprojection(folder / "ap_bone.nrrd", ap, inputs.views.ap)
        write_reprojection(folder / "lat_bone.nrrd", lateral, inputs.views.lateral)
    if result.measures is not None:
        write_json(folder / "measures.json", result.measures_dict or {})
        write_text(folder / "measures.csv", result.measures.to_csv())
    if metrics is not None:
        write_text(folder / "metrics.csv", metrics.to_csv())
        write_text(folder / "metrics_per_vertebra.csv", metrics.per_vertebra_to_csv())
        write_json(folder / "metrics.json", result.metrics_dict() or {})
