"""Two radiographs from their files to what the network reads: geometry, borders and letters, heights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.geometry.view_json import VIEW_KEY
from TomoRayLib.images.blanked_areas import Cleaned, cleaned
from TomoRayLib.images.borders import field_within
from TomoRayLib.images.checks import check_radiograph
from TomoRayLib.images.files import read_radiograph
from TomoRayLib.images.reduction import is_large, reduced, reduced_shape, reduced_spacing_mm, reduced_view
from TomoRayLib.images.types import Radiograph
from TomoRayLib.synthesis.acquisition import pair_geometry
from TomoRayLib.synthesis.alignment import Alignment, aligned, contradiction, cut_to, heights_are_given
from TomoRayLib.synthesis.arrangement import Pair, pair_warnings
from TomoRayLib.synthesis.calibrated_views import calibrated_pair
from TomoRayLib.synthesis.inputs import Inputs
from TomoRayLib.synthesis.settings import Arrangement, GeometryOptions

NAMES = ("AP", "lateral")
SCALES_DIFFER = (
    "The magnifications of AP and lateral, {:.2f} and {:.2f}, differ, and at least one is a guess: their heights were "
    "not compared. Give SAD and SID of both."
)
Images = tuple[Radiograph, Radiograph]


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
    read = pair_geometry(*films, geometry, calibrated, how)
    images = (_of_use(films[0], named[0]), _of_use(films[1], named[1]))
    views = replace(read.views, ap=reduced_view(read.views.ap), lateral=reduced_view(read.views.lateral))
    without = [_without_borders(image) if clean else Cleaned(image.pixels) for image in images]
    as_read = Pair(without[0].pixels, without[1].pixels, views)
    seen = _seen(as_read, without)
    filled, field = as_read.arranged(how), seen.arranged(how)
    given_heights = heights_are_given(images, geometry)
    align = align and not given_heights and not read.scale_is_unsure
    alignment = Alignment(filled, warning=contradiction(field) if given_heights else None)
    if align:
        alignment = aligned(filled, field)
    given = Pair(images[0].pixels, images[1].pixels, views).arranged(how)
    is_cleaned = any(found.borders or found.letters for found in without)
    notes = [*read.notes, *(note for one in named for note in one.notes), *_header_notes(images)]
    notes += [f"{name}: {note}" for name, found in zip(NAMES, without, strict=True) for note in found.notes]
    doubtful = pair_warnings(*images, views, how)
    warnings = [*read.warnings, *doubtful, *_header_warnings(images, how)]
    warnings += [f"{name}: {found.warning}" for name, found in zip(NAMES, without, strict=True) if found.warning]
    warnings += [alignment.warning] if alignment.warning is not None else []
    warnings += [SCALES_DIFFER.format(*(view.beam.magnification for view in (views.ap, views.lateral)))] * (
        read.scale_is_unsure
    )
    return Inputs(
        given.ap,
        given.lateral,
        alignment.pair.views,
        as_read=as_read,
        as_seen=seen if align else None,
        cleaned=alignment.pair if is_cleaned else None,
        state_their_views=not (doubtful or read.warnings)
        and geometry == GeometryOptions()
        and all(VIEW_KEY in image.metadata for image in images),
        notes=_told_once(notes),
        warnings=_told_once(warnings),
    )


def _without_borders(image: Radiograph) -> Cleaned:
    """The image without borders, letters and text; one that TomoRay rendered has none, though a CT's end looks so."""
    return Cleaned(image.pixels) if VIEW_KEY in image.metadata else cleaned(image.pixels)


def _seen(pair: Pair, without: Sequence[Cleaned]) -> Pair:
    """What of two radiographs shows the patient: no borders, filled or not."""
    fields = [
        field_within(image.shape, list(found.borders))
        for image, found in zip((pair.ap, pair.lateral), without, strict=True)
    ]
    ap, ap_view = cut_to(fields[0], pair.ap, pair.views.ap)
    lateral, lateral_view = cut_to(fields[1], pair.lateral, pair.views.lateral)
    return Pair(ap, lateral, replace(pair.views, ap=ap_view, lateral=lateral_view))


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


def _header_notes(images: Images) -> list[str]:
    """How both were read, and whose orientation nothing states."""
    notes = []
    for name, image in zip(NAMES, images, strict=True):
        header = image.header
        notes += [f"{name}: {note}" for note in header.notes]
        if header.modality is not None and header.patient_orientation is None:
            sentence = "its orientation is not stated; taken as the patient's left, or back, at image right."
            notes.append(f"{name}: {sentence}")
    return notes


def _header_warnings(images: Images, how: Arrangement) -> list[str]:
    """What the headers make doubtful, and what contradicts them."""
    warnings = []
    changed = (how.flip_ap or how.turn_ap, how.flip_lateral or how.turn_lateral)
    for name, image, moved in zip(NAMES, images, changed, strict=True):
        warnings += [f"{name}: {warning}" for warning in image.header.warnings]
        if moved and image.header.patient_orientation is not None:
            warnings.append(f"{name}: mirrored or turned as asked, although its header states the orientation.")
    return warnings


def _told_once(sentences: Sequence[str]) -> tuple[str, ...]:
    """Join what is said of both radiographs in the same words into one sentence, at the place of the first."""
    told = dict.fromkeys(sentences)
    both = {s.removeprefix("AP: ") for s in told if s.startswith("AP: ")} & {
        s.removeprefix("lateral: ") for s in told if s.startswith("lateral: ")
    }
    joined = (
        f"AP and lateral: {rest}" if (rest := s.removeprefix("AP: ").removeprefix("lateral: ")) in both else s
        for s in told
    )
    return tuple(dict.fromkeys(joined))
