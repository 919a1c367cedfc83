"""What a synthesis needs after its reading, loaded in a thread of its own while it reads."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from TomoRayLib.base.early_import import beside, open_library
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.weights import ModelEntry, kept_network

LIBRARIES = (("torch", "lib/libtorch_cpu.so"), ("SimpleITK", "_SimpleITK*.so"))
SMALL = 8  # voxels and pixels of the projection that loads the projector's kernel


def preload(job: SynthesisJob, entry: ModelEntry) -> None:
    """Begin to load PyTorch, the projector if the job has a CT, the network, and what draws and writes, in this order.

    Returns at once. What cannot be loaded is left for who needs it to complain about.
    """

    def network() -> None:
        from TomoRayLib.synthesis.model_run import choose_device

        kept_network(entry, choose_device(job.device))

    projector = (load_projector,) if job.has_ct and job.study is None else ()
    dicom = ("highdicom", "TomoRayLib.jobs.dicom_output") if job.dicom else ()
    beside("torch", *projector, "TomoRayLib.jobs.case", network, "TomoRayLib.jobs.results", *dicom)


def open_libraries() -> None:
    """Begin to open the largest libraries, which takes no turn of Python's: .16 s for PyTorch's."""
    beside(*(partial(open_library, *names) for names in LIBRARIES))


def load_projector() -> None:
    """Project next to nothing: the compiled kernel is read from its folder, or compiled if it is not there yet."""
    import torch

    from TomoRayLib.geometry.detector import Detector
    from TomoRayLib.geometry.grid import Grid
    from TomoRayLib.geometry.presets import c_arm
    from TomoRayLib.projector.projection import project

    grid = Grid.cube((0.0, 0.0, 0.0), 100.0, SMALL)
    detector = Detector(SMALL, SMALL, (20.0, 20.0))
    for view in (c_arm().ap, c_arm().lateral):
        project(torch.ones(grid.shape), grid, replace(view, detector=detector))
