"""Provenance of a result: versions, weights, geometry, inputs and their hashes."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import TomoRayLib
from TomoRayLib.anatomy.grey_levels import BONE_WINDOW
from TomoRayLib.base.notices import NOTICE
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.views import Biplanar
from TomoRayLib.images.data_files import sha256_of_image
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.synthesis.geometry_files import views_to_dict
from TomoRayLib.synthesis.model_run import ChosenModel

PACKAGES = ("numpy", "scipy", "torch", "SimpleITK", "vtk", "pydicom")
DICOM_FOLDER = "dicom"  # in a case's folder


def provenance_of(
    job: SynthesisJob,
    model: ChosenModel,
    views: Biplanar,
    grid: Grid,
    notes: tuple[str, ...],
) -> dict[str, Any]:
    """Return everything needed to make a result again, as JSON-like values; the caller adds the cost."""
    return {
        **made_by(NOTICE),
        "device": model.device,
        "precision": model.precision_name,
        "model": {
            "id": model.entry.id,
            "weights_sha256": model.entry.sha256,
            "licence": model.entry.licence,
        },
        "views": views_to_dict(views),
        "grid": {**asdict(grid), "fov_mm": job.fov_mm},
        "window_hu": {"center": BONE_WINDOW.center_hu, "width": BONE_WINDOW.width_hu},
        "quantisation": job.quantisation,
        "arrangement": job.arrangement.settings(),
        "inputs": named_inputs(job, "ap", "lateral", "ct", "study", "segmentation", names=job.input_names),
        "notes": list(notes),
        **dicom_of(job),
    }


def dicom_of(job: SynthesisJob) -> dict[str, Any]:
    """Return the folder of the DICOM files, whether they name a patient, and what wrote them; nothing without them."""
    if not job.dicom:
        return {}
    named = job.dicom_patient_from is not None
    return {"dicom": {"folder": DICOM_FOLDER, "names_a_patient": named, "highdicom": version_of("highdicom")}}


def made_by(notice: str) -> dict[str, Any]:
    """Return the marking of a result, its time, and the versions of all that made it."""
    return {
        "notice": notice,
        "tomoray": TomoRayLib.__version__,
        "made_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "packages": {name: version_of(name) for name in PACKAGES},
    }


def named_inputs(job: object, *fields: str, names: Mapping[str, str] | None = None) -> dict[str, dict[str, str]]:
    """Return name and hash of the files in those fields of a job that hold one.

    ``names`` by field take the place of the files' own. Raises InputError as for a hash.
    """
    files = {field: Path(path) for field in fields if (path := getattr(job, field))}
    shown = names or {}
    return {
        field: {"name": shown.get(field, path.name), "sha256": sha256_of_image(path)} for field, path in files.items()
    }


def version_of(package: str) -> str:
    """Return the version of an installed package. Inside Slicer, pip does not know SimpleITK and vtk."""
    try:
        return version(package)
    except Exception:  # pip does not know it, or its metadata are damaged: those raise what they like
        module = import_module(package)
        if package == "vtk":
            return str(module.vtkVersion.GetVTKVersion())
        return str(getattr(module, "__version__", "unknown"))
