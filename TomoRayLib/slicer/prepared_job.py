"""From a request to the job that the worker reads: its nodes are written as files to the job's folder."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from slicer.i18n import tr as _

from TomoRayLib.anatomy.numberings import AUTO
from TomoRayLib.slicer.request import CTInputs, RadiographInputs, Request, StudyInputs
from TomoRayLib.slicer.scene.nodes import Role, export_volume
from TomoRayLib.slicer.scene.radiographs import export_radiograph, radiograph_of
from TomoRayLib.slicer.scene.segments import goes_by_names, labels_of
from TomoRayLib.slicer.scene.view_geometry import is_placed, pair_of, write_geometry
from TomoRayLib.slicer.worker.job_folder import NEED_MB, PreparedJob, check_space

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
        segmentation = str(folder / "vertebrae.nrrd")
        write_volume(folder / "vertebrae.nrrd", labels, compressed=False)
    job = SynthesisJob(
        out=str(folder / RESULTS),
        title=request.title,
        study=inputs.study,
        segmentation=segmentation,
        labels=_numbering(inputs),
        geometry=GeometryOptions(isocenter_mm=inputs.isocenter_mm),
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
    write_geometry(folder / "geometry.json", views, places_assumed=not any(placed))
    job = SynthesisJob(
        out=str(folder / RESULTS),
        title=request.title,
        ap=str(ap),
        lateral=str(lateral),
        geometry=GeometryOptions(file=str(folder / "geometry.json")),
        **inputs.arrangement(),
        **asdict(request.settings),
    )
    return PreparedJob(job)


def _written_ct(inputs: CTInputs, folder: Path) -> tuple[str, str | None, tuple[str, ...]]:
    """Paths of the CT and its vertebra labels (None without), and notes."""
    from TomoRayLib.images.writing import write_volume

    check_space(folder, NEED_MB + 2 * inputs.ct.GetImageData().GetActualMemorySize() // 1024)
    moved = export_volume(inputs.ct, folder / "ct.nrrd")
    notes = (moved,) if moved is not None else ()
    if inputs.segmentation is None:
        return str(folder / "ct.nrrd"), None, notes
    labels, remarks = labels_of(inputs.segmentation, inputs.ct, inputs.labels)
    write_volume(folder / "vertebrae.nrrd", labels, compressed=False)
    return str(folder / "ct.nrrd"), str(folder / "vertebrae.nrrd"), (*notes, *remarks)


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
