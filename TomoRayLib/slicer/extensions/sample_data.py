"""The demonstration case in Slicer's Sample Data module."""

from __future__ import annotations

from typing import Any

import slicer
import slicer.util
from slicer.i18n import tr as _

from TomoRayLib.base.errors import InputError
from TomoRayLib.slicer.runs import SampleRun

# Where the CT is to lie when the extension is published: Slicer's scripted ``downloadSample`` takes it there; its
# button, and the panel's, take CT and vertebrae from the package that holds them, see ``download``.
RELEASE_URL = "https://github.com/TomoRay/SlicerTomoRay/releases/download/SampleData"
CATEGORY = "TomoRay"
SAMPLE_NAME = "TomoRaySpineCT"
CT_NODE_NAME = "LIDC-IDRI-0001 CT"
SEGMENTATION_NODE_NAME = "LIDC-IDRI-0001 vertebrae"


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
    if status.nodes is None:
        raise InputError(status.failure.text if status.failure else _("The sample was not loaded."))
    return list(status.nodes)


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
