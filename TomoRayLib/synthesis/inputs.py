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
from TomoRayLib.images.blanked_areas import Cleaned, cleaned
from TomoRayLib.images.checks import check_ct, check_radiograph
from TomoRayLib.images.files import read_radiograph, read_volume
from TomoRayLib.images.masks.checks import placed_mask
from TomoRayLib.images.masks.plausibility import check_mask_in_ct
from TomoRayLib.images.reduction import is_large, reduced, reduced_shape, reduced_spacing_mm, reduced_view
from TomoRayLib.images.structure_masks import read_segmentation
from TomoRayLib.images.types import Radiograph, Volume
from TomoRayLib.synthesis.acquisition import default_isocenter_mm, pair_geometry, rendering_views
from TomoRayLib.synthesis.alignment import aligned, contradiction, heights_are_given
from TomoRayLib.synthesis.arrangement import Pair, pair_warnings
from TomoRayLib.synthesis.calibrated_views import calibrated_pair
from TomoRayLib.synthesis.rendering import render
from TomoRayLib.synthesis.settings import Arrangement, GeometryOptions


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


@dataclass(frozen=True)
class Inputs:
    """Radiographs (rows, columns), bone bright, on the detectors of ``views``, and the CT that they come from, if any.

    ``notes`` say how they were read, ``warnings`` what may be wrong with them. ``as_read`` are two radiographs as their
    files hold them, but for borders and letters, which are filled; None with a CT. ``is_aligned`` says whether their
    heights were compared and may have been changed. ``cleaned`` are ``ap`` and ``lateral`` without borders and letters,
    if there were any.
    """

    ap: NDArray[np.float32]
    lateral: NDArray[np.float32]
    views: Biplanar
    source: SourceCT | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    as_read: Pair | None = None
    is_aligned: bool = False
    cleaned: Pair | None = None

    @property
    def for_network(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """AP and lateral radiograph as the network reads them."""
        return (self.ap, self.lateral) if self.cleaned is None else (self.cleaned.ap, self.cleaned.lateral)


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


def read_radiographs(
    ap: str, lateral: str, geometry: GeometryOptions, how: Arrangement, *, align: bool = False, clean: bool = True
) -> Inputs:
    """Read two radiographs and find out their geometry.

    ``how`` says what is to be done to the images in the files, ``align`` whether they are brought to one height if
    nobody gave their places, ``clean`` whether borders, letters and text are filled for the network. Raises InputError
    for a file that cannot be a radiograph, and as ``radiograph_views`` does.
    """
    named = (_read_film(ap, "AP", geometry), _read_film(lateral, "lateral", geometry))
    films = (named[0].stated, named[1].stated)
    calibrated = calibrated_pair(*films, geometry)
    if calibrated is not None:
        films = (calibrated.ap, calibrated.lateral)
    read = pair_geometry(*films, geometry, calibrated)
    images = (_of_use(films[0], named[0]), _of_use(films[1], named[1]))
    views = replace(read.views, ap=reduced_view(read.views.ap), lateral=reduced_view(read.views.lateral))
    notes = [*read.notes, *(note for one in named for note in one.notes)]
    given = Pair(images[0].pixels, images[1].pixels, views)
    without = [cleaned(image.pixels) if clean else Cleaned(image.pixels) for image in images]
    as_read = Pair(without[0].pixels, without[1].pixels, views)
    warnings = [*read.warnings, *pair_warnings(*images, views, how)]
    changed = (how.flip_ap or how.turn_ap, how.flip_lateral or how.turn_lateral)
    for name, image, moved in zip(("AP", "lateral"), images, changed, strict=True):
        notes += _header_notes(name, image)
        warnings += [f"{name}: {warning}" for warning in image.header.warnings]
        if moved and image.header.patient_orientation is not None:
            warnings.append(f"{name}: mirrored or turned as asked, although its header states the orientation.")
    for name, found in zip(("AP", "lateral"), without, strict=True):
        notes += [f"{name}: {note}" for note in found.notes]
    filled = as_read.arranged(how)
    align = align and not heights_are_given(images, geometry)
    if align:
        alignment = aligned(filled)
        filled, said = alignment.pair, alignment.warning
    else:
        said = contradiction(filled)
    warnings += [said] if said else []
    pair = replace(given.arranged(how), views=filled.views)
    is_cleaned = any(found.borders or found.letters for found in without)
    return Inputs(
        pair.ap,
        pair.lateral,
        pair.views,
        as_read=as_read,
        is_aligned=align,
        cleaned=filled if is_cleaned else None,
        notes=tuple(_told_once(notes)),
        warnings=tuple(_told_once(warnings)),
    )


@dataclass(frozen=True)
class _Film:
    """A radiograph with the size that its file, and every geometry given of it, speaks of.

    ``pixels`` are its pixels averaged to fewer, if it has very many; those of ``stated`` then take no memory.
    """

    stated: Radiograph
    pixels: NDArray[np.float32] | None = None
    notes: tuple[str, ...] = ()


def _read_film(path: str, name: str, geometry: GeometryOptions) -> _Film:
    """Read and check a radiograph, and average one of very many pixels before the other is read."""
    image = read_radiograph(path)
    check_radiograph(image, f"{name[0].upper()}{name[1:]} radiograph")
    shape = (image.pixels.shape[0], image.pixels.shape[1])
    if not is_large(image.pixels):
        return _Film(image)
    rows, columns = reduced_shape(shape)
    note = (
        f"{name}: {shape[0]} x {shape[1]} pixels averaged to {rows} x {columns}, which show the same field; its "
        "geometry is that of the file."
    )
    if geometry.has_matrices:  # which may turn its pixels
        return _Film(image, None, (note,))
    nothing = np.broadcast_to(np.float32(0.0), shape)
    return _Film(replace(image, pixels=nothing), reduced(image.pixels), (note,))


def _of_use(stated: Radiograph, film: _Film) -> Radiograph:
    """The radiograph with pixels of a bearable number."""
    if not is_large(stated.pixels):
        return stated
    shape = (stated.pixels.shape[0], stated.pixels.shape[1])
    spacing_mm = stated.pixel_spacing_mm
    return replace(
        stated,
        pixels=reduced(stated.pixels) if film.pixels is None else film.pixels,
        pixel_spacing_mm=None if spacing_mm is None else reduced_spacing_mm(spacing_mm, shape),
    )


def project_ct(source: SourceCT, geometry: GeometryOptions) -> Inputs:
    """Render AP and lateral line integrals of a CT. Raises InputError for a view that misses it."""
    center_mm, middle = default_isocenter_mm(source.ct, source.labels)
    views = rendering_views(geometry, center_mm)
    images = render(source.ct, {"ap": views.ap, "lat": views.lateral})
    given = geometry.isocenter_mm is not None or geometry.file is not None
    place = ", ".join(f"{value:.1f}" for value in views.isocenter_mm)
    note = f"Isocentre ({place}) mm: {'given or from the geometry file' if given else middle}."
    return Inputs(images["ap"], images["lat"], views, source, (*source.notes, note), source.warnings)


def _said(name: str, sentences: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{name}: {sentence}" for sentence in sentences)


def _told_once(sentences: list[str]) -> list[str]:
    """Join what is said of both radiographs in the same words into one sentence, at the place of the first."""
    told = dict.fromkeys(sentences)
    both = {s.removeprefix("AP: ") for s in told if s.startswith("AP: ")} & {
        s.removeprefix("lateral: ") for s in told if s.startswith("lateral: ")
    }
    joined = (
        f"AP and lateral: {rest}" if (rest := s.removeprefix("AP: ").removeprefix("lateral: ")) in both else s
        for s in told
    )
    return list(dict.fromkeys(joined))


def _header_notes(name: str, image: Radiograph) -> list[str]:
    header = image.header
    notes = [f"{name}: {note}" for note in header.notes]
    if header.modality is not None and header.patient_orientation is None:
        notes.append(f"{name}: its orientation is not stated; taken as the patient's left, or back, at image right.")
    return notes
