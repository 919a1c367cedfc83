"""How a result was made: versions, weights, geometry, inputs and their hashes."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import asdict
from datetime import datetime, timezone
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import TomoRayLib
from TomoRayLib.anatomy.grey_levels import BONE_WINDOW
from TomoRayLib.base.notices import NOTICE
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.views import Biplanar
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.networks.registry import ModelEntry
from TomoRayLib.synthesis.acquisition import views_to_dict

PACKAGES = ("numpy", "scipy", "torch", "SimpleITK", "vtk", "pydicom")


def provenance_of(
    job: SynthesisJob,
    model: ModelEntry,
    device: str,
    precision: str,
    views: Biplanar,
    grid: Grid,
    notes: tuple[str, ...],
) -> dict[str, Any]:
    """Everything needed to make a result again, as JSON-like values; the caller adds what it cost."""
    files = {name: getattr(job, name) for name in ("ap", "lateral", "ct", "segmentation") if getattr(job, name)}
    return {
        "notice": NOTICE,
        "tomoray": TomoRayLib.__version__,
        "made_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "packages": {name: version_of(name) for name in PACKAGES},
        "device": device,
        "precision": precision,
        "model": {"id": model.id, "weights_sha256": model.sha256, "licence": model.licence},
        "views": views_to_dict(views),
        "grid": {**asdict(grid), "fov_mm": job.fov_mm},
        "window_hu": {"center": BONE_WINDOW.center_hu, "width": BONE_WINDOW.width_hu},
        "quantisation": job.quantisation,
        "flips": {"ap": job.flip_ap, "lateral": job.flip_lateral, "invert": job.invert},
        "inputs": {name: {"name": Path(path).name, "sha256": sha256_of(Path(path))} for name, path in files.items()},
        "notes": list(notes),
    }


def version_of(package: str) -> str:
    """The version of an installed package; inside Slicer, SimpleITK and vtk are there without saying so to pip."""
    try:
        return version(package)
    except PackageNotFoundError:
        module = import_module(package)
        if package == "vtk":
            return str(module.vtkVersion.GetVTKVersion())
        return str(getattr(module, "__version__", "unknown"))


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, or of all files of a folder in the order of their names.

    A header without its voxels (.mhd, .nhdr) is hashed together with every file beside it that shares its name.
    """
    digest = hashlib.sha256()
    files = [path]
    if path.is_dir():
        files = sorted(item for item in path.rglob("*") if item.is_file())
    elif path.suffix.lower() in (".mhd", ".nhdr"):
        files = sorted(item for item in path.parent.glob(f"{path.stem}.*") if item.is_file())
    for item in files:
        with item.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
