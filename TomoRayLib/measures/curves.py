"""Measures of a stretch of the spine: Cobb angle, kyphosis, lordosis, length, offset.

Angles are taken in the patient's coronal and sagittal plane (LPS x-z and y-z), as on radiographs. Their lines lie in
these planes too, where they cut the endplates: the angle between both lines is the value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from typing import Protocol

import numpy as np

from TomoRayLib.anatomy.vertebrae import LABEL_OF_NAME
from TomoRayLib.measures.definitions import KYPHOSES, LORDOSIS
from TomoRayLib.measures.measure import Line, Measure, measured, not_measurable
from TomoRayLib.measures.vertebral_body import Endplate, NoBody, VertebralBody

TOO_FEW = "fewer than two whole vertebrae are in view"
CORONAL, SAGITTAL = 0, 1  # the LPS axis across the long one
Bodies = Mapping[int, VertebralBody | NoBody]


class BodyEnds(Protocol):
    """What an angle needs of a body: its endplates and its depth."""

    @property
    def upper(self) -> Endplate:
        """Upper endplate."""

    @property
    def lower(self) -> Endplate:
        """Lower endplate."""

    @property
    def depth_mm(self) -> float:
        """From the front to the back wall."""


def curve_measures(bodies: Bodies) -> tuple[Measure, ...]:
    """Measure the spine as a whole.

    Args:
        bodies: By VerSe number, from cranial to caudal.

    Returns:
        Cobb angle, kyphoses of which both ends are in view (else one that says why not), lordosis, sagittal angle,
        length and offset, and angles by centroids.
    """
    found = [body for body in bodies.values() if isinstance(body, VertebralBody)]
    return (_cobb(found), *named_stretches(bodies), *_whole_stretch(found), *_by_centroids(found))


def named_stretches(bodies: Mapping[int, BodyEnds | NoBody]) -> tuple[Measure, ...]:
    """Measure kyphoses and lordosis, whose ends have fixed names; ``bodies`` as for ``curve_measures``."""
    return (*_kyphoses(bodies), _lordosis(bodies))


def _cobb(found: Sequence[VertebralBody]) -> Measure:
    if len(found) < 2:
        return not_measurable("cobb_deg", "spine", TOO_FEW)
    angles = {
        (upper, lower): abs(_turn_deg(_tilt_deg(found[upper].upper, CORONAL), _tilt_deg(found[lower].lower, CORONAL)))
        for upper, lower in combinations(range(len(found)), 2)
    }
    (first, last), angle_deg = max(angles.items(), key=lambda item: item[1])
    upper, lower = found[first], found[last]
    lines = _from_left(upper.upper, upper.width_mm), _from_left(lower.lower, lower.width_mm)
    return measured("cobb_deg", f"{upper.name}-{lower.name}", angle_deg, *lines)


def _kyphoses(bodies: Mapping[int, BodyEnds | NoBody]) -> tuple[Measure, ...]:
    made = tuple(_sagittal("thoracic_kyphosis_deg", bodies, *ends) for ends in KYPHOSES)
    return tuple(one for one in made if one.value is not None) or made[:1]


def _lordosis(bodies: Mapping[int, BodyEnds | NoBody]) -> Measure:
    return _sagittal("lumbar_lordosis_deg", bodies, *LORDOSIS, sign=-1.0)


def _sagittal(key: str, bodies: Mapping[int, BodyEnds | NoBody], upper: str, lower: str, sign: float = 1.0) -> Measure:
    subject = f"{upper}-{lower}"
    ends = []
    for name in (upper, lower):
        body = bodies.get(LABEL_OF_NAME[name])
        if body is None:
            return not_measurable(key, subject, f"{name} is not in view")
        if isinstance(body, NoBody):
            return not_measurable(key, subject, f"{name}: {body.because}")
        ends.append(body)
    return _sagittal_of(key, subject, ends[0], ends[1], sign)


def _sagittal_of(key: str, subject: str, upper: BodyEnds, lower: BodyEnds, sign: float = 1.0) -> Measure:
    angle_deg = _turn_deg(_tilt_deg(upper.upper, SAGITTAL), _tilt_deg(lower.lower, SAGITTAL))
    lines = _from_front(upper.upper, upper.depth_mm), _from_front(lower.lower, lower.depth_mm)
    return measured(key, subject, sign * angle_deg, *lines)


def _whole_stretch(found: Sequence[VertebralBody]) -> tuple[Measure, ...]:
    keys = ("sagittal_angle_deg", "spine_length_mm", "coronal_offset_mm")
    if len(found) < 2:
        return tuple(not_measurable(key, "spine", TOO_FEW) for key in keys)
    first, last = found[0], found[-1]
    subject = f"{first.name}-{last.name}"
    middles = [body.frame.middle_mm for body in found]
    length_mm = sum(float(np.linalg.norm(one - other)) for one, other in pairwise(middles))
    offset_mm = float(middles[0][0] - middles[-1][0])
    beside = np.array([middles[-1][0], middles[0][1], middles[0][2]])
    return (
        _sagittal_of("sagittal_angle_deg", subject, first, last),
        measured("spine_length_mm", subject, length_mm, *pairwise(middles)),
        measured("coronal_offset_mm", subject, offset_mm, (beside, middles[0])),
    )


def _by_centroids(found: Sequence[VertebralBody]) -> tuple[Measure, ...]:
    """The angles that the course of the bodies' middles makes, without any endplate."""
    keys = ("coronal_centroid_angle_deg", "sagittal_centroid_angle_deg")
    if len(found) < 3:
        return tuple(not_measurable(key, "spine", "fewer than three whole vertebrae are in view") for key in keys)
    steps = list(pairwise(found))
    coronal, sagittal = ([_lean_deg(*step, axis) for step in steps] for axis in (CORONAL, SAGITTAL))
    low, high = sorted((int(np.argmin(coronal)), int(np.argmax(coronal))))
    ends, whole = f"{steps[low][0].name}-{steps[high][1].name}", f"{found[0].name}-{found[-1].name}"
    of_coronal = _between(*steps[low], CORONAL), _between(*steps[high], CORONAL)
    of_sagittal = _between(*steps[0], SAGITTAL), _between(*steps[-1], SAGITTAL)
    return (
        measured(keys[0], ends, abs(_turn_deg(coronal[low], coronal[high])), *of_coronal),
        measured(keys[1], whole, _turn_deg(sagittal[0], sagittal[-1]), *of_sagittal),
    )


