"""One projection: radiographs rendered from a CT into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from TomoRayLib.base.early_import import beside
from TomoRayLib.base.files import check_writable, staged_folder
from TomoRayLib.jobs.events import Emit, Finished, tell
from TomoRayLib.jobs.input_paths import check_can_begin
from TomoRayLib.jobs.job import ProjectionJob
from TomoRayLib.jobs.preloading import open_libraries
from TomoRayLib.jobs.progress import Stages

STAGE_SECONDS = {"Reading": 5.0, "Projecting": 1.5, "Writing": 0.5}


def run_projection(job: ProjectionJob, emit: Emit) -> Path:
    """Render radiographs of a CT as NRRD and PNG: ``ap`` and ``lat``, or the views of the job's poses.

    Args:
        job: The CT, the views and what the images show.
        emit: Receives the events: stages, notes, warnings and ``Finished``.

    Returns:
        The output folder. All files appear in it at once; after an error there are none.

    Raises:
        InputError: For an input or a setting that cannot be used.
        OutputError: If the output folder cannot be written.
    """
    stages = Stages(STAGE_SECONDS, emit)
    check_can_begin(job)
    check_writable(job.out)
    open_libraries()
    with stages.stage("Reading"):
        from TomoRayLib.synthesis.inputs import read_ct

        beside("torch")
        source = read_ct(job.ct, job.segmentation, job.labels)
        tell(emit, source.notes, source.warnings)
    with stages.stage("Projecting"):
        from TomoRayLib.projector.backends.one_run import backend_of_one_run
        from TomoRayLib.synthesis.acquisition import default_isocenter_mm
        from TomoRayLib.synthesis.cameras import cameras_of
        from TomoRayLib.synthesis.rendering import render, write_radiograph

        isocenter_mm, _ = default_isocenter_mm(source.ct, source.labels)
        cameras = cameras_of(job.geometry, job.poses, job.views, isocenter_mm)
        spacing_mm = job.geometry.pixel_spacing_mm
        backend = backend_of_one_run(source.ct.voxels.size)
        method: Literal["rays", "auto"] = "rays" if job.exact else "auto"
        images = render(source.ct, cameras, job.exposure, method=method, pixel_spacing_mm=spacing_mm, backend=backend)
    with stages.stage("Writing"), staged_folder(job.out) as folder:
        for name, image in images.items():
            write_radiograph(folder, name, image, cameras[name], spacing_mm)
    files = [f"{name}.{ending}" for name in images for ending in ("nrrd", "png")]
    emit(Finished({"folder": job.out, "files": files, "metrics": None, "seconds": stages.total_seconds}))
    return Path(job.out)
