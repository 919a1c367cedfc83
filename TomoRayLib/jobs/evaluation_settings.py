"""How the scores of an evaluation are made, as values that go with every table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import TomoRayLib
from TomoRayLib.anatomy.grey_levels import BONE_WINDOW
from TomoRayLib.images.data_files import sha256_of_image
from TomoRayLib.jobs.evaluation_cases import Methods
from TomoRayLib.jobs.evaluation_job import EvaluationJob
from TomoRayLib.jobs.provenance import PACKAGES, version_of
from TomoRayLib.synthesis.model_run import choose_model
from TomoRayLib.synthesis.stated_geometry import DEFAULT_PRESET

THREADS = 1  # for each case, wherever it runs: by their number the network's last digits differ


def scoring_settings(job: EvaluationJob, methods: Methods) -> dict[str, Any]:
    """Return everything but the cases that scores depend on, as it comes back from JSON.

    Raises InputError for a device that does not exist.
    """
    geometry = asdict(job.geometry)
    for name in ("file", "ap_matrix_file", "lateral_matrix_file"):
        if geometry[name] is not None:
            geometry[name] = sha256_of_image(Path(geometry[name]))
    chosen = choose_model(methods.atlas.id, job.device, job.precision)
    settings = {
        "tomoray": TomoRayLib.__version__,
        "models": {row: {"id": one.id, "weights_sha256": one.sha256} for row, one in methods.models.items()},
        "predictions": {one.name: one.to_json_dict() for one in methods.predictions},
        "mean_atlas": {"of_model": methods.atlas.id, "atlas_sha256": methods.atlas.atlas_sha256},
        "device": chosen.device.partition(":")[0],
        "precision": chosen.precision_name,
        "threads_a_case": THREADS,
        "fov_mm": job.fov_mm,
        "voxels": methods.atlas.size,
        "quantisation": job.quantisation,
        "labels": job.labels,
        "window_hu": {"center": BONE_WINDOW.center_hu, "width": BONE_WINDOW.width_hu},
        "geometry": geometry,
    }
    as_read: dict[str, Any] = json.loads(json.dumps(settings))
    return as_read


def shown_settings(settings: dict[str, Any], methods: Methods, job: EvaluationJob) -> dict[str, Any]:
    """Return the settings with the models' licences and data and the versions of the packages."""
    geometry = {key: value for key, value in settings["geometry"].items() if value is not None}
    if not {"preset", "file"} & set(geometry):
        geometry = {"preset": DEFAULT_PRESET, **geometry}
    models = {
        row: {**settings["models"][row], "licence": entry.licence, "made_from": _data_of(entry.data)}
        for row, entry in methods.models.items()
    }
    return {
        **settings,
        "geometry": {**geometry, "studies": "the headers of their scouts"},
        "models": models,
        "case_list": Path(job.cases).name if job.cases else "all cases",
        **({"compared_with": Path(job.against).resolve().name} if job.against else {}),
        "packages": {name: version_of(name) for name in PACKAGES},
    }


def _data_of(data: Sequence[Mapping[str, str]]) -> dict[str, str]:
    return {item["name"]: item["use"] for item in data}
