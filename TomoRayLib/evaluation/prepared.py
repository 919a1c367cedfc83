"""A case up to its radiographs and its truth: what every method of a comparison shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.anatomy.grey_levels import LookupTable, Quantisation
from TomoRayLib.anatomy.numberings import AUTO
from TomoRayLib.base.errors import InputError
from TomoRayLib.evaluation.case_facts import case_facts
from TomoRayLib.evaluation.code_version import code_version
from TomoRayLib.evaluation.spine_shape import spine_picture, to_text
from TomoRayLib.evaluation.stage_store import Stage, StageStore, stage_key
from TomoRayLib.geometry.grid import Grid, Vector3
from TomoRayLib.geometry.view_json import view_from_dict
from TomoRayLib.geometry.views import Biplanar
from TomoRayLib.images.data_files import sha256_of_image
from TomoRayLib.images.masks.label_names import names_of_labels
from TomoRayLib.segmentation.agreement import labels_at_ends
from TomoRayLib.synthesis.geometry_files import views_to_dict
from TomoRayLib.synthesis.model_run import LINEAR
from TomoRayLib.synthesis.own_labels import NO_VERTEBRA, choose_segmenter
from TomoRayLib.synthesis.settings import GeometryOptions
from TomoRayLib.synthesis.source_inputs import read_source
from TomoRayLib.synthesis.truth import GroundTruth, ground_truth
from TomoRayLib.weights import find_segmenter, load_equal_frequency_table

RENDERED, SCOUTS = "rendered", "scouts of the CT (real X-rays)"
NOT_IN_VIEW = (
    "Expected a labelled vertebra in the cube about the isocentre, found none. Check the isocentre and the labels."
)


@dataclass(frozen=True)
class CaseFiles:
    """The files of a case as texts: a CT, or a study's folder, and its segmentation; None is labelled by TomoRay."""

    ct: str
    segmentation: str | None = None
    is_study: bool = False


@dataclass(frozen=True)
class CaseSettings:
    """What radiographs and truth of a case depend on beside its files.

    Args:
        geometry: Geometry of rendered radiographs.
        labels: Numbering of the segmentation.
        fov_mm: Edge of the cube that is scored.
        size: Voxels along the cube's edge.
        quantisation: Lookup table of the truth.
        device: For the network that labels a CT without a segmentation.
        precision: Likewise.
    """

    geometry: GeometryOptions = field(default_factory=GeometryOptions)
    labels: str = AUTO
    fov_mm: float = 256.0
    size: int = 192
    quantisation: str = Quantisation.LINEAR.value
    device: str = "auto"
    precision: str = "auto"

    @property
    def table(self) -> LookupTable:
        """The lookup table from HU to grey values."""
        equal_frequency = self.quantisation == Quantisation.EQUAL_FREQUENCY.value
        return load_equal_frequency_table() if equal_frequency else LINEAR


@dataclass(frozen=True, eq=False)
class PreparedCase:
    """Radiographs and truth of a case.

    Args:
        key: Under which the stage is kept; what follows from it is keyed by it.
        ap: AP radiograph (rows, columns) as the network reads it.
        lateral: Lateral radiograph, likewise.
        views: Geometry of both.
        truth: Truth on the cube that is scored.
        cut: Labels that the CT's own ends cut.
        ct_middle_mm: Middle of the CT in LPS, and its highest z in mm: where methods without a place put their volumes.
        ct_top_mm: The highest z of the CT.
        values: ``notes``, ``warnings``, ``labels_by``, ``labels_unsure``, ``facts`` and ``picture``.
    """

    key: str
    ap: NDArray[np.float32]
    lateral: NDArray[np.float32]
    views: Biplanar
    truth: GroundTruth
    cut: frozenset[int]
    ct_middle_mm: Vector3
    ct_top_mm: float
    values: Mapping[str, Any]

    @property
    def grid(self) -> Grid:
        """The cube that is scored."""
        return self.truth.grid


