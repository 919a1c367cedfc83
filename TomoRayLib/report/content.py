"""The content of a report: one case's radiographs, volumes, scores and provenance, checked when it is put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.anatomy.grey_levels import BONE_WINDOW, vertebra_mask
from TomoRayLib.anatomy.vertebra_decoding import DecodedSpine
from TomoRayLib.anatomy.vertebra_naming import UNSURE
from TomoRayLib.anatomy.vertebrae import NAME_OF_LABEL
from TomoRayLib.geometry.grid import Grid, Vector3
from TomoRayLib.geometry.views import Biplanar
from TomoRayLib.images.case_surfaces import CaseSurfaces
from TomoRayLib.images.resampling import Interpolation, resample
from TomoRayLib.images.types import Volume
from TomoRayLib.metrics.table import MetricsTable
from TomoRayLib.metrics.vertebra_matches import MatchedSpine
from TomoRayLib.report.label_places import vertebra_places

Names = tuple[tuple[str, Vector3], ...]
UNSURE_MARK = "?"  # behind a name


@dataclass(frozen=True, eq=False)
class ReportContent:
    """One case, as the report and the overview show it.

    ``ap`` and ``lateral`` are (rows, columns) of their views' detectors, bone bright. ``synthetic`` and ``truth`` are
    in HU with everything but the vertebrae at the window's lower end; ``synthetic_mask`` is non-zero on bone,
    ``truth_labels`` holds VerSe numbers. Volumes may lie on any grid; they are shown on that of ``synthetic``.
    ``truth``, ``truth_labels`` and ``metrics`` are None for a synthesis from radiographs alone. A CT without vertebra
    labels (``truth_labels`` None, or without a vertebra) is ``truth`` as it is, all tissue in the bone window: it is
    shown, not scored. ``labels_by`` says whose the truth's labels are if they are not the user's, ``labels_unsure``
    whether their numbers may all be off. ``spine`` are the vertebrae of a model that counts them, ``matched`` what they
    are of the true ones. ``bone_mm`` are (rows, columns) millimetres of synthetic bone along the rays of the AP and the
    lateral radiograph, over their fields on pixels of their own, and ``agreements`` how well each fits its radiograph.
    ``uncertainty`` is the probability that the bone mask is wrong, ``expected_dice`` what follows from it; None if it
    was not asked for. ``surfaces`` are those of ``synthetic_mask`` and ``truth_labels`` if they are made already.
    ``provenance`` is JSON-like; ``notes`` are sentences to the reader, ``demonstration_note`` says
    what the demonstration case is.

    Raises:
        ValueError: If a radiograph does not have its detector's rows and columns, or there are labels without a truth
            or metrics without labels.
    """

    title: str
    views: Biplanar
    ap: NDArray[Any]
    lateral: NDArray[Any]
    synthetic: Volume
    synthetic_mask: Volume
    truth: Volume | None
    truth_labels: Volume | None
    metrics: MetricsTable | None
    provenance: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    demonstration_note: str | None = None
    labels_by: str | None = None
    labels_unsure: bool = False
    spine: DecodedSpine | None = None
    matched: MatchedSpine | None = None
    bone_mm: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None
    agreements: tuple[float | None, float | None] = (None, None)
    uncertainty: Volume | None = None
    expected_dice: float | None = None
    surfaces: CaseSurfaces | None = None
    measures: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        for name, pixels, view in (("ap", self.ap, self.views.ap), ("lateral", self.lateral, self.views.lateral)):
            if tuple(pixels.shape) != view.detector.shape:
                raise ValueError(
                    f"{name} must have its detector's rows and columns, {view.detector.shape}; got {pixels.shape}. "
                    "Give the radiograph that belongs to the view."
                )
        if self.truth is None and self.truth_labels is not None:
            raise ValueError("truth_labels need the CT that they belong to; got truth None. Give both, or no labels.")
        if self.truth_labels is None and self.metrics is not None:
            raise ValueError("metrics need the truth's vertebra labels; got truth_labels None. Give metrics None too.")

    @property
    def synthetic_doubt(self) -> str:
        """What stands behind the names of synthetic vertebrae: a question mark if the count is unsure."""
        return UNSURE_MARK if self.spine is not None and self.spine.numbering == UNSURE else ""

    @property
    def names_doubt(self) -> str:
        """The same for the names that pages go by: those of the truth if there is one, else the synthetic ones."""
        if not self.shown.is_scored:
            return self.synthetic_doubt
        return UNSURE_MARK if self.labels_unsure else ""

    @cached_property
    def shown(self) -> Shown:
        """The volumes as they are shown, brought onto one grid once for all pictures."""
        return shown_volumes(self)


@dataclass(frozen=True, eq=False)
class Shown:
    """The volumes of a case on one grid along the axes of LPS: HU and boolean masks (z, y, x).

    ``truth_labels`` is None without a CT, and with one that is shown but not scored. ``synthetic_names`` and
    ``truth_names`` are names of whole vertebrae with their centres in LPS mm, none if they are not told apart;
    ``synthetic_labels`` are the synthetic vertebrae in VerSe numbers (z, y, x), None likewise.
    ``made_surfaces`` are those of the masks if they were made before.
    """

    grid: Grid
    synthetic_hu: NDArray[Any]
    synthetic_mask: NDArray[np.bool_]
    truth_hu: NDArray[Any] | None
    truth_labels: NDArray[Any] | None
    labels_by: str | None = None
    synthetic_names: Names = ()
    truth_names: Names = ()
    synthetic_labels: NDArray[Any] | None = None
    made_surfaces: CaseSurfaces | None = None

    @property
    def is_scored(self) -> bool:
        """True if there is a CT with labelled vertebrae on this grid."""
        return self.truth_labels is not None

    @cached_property
    def truth_mask(self) -> NDArray[np.bool_] | None:
        return None if self.truth_labels is None else vertebra_mask(self.truth_labels)

    @cached_property
    def bone(self) -> NDArray[np.bool_]:
        """The spine: the truth's mask if there is one, else the synthetic one."""
        return self.synthetic_mask if self.truth_mask is None else self.truth_mask

    @cached_property
    def surfaces(self) -> CaseSurfaces:
        """The surfaces of both masks: those made already, else made from these."""
        if self.made_surfaces is not None:
            return self.made_surfaces
        truth = None if self.truth_mask is None else Volume(self.truth_mask, self.grid)
        return CaseSurfaces(Volume(self.synthetic_mask, self.grid), truth)