def _between(upper: VertebralBody, lower: VertebralBody, plane: int) -> Line:
    """The line between two middles as it lies in the coronal or the sagittal plane."""
    ends = np.stack([upper.frame.middle_mm, lower.frame.middle_mm])
    across = SAGITTAL if plane == CORONAL else CORONAL
    ends[:, across] = ends[:, across].mean()
    return ends[0], ends[1]


def _lean_deg(upper: VertebralBody, lower: VertebralBody, axis: int) -> float:
    """How the line from the lower body's middle to the upper one's leans to the right or to the front, degrees."""
    way = upper.frame.middle_mm - lower.frame.middle_mm
    return -math.degrees(math.atan2(float(way[axis]), float(way[2])))


def _turn_deg(first: float, second: float) -> float:
    """The first direction minus the second one, degrees from -180 to below 180."""
    return (first - second + 180.0) % 360.0 - 180.0


def _tilt_deg(plate: Endplate, across: int) -> float:
    """How an endplate rises along LPS x (coronal) or y (sagittal) in that plane, degrees."""
    return math.degrees(math.atan2(-float(plate.normal[across]), float(plate.normal[2])))


def _from_left(plate: Endplate, length_mm: float) -> Line:
    """The line through an endplate's middle in the coronal plane, from the patient's left."""
    way = np.array([plate.normal[2], 0.0, -plate.normal[0]])
    half = way * length_mm / 2 / np.linalg.norm(way)
    return plate.center_mm + half, plate.center_mm - half


def _from_front(plate: Endplate, length_mm: float) -> Line:
    """The line through an endplate's middle in the sagittal plane, from the front."""
    way = np.array([0.0, plate.normal[2], -plate.normal[1]])
    half = way * length_mm / 2 / np.linalg.norm(way)
    return plate.center_mm - half, plate.center_mm + half
