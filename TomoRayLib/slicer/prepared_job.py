"""From a request to the job that the worker reads: its nodes are written as files to the job's folder."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from TomoRayLib.anatomy.numberings import AUTO
from TomoRayLib.slicer.request import CTInputs, RadiographInputs, Request, StudyInputs
from TomoRayLib.slicer.scene.nodes import Role, export_volume
from TomoRayLib.slicer.scene.radiographs import export_radiograph, radiograph_of
from TomoRayLib.slicer.scene.sample_nodes import sample_note
from TomoRayLib.slicer.scene.segments import goes_by_names, labels_of
from TomoRayLib.slicer.scene.view_geometry import is_placed, pair_of, write_geometry
from TomoRayLib.slicer.worker.job_folder import NEED_MB, PreparedJob, check_space

UNSAFE = re.compile(r"[^\w ()-]")  # in the name of a file; a dot would look like an ending
LONGEST_NAME = 80
RESULTS = "results"  # the folder in the job's folder that receives the results


def synthesis_job(request: Request, folder: Path) -> PreparedJob:
    """Write the inputs of a request and return its job. Raises InputError or OutputError if that is impossible."""
    if isinstance(request.inputs, StudyInputs):
        return _from_study(request, request.inputs, folder)
    if isinstance(request.inputs, CTInputs):
        return _from_ct(request, request.inputs, folder)
    return _from_radiographs(request, request.inputs, folder)


def projection_job(inputs: CTInputs, folder: Path) -> PreparedJob:
    """Write a CT and return the job that renders its radiographs."""
    from TomoRayLib.jobs.job import ProjectionJob
    from TomoRayLib.synthesis.settings import GeometryOptions

    ct, segmentation, notes = _written_ct(inputs, folder)
    geometry = GeometryOptions(preset=inputs.preset, isocenter_mm=inputs.isocenter_mm)
    job = ProjectionJob(str(folder / RESULTS), ct, segmentation, geometry, labels=_numbering(inputs))
    return PreparedJob(job, notes)


def _from_ct(request: Request, inputs: CTInputs, folder: Path) -> PreparedJob:
    from TomoRayLib.jobs.job import SynthesisJob
    from TomoRayLib.synthesis.settings import GeometryOptions

    ct, segmentation, notes = _written_ct(inputs, folder)
    job = SynthesisJob(
        out=str(folder / RESULTS),
        title=request.title,
        ct=ct,
        segmentation=segmentation,
        labels=_numbering(inputs),
        geometry=GeometryOptions(preset=inputs.preset, isocenter_mm=inputs.isocenter_mm),
        demonstration_note=sample_note(inputs.ct),
        input_names=_names(ct=inputs.ct, segmentation=inputs.segmentation),
        **asdict(request.settings),
    )
    return PreparedJob(job, notes, _moved_apart(inputs))


def _from_study(request: Request, inputs: StudyInputs, folder: Path) -> PreparedJob:
    from TomoRayLib.images.writing import write_volume
    from TomoRayLib.jobs.job import SynthesisJob
    from TomoRayLib.synthesis.settings import GeometryOptions

    segmentation: str | None = None
    notes: tuple[str, ...] = ()
    if inputs.segmentation is not None:
        labels, notes = labels_of(inputs.segmentation, None, inputs.labels)
        path = _file_of(folder, "segmentation", inputs.segmentation)
        segmentation = str(path)
        write_volume(path, labels, compressed=False)
    job = SynthesisJob(
        out=str(folder / RESULTS),
        title=request.title,
        study=inputs.study,
        segmentation=segmentation,
        labels=_numbering(inputs),
        geometry=GeometryOptions(isocenter_mm=inputs.isocenter_mm),
        input_names=_names(segmentation=inputs.segmentation),
        **asdict(request.settings),
    )
    return PreparedJob(job, notes)


def _from_radiographs(request: Request, inputs: RadiographInputs, folder: Path) -> PreparedJob:
    from TomoRayLib.jobs.job import SynthesisJob
    from TomoRayLib.synthesis.settings import GeometryOptions

    pair = ((inputs.ap, Role.AP, inputs.ap_geometry), (inputs.lateral, Role.LATERAL, inputs.lateral_geometry))
    ap, lateral = (export_radiograph(node, role, folder) for node, role, _geometry in pair)
    images = [radiograph_of(node, role) for node, role, _geometry in pair]
    views = pair_of(inputs.ap_geometry, inputs.lateral_geometry, *(image.pixels.shape for image in images))
    placed = [is_placed(image, of_view) for image, (_node, _role, of_view) in zip(images, pair, strict=True)]
    origins = {"ap": inputs.ap_origins, "lateral": inputs.lateral_origins}
    stated = {view: of_view for view, of_view in origins.items() if of_view}
    write_geometry(folder / "geometry.json", views, places_assumed=not any(placed), origins=stated)
    job = SynthesisJob(
        out=str(folder / RESULTS),
        title=request.title,
        ap=str(ap),
        lateral=str(lateral),
        geometry=GeometryOptions(file=str(folder / "geometry.json")),
        demonstration_note=sample_note(inputs.ap) or sample_note(inputs.lateral),
        input_names=_names(ap=inputs.ap, lateral=inputs.lateral),
        **inputs.arrangement(),
        **asdict(request.settings),
    )
    return PreparedJob(job)


def _names(**nodes: Any) -> dict[str, str]:
    """The names of nodes by field of a job: the files that the job gets are copies, or named after DICOM's UIDs."""
    return {field: node.GetName() for field, node in nodes.items() if node is not None}


def _file_of(folder: Path, field: str, node: Any) -> Path:
    """The file for a copy of a node: messages of the worker call it by its name, so it is named after the node."""
    inside = folder / field
    inside.mkdir(exist_ok=True)
    return inside / f"{UNSAFE.sub('_', node.GetName())[:LONGEST_NAME].strip() or field}.nrrd"


def _written_ct(inputs: CTInputs, folder: Path) -> tuple[str, str | None, tuple[str, ...]]:
    """Paths of the CT and its vertebra labels (None without), and notes."""
    from TomoRayLib.images.writing import write_volume

    check_space(folder, NEED_MB + 2 * inputs.ct.GetImageData().GetActualMemorySize() // 1024)
    ct = _file_of(folder, "ct", inputs.ct)
    moved = export_volume(inputs.ct, ct)
    notes = (moved,) if moved is not None else ()
    if inputs.segmentation is None:
        return str(ct), None, notes
    labels, remarks = labels_of(inputs.segmentation, inputs.ct, inputs.labels)
    vertebrae = _file_of(folder, "segmentation", inputs.segmentation)
    write_volume(vertebrae, labels, compressed=False)
    return str(ct), str(vertebrae), (*notes, *remarks)


def _numbering(inputs: CTInputs | StudyInputs) -> str:
    """The numbering of the labels as written: VerSe's if names gave them, else as chosen."""
    if inputs.segmentation is None:
        return AUTO
    return "verse" if goes_by_names(inputs.segmentation, inputs.labels) else inputs.labels


def _moved_apart(inputs: CTInputs) -> tuple[str, ...]:
    """A warning if CT and vertebrae do not lie under the same transform, so that one of them was moved alone."""
    ct, vertebrae = inputs.ct, inputs.segmentation
    if vertebrae is None or ct.GetParentTransformNode() is vertebrae.GetParentTransformNode():
        return ()
    text = _(
        "{ct} and {vertebrae} lie under different transforms. If the scores look wrong, put both under the same one."
    )
    return (text.format(ct=ct.GetName(), vertebrae=vertebrae.GetName()),)
