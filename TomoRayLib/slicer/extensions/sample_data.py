"""The demonstration case in Slicer's Sample Data module."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import slicer
import slicer.util
from slicer.i18n import tr as _

from TomoRayLib.base.errors import InputError
from TomoRayLib.jobs.demonstration_files import (
    SHA256_OF_FILE,
    default_cache,
    delete_downloaded,
    downloaded_files,
)

if TYPE_CHECKING:
    from TomoRayLib.slicer.runs import SampleRun

# Planned address of the CT once the extension is published, for Slicer's scripted ``downloadSample``. Its button, and
# the panel's, take CT and vertebrae from the package that holds them, see ``download``.
RELEASE_URL = "https://github.com/TomoRay/SlicerTomoRay/releases/download/SampleData"
CATEGORY = "TomoRay"
SAMPLE_NAME = "TomoRaySpineCT"
CT_NODE_NAME = "LIDC-IDRI-0001 CT"


def register(thumbnail: str) -> None:
    """Offer the demonstration case in Slicer's Sample Data module. Its files are checked against SHA-256 sums."""
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
        customDownloader=download_and_tell,
    )


def download(*, offline: bool = False) -> list[Any]:
    """Fetch and load the case, or the built-in phantom if ``offline``; the application stays responsive meanwhile.

    Returns the CT and the segmentation node. Raises InputError if there is neither.
    """
    run = _run(offline)
    if run.status.nodes is None:
        raise InputError(_problem(run))
    return list(run.status.nodes)


def download_and_tell(source: Any = None) -> list[Any]:
    """Fetch and load the case for Slicer's button; messages go to the status bar or a message box.

    ``source`` is Slicer's description of the sample, which is not needed.
    """
    slicer.util.showStatusMessage(_("TomoRay downloads its sample (35 MB, once) ..."), 5000)
    run = _run(offline=False)
    if run.status.nodes is None:
        slicer.util.errorDisplay(_problem(run))
        return []
    nodes = list(run.status.nodes)
    if run.is_phantom:
        slicer.util.infoDisplay(
            _("The real CT could not be downloaded; it was replaced by an analytical phantom ({name}).").format(
                name=nodes[0].GetName()
            )
        )
    return nodes


def is_downloaded() -> bool:
    """True if files of the sample are on this computer."""
    return bool(downloaded_files(default_cache(dict(os.environ))))


def delete() -> str:
    """Delete the downloaded sample; what is in the scene stays. Returns a sentence on what was freed.

    Raises OutputError if a file cannot be deleted.
    """
    freed = delete_downloaded(default_cache(dict(os.environ)))
    text = _("The downloaded sample was deleted: {size:.0f} MB are free again. What is in the scene stays.")
    return str(text.format(size=freed / 1e6))


def _run(offline: bool) -> SampleRun:
    from TomoRayLib.slicer.runs import SampleRun  # with numpy, which is not for Slicer's start

    run = SampleRun(offline)
    run.start()
    run.wait(slicer.app.processEvents)
    return run


def _problem(run: SampleRun) -> str:
    return run.status.failure.text if run.status.failure else _("The sample was not loaded.")