def prepared_key(files: CaseFiles, settings: CaseSettings) -> str:
    """Return the key of a prepared case: content of all its files, settings and code.

    Raises InputError for a file that cannot be read.
    """
    geometry = asdict(settings.geometry)
    for name in ("file", "ap_matrix_file", "lateral_matrix_file"):
        if geometry.get(name) is not None:
            geometry[name] = sha256_of_image(Path(geometry[name]))
    segmentation = None if files.segmentation is None else Path(files.segmentation)
    labelled_by = (
        {"sha256": sha256_of_image(segmentation), "names": label_names(segmentation), "numbering": settings.labels}
        if segmentation is not None
        else {"segmenter": find_segmenter().sha256, "device": settings.device, "precision": settings.precision}
    )
    return stage_key(
        "prepared",
        code=code_version("prepared"),
        ct=sha256_of_image(Path(files.ct)),
        is_study=files.is_study,
        labels=labelled_by,
        geometry=geometry,
        cube=[settings.fov_mm, settings.size],
        table=asdict(settings.table),
    )


def prepare(files: CaseFiles, settings: CaseSettings, store: StageStore, key: str) -> tuple[PreparedCase, bool]:
    """Read a case, render or take its radiographs, and make its truth, or take all this from the store.

    Args:
        files: The case's files.
        settings: What it depends on.
        store: Where stages are kept.
        key: From ``prepared_key``.

    Returns:
        The case, and whether it was in the store.

    Raises:
        InputError: For files that cannot be used, and if no labelled vertebra lies in the cube.
    """
    stage, was_kept = store.made(key, lambda: _prepared(files, settings))
    return _from_stage(stage, settings, key), was_kept


def _prepared(files: CaseFiles, settings: CaseSettings) -> Stage:
    segmentation = None if files.segmentation is None else Path(files.segmentation)
    labels = settings.labels if segmentation is not None else AUTO
    source = read_source(Path(files.ct), segmentation, labels, is_study=files.is_study)
    if segmentation is None:
        source = source.labelled_by(choose_segmenter(settings.device, settings.precision))
    if source.ct.labels is None:
        raise InputError(NO_VERTEBRA)
    inputs = source.radiographs(settings.geometry)
    grid = Grid.cube(inputs.views.isocenter_mm, settings.fov_mm, settings.size)
    truth = ground_truth(source.ct.ct, source.ct.labels, grid, settings.table)
    if truth.is_empty:
        raise InputError(NOT_IN_VIEW)
    ct, pair = source.ct.ct, inputs.for_network
    corners = np.array([ct.grid.index_to_world @ (*corner, 1.0) for corner in _corners(ct.grid)])[:, :3]
    segmenter = source.ct.segmenter
    arrays = {"ap": pair.ap, "lateral": pair.lateral, "grey": truth.grey, "labels": truth.labels}
    return Stage(
        arrays,
        {
            "views": views_to_dict(pair.views),
            "isocenter_mm": list(inputs.views.isocenter_mm),
            "cut": sorted(labels_at_ends(source.ct.labels)),
            "ct_middle_mm": list(ct.grid.center_mm),
            "ct_top_mm": float(corners[:, 2].max()),
            "notes": list(inputs.notes),
            "warnings": list(inputs.warnings),
            "labels_by": source.ct.labels_by,
            "segmenter": dict(segmenter) if segmenter is not None else None,
            "facts": case_facts(ct, source.ct.labels, grid, SCOUTS if files.is_study else RENDERED),
            "picture": to_text(spine_picture(source.ct.labels)),
        },
    )


def _from_stage(stage: Stage, settings: CaseSettings, key: str) -> PreparedCase:
    values, arrays = stage.values, stage.arrays
    views = values["views"]
    center = views.get("center_mm")
    pair = Biplanar(
        view_from_dict(views["ap"]), view_from_dict(views["lateral"]), None if center is None else tuple(center)
    )
    grid = Grid.cube(tuple(values["isocenter_mm"]), settings.fov_mm, settings.size)
    truth = GroundTruth(arrays["grey"], arrays["labels"], grid, settings.table)
    x, y, z = values["ct_middle_mm"]
    return PreparedCase(
        key,
        arrays["ap"],
        arrays["lateral"],
        pair,
        truth,
        frozenset(values["cut"]),
        (x, y, z),
        float(values["ct_top_mm"]),
        values,
    )


def _corners(grid: Grid) -> list[tuple[float, float, float]]:
    """The corners of the grid's outer faces, as (i, j, k)."""
    x, y, z = grid.size
    return [(i - 0.5, j - 0.5, k - 0.5) for i in (0, x) for j in (0, y) for k in (0, z)]


def label_names(segmentation: Path) -> list[list[Any]]:
    """Return the names of a label map's numbers, which may be in a table beside it: another table, other scores."""
    names = names_of_labels(segmentation) if segmentation.is_file() else None
    return [[label.number, label.layer, *label.texts] for label in names.labels] if names is not None else []