def shown_volumes(content: ReportContent) -> Shown:
    """Bring the case's volumes onto the synthetic CT's grid, or onto one along the axes of LPS if that is oblique."""
    grid = upright_grid(content.synthetic.grid)
    truth = None if content.truth is None else _grey(content.truth, grid)
    labels = None if content.truth_labels is None else _labels(content.truth_labels, grid)
    if labels is not None and not vertebra_mask(labels).any():
        labels = None
    masks = [content.synthetic_mask, *([] if labels is None else [content.truth_labels])]
    are_on_grid = all(mask is not None and mask.grid.same_as(grid) for mask in masks)
    return Shown(
        grid,
        _grey(content.synthetic, grid),
        _labels(content.synthetic_mask, grid) != 0,
        truth,
        labels,
        content.labels_by,
        _names_of_spine(content.spine),
        () if labels is None else _names_of_labels(labels, grid, UNSURE_MARK if content.labels_unsure else ""),
        _labels_of_spine(content, grid),
        content.surfaces if are_on_grid and (labels is None) == (content.truth_labels is None) else None,
    )


def _labels_of_spine(content: ReportContent, grid: Grid) -> NDArray[Any] | None:
    """The synthetic vertebrae in VerSe numbers (z, y, x); None if they are not told apart."""
    if content.spine is None or not content.spine.vertebrae:
        return None
    return _labels(Volume(content.spine.labels, content.synthetic.grid), grid)


def _names_of_spine(spine: DecodedSpine | None) -> Names:
    """The whole vertebrae of a synthetic CT; with a question mark if the count is unsure."""
    if spine is None:
        return ()
    doubt = UNSURE_MARK if spine.numbering == UNSURE else ""
    return tuple((one.name + doubt, one.center_mm) for one in spine.vertebrae if one.whole)


def _names_of_labels(labels: NDArray[Any], grid: Grid, doubt: str) -> Names:
    """The vertebrae of a label map (z, y, x) that neither its first nor its last slice cuts; none of a whole spine."""
    names = []
    for label, place in vertebra_places(labels).items():
        if place.is_whole:
            x, y, z = (grid.index_to_world @ np.append(place.center_index[::-1], 1.0))[:3].tolist()
            names.append((NAME_OF_LABEL[label] + doubt, (x, y, z)))
    return tuple(names)


def upright_grid(grid: Grid) -> Grid:
    """Return ``grid`` if its axes are those of LPS, else one along them that holds it, with its finest spacing."""
    return grid if grid.is_upright else grid.upright(min(grid.spacing_mm))


def _grey(volume: Volume, grid: Grid) -> NDArray[Any]:
    if volume.grid.same_as(grid):
        return volume.voxels
    return resample(volume, grid, fill=BONE_WINDOW.low_hu).voxels


def _labels(volume: Volume, grid: Grid) -> NDArray[Any]:
    if volume.grid.same_as(grid):
        return volume.voxels
    whole = volume.voxels.astype(np.uint8) if volume.voxels.dtype == np.bool_ else volume.voxels
    return resample(Volume(whole, volume.grid), grid, Interpolation.NEAREST, fill=0).voxels
