"""Inputs of a synthesis, read and checked: two radiographs, or a CT that both radiographs are rendered from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.anatomy.numberings import AUTO
from TomoRayLib.geometry.views import Biplanar
from TomoRayLib.images.checks import check_ct
from TomoRayLib.images.files import read_volume
from TomoRayLib.images.masks.checks import placed_mask
from TomoRayLib.images.masks.plausibility import check_mask_in_ct
from TomoRayLib.images.structure_masks import read_segmentation
from TomoRayLib.images.types import Volume
from TomoRayLib.synthesis.acquisition import default_isocenter_mm, rendering_views
from TomoRayLib.synthesis.arrangement import Pair
from TomoRayLib.synthesis.settings import GeometryOptions


@dataclass(frozen=True)
class SourceCT:
    """A CT in HU, perhaps with its vertebra labels in VerSe numbering.

    ``notes`` say how they were read, ``warnings`` what may be wrong with them. ``labels_by`` says whose labels they are
    if no segmentation was given, and ``segmenter`` which network found them; None with one, and without labels.
    """

    ct: Volume
    labels: Volume | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    labels_by: str | None = None
    segmenter: Mapping[str, Any] | None = None

    def without_voxels(self) -> SourceCT:
        """Return the same with voxels of nothing, which take no memory, on their grids."""
        volumes = [
            None if one is None else replace(one, voxels=np.broadcast_to(one.voxels.dtype.type(0), one.voxels.shape))
            for one in (self.ct, self.labels)
        ]
        assert volumes[0] is not None
        return replace(self, ct=volumes[0], labels=volumes[1])


@dataclass(frozen=True)
class Inputs:
    """Radiographs (rows, columns), bone bright, on the detectors of ``views``, and the CT that they come from, if any.

    ``notes`` say how they were read, ``warnings`` what may be wrong with them. ``as_read`` are two radiographs as their
    files hold them, but for borders and letters, which are filled; None with a CT. ``as_seen`` is what of these shows
    the patient, if their heights were compared and may have been changed. ``cleaned`` are ``ap`` and ``lateral``
    without borders and letters, if there were any. ``state_their_views``: the files of both hold the view that TomoRay
    rendered them with, and nothing in them contradicts it.
    """

    ap: NDArray[np.float32]
    lateral: NDArray[np.float32]
    views: Biplanar
    source: SourceCT | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    as_read: Pair | None = None
    as_seen: Pair | None = None
    cleaned: Pair | None = None
    state_their_views: bool = False

    @property
    def for_network(self) -> Pair:
        """Both radiographs as the network reads them, with their views."""
        return Pair(self.ap, self.lateral, self.views) if self.cleaned is None else self.cleaned


def read_ct(ct: str, segmentation: str | None, labels: str = AUTO) -> SourceCT:
    """Read a CT and its vertebra labels.

    Args:
        ct: File or folder of the CT.
        segmentation: Its label map, or a folder of masks named after vertebrae; None without one.
        labels: The numbering of the label map, one of ``LABEL_CHOICES``.

    Returns:
        The CT, its labels on its grid, notes and warnings.

    Raises:
        InputError: For a file that cannot be one, labels of another CT, and a numbering that cannot be told.
    """
    return labelled_ct(read_volume(ct), Path(ct).name, segmentation, labels)


def labelled_ct(volume: Volume, name: str, segmentation: str | None, labels: str = AUTO) -> SourceCT:
    """Check a CT that was read, and put its vertebra labels on its grid, as ``read_ct`` does, under ``name``."""
    warnings = (*_said("CT", volume.warnings), *check_ct(volume, name))
    if segmentation is None:
        return SourceCT(volume, notes=_said("CT", volume.notes), warnings=warnings)
    mask = placed_mask(read_segmentation(Path(segmentation), labels), volume)
    remarks = check_mask_in_ct(mask, volume, Path(segmentation).name)
    notes = (*_said("CT", volume.notes), *_said("Mask", mask.notes))
    return SourceCT(volume, mask, notes, (*warnings, *_said("Mask", (*mask.warnings, *remarks))))


def project_ct(source: SourceCT, geometry: GeometryOptions) -> Inputs:
    """Render AP and lateral line integrals of a CT. Raises InputError for a view that misses it."""
    return rendered(source, views_of_ct(source, geometry))


def rendered(source: SourceCT, views: RenderedViews, *, overwrite: bool = False) -> Inputs:
    """Render a CT's line integrals; ``views`` are from ``views_of_ct``, ``overwrite`` is as in ``rendering.render``.

    Raises InputError for a view that misses it.
    """
    from TomoRayLib.synthesis.rendering import render  # here, as it loads PyTorch

    both = views.views
    images = render(source.ct, {"ap": both.ap, "lat": both.lateral}, overwrite=overwrite)
    notes, warnings = (*source.notes, views.note), source.warnings
    return Inputs(images["ap"], images["lat"], both, source, notes, warnings)


@dataclass(frozen=True)
class RenderedViews:
    """The views that a CT is rendered from, and where their isocentre comes from, in a sentence."""

    views: Biplanar
    note: str


def views_of_ct(source: SourceCT, geometry: GeometryOptions) -> RenderedViews:
    """Return the views that a CT is rendered from."""
    center_mm, middle = default_isocenter_mm(source.ct, source.labels)
    views = rendering_views(geometry, center_mm)
    given = geometry.isocenter_mm is not None or geometry.file is not None
    place = ", ".join(f"{value:.1f}" for value in views.isocenter_mm)
    return RenderedViews(views, f"Isocentre ({place}) mm: {'given or from the geometry file' if given else middle}.")


def _said(name: str, sentences: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{name}: {sentence}" for sentence in sentences)
