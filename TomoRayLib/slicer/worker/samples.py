"""The demonstration case in the scene, through the panel's button and Slicer's Sample Data module."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import slicer.util
from slicer.i18n import tr as _

from TomoRayLib.anatomy.vertebrae import NAME_OF_LABEL
from TomoRayLib.base.errors import InputError
from TomoRayLib.slicer.scene.nodes import place_on_grid
from TomoRayLib.slicer.scene.segment_nodes import VERTEBRA_COLORS, add_segment
from TomoRayLib.slicer.worker.run import WorkerRun

# Where the CT is to lie when the extension is published: Slicer's scripted ``downloadSample`` takes it there; its
# button, and the panel's, take CT and vertebrae from the package that holds them, see ``download``.
RELEASE_URL = "https://github.com/TomoRay/SlicerTomoRay/releases/download/SampleData"
CATEGORY = "TomoRay"
SAMPLE_NAME = "TomoRaySpineCT"
CT_NODE_NAME = "LIDC-IDRI-0001 CT"
SEGMENTATION_NODE_NAME = "LIDC-IDRI-0001 vertebrae"


class SampleRun(WorkerRun):
    """Fetches the demonstration case; ``status.case`` is (CT node, segmentation node).

    A case that was loaded before and still is in the scene is not loaded twice.
    """

    def __init__(self, offline: bool = False) -> None:
        super().__init__()
        self.offline = offline

    def prepare(self, folder: Path) -> Any:
        from TomoRayLib.jobs.demonstration import default_cache
        from TomoRayLib.jobs.job import DemonstrationJob

        return DemonstrationJob(str(folder / "sample"), str(default_cache(dict(os.environ))), self.offline)

    def load(self, result: Mapping[str, Any]) -> tuple[Any, Any]:
        return load_sample(result)


def load_sample(result: Mapping[str, Any]) -> tuple[Any, Any]:
    """The nodes of a demonstration case: the CT in HU, and one segment a vertebra."""
    from TomoRayLib.images.files import read_labels, read_volume

    name = result["name"]
    present = [slicer.mrmlScene.GetFirstNodeByName(f"{name} {what}") for what in ("CT", "vertebrae")]
    if all(node is not None for node in present):
        return present[0], present[1]
    ct, labels = read_volume(result["ct"]), read_labels(result["labels"])
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", f"{name} CT")
    slicer.util.updateVolumeFromArray(volume, np.ascontiguousarray(ct.voxels))
    place_on_grid(volume, ct.grid)
    volume.CreateDefaultDisplayNodes()
    volume.GetDisplayNode().SetAutoWindowLevel(False)
    volume.GetDisplayNode().SetWindowLevel(1300.0, 400.0)
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", f"{name} vertebrae")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    values = [int(value) for value in np.unique(labels.voxels) if value != 0]
    for number, value in enumerate(values):
        name_of_segment = NAME_OF_LABEL.get(value, str(value))
        color = VERTEBRA_COLORS[number % len(VERTEBRA_COLORS)]
        add_segment(segmentation, labels.voxels == value, labels.grid, name_of_segment, color, f"vertebra_{value}")
    for node in (volume, segmentation):
        for key in ("source", "licence", "citation"):
            node.SetAttribute(f"TomoRay.{key.capitalize()}", result.get(key) or "")
    return volume, segmentation


def register(thumbnail: str) -> None:
    """Offer the demonstration case in Slicer's Sample Data module. Its files are checked against SHA-256 sums."""
    from TomoRayLib.jobs.demonstration import SHA256_OF_FILE

    try:
        import SampleData
    except ImportError:  # a Slicer without that module still has the panel's button
        return
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=SAMPLE_NAME,
        thumbnailFileName=thumbnail,
        uris=f"{RELEASE_URL}/cxr.nii.gz",
        fileNames="cxr.nii.gz",
        checksums=f"SHA256:{SHA256_OF_FILE['cxr.nii.gz']}",
        nodeNames=CT_NODE_NAME,
        customDownloader=download_with_words,
    )


def download(source: Any = None, offline: bool = False) -> list[Any]:
    """Fetch and load the case for the Sample Data module; the application stays alive meanwhile.

    ``source`` is Slicer's description of the sample, not needed here; ``offline`` takes the built-in phantom. Raises
    InputError where the case cannot be had.
    """
    run = SampleRun(offline)
    run.start()
    status = run.wait(slicer.app.processEvents)
    if status.case is None:
        raise InputError(status.failure.text if status.failure else _("The sample was not loaded."))
    return list(status.case)


def download_with_words(source: Any = None) -> list[Any]:
    """``download`` behind a button: what it has to say goes to the status bar or a message box."""
    slicer.util.showStatusMessage(_("TomoRay fetches its sample, 35 MB once ..."), 5000)
    try:
        nodes = download(source)
    except InputError as error:
        slicer.util.errorDisplay(str(error))
        return []
    if not nodes[0].GetName().startswith(CT_NODE_NAME):
        slicer.util.infoDisplay(
            _("The real CT could not be fetched: {name} was made instead, from formulas.").format(
                name=nodes[0].GetName()
            )
        )
    return nodes
