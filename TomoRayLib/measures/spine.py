"""All measures of a labelled spine."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from numpy.typing import NDArray

from TomoRayLib.anatomy.vertebrae import CRANIOCAUDAL_ORDER, NAME_OF_LABEL, T13_LABEL
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.measures.curves import curve_measures
from TomoRayLib.measures.levels import level_measures
from TomoRayLib.measures.measure import Measure
from TomoRayLib.measures.single_vertebrae import vertebra_measures
from TomoRayLib.measures.vertebra_frame import body_middle_mm, long_axes, vertebra_masks
from TomoRayLib.measures.vertebral_body import NO_BODY, NoBody, VertebralBody, measure_body

WAS_NO_BODY = "it was counted as C1 or C2, of which no body is measured"
CUT = "the end of the image cuts it"
UPWARDS = "the numbers run upwards here, or the patient lies head down"
UNSURE = "the network is unsure where it ends and its neighbours begin"
THREADS = 2


@dataclass(frozen=True, eq=False)
class MeasuredSpine:
    """Bodies by VerSe number, from cranial to caudal, and all measures."""

    bodies: Mapping[int, VertebralBody | NoBody]
    measures: tuple[Measure, ...]

    def of(self, key: str, subject: str) -> Measure | None:
        """The measure of this kind and subject, if there is one."""
        return next((one for one in self.measures if (one.key, one.subject) == (key, subject)), None)

    def renamed(self, numbers: Mapping[int, int]) -> MeasuredSpine:
        """Return the spine of the vertebrae in ``numbers`` alone, each under the VerSe number given for its own."""
        moved = {new: self.bodies[old] for old, new in numbers.items() if old in self.bodies}
        return spine_of({label: _renamed(moved[label], label) for label in CRANIOCAUDAL_ORDER if label in moved})

    def to_json_dict(self) -> dict[str, Any]:
        """``vertebrae`` and ``measures`` for ``json.dump``."""
        vertebrae = [
            {"number": label, "name": NAME_OF_LABEL[label], "reason": f"no body measured, because {body.because}"}
            if isinstance(body, NoBody)
            else {"number": label, "name": body.name, **body.to_json_dict()}
            for label, body in self.bodies.items()
        ]
        return {"vertebrae": vertebrae, "measures": [one.to_json_dict() for one in self.measures]}


def measure_spine(
    labels: NDArray[Any], grid: Grid, cut: Collection[int] = (), unsure: Collection[int] = ()
) -> MeasuredSpine:
    """Measure a labelled spine.

    Args:
        labels: VerSe numbers (z, y, x).
        grid: Their grid, in any position.
        cut: Vertebrae that the end of the image cuts; they are not measured.
        unsure: Vertebrae that are not told apart well; likewise.

    Returns:
        Bodies and measures. What the edge of the volume itself cuts is found and not measured.

    Raises:
        ValueError: If the shapes differ.
    """
    vertebrae = vertebra_masks(labels, grid)

    def body_of(label: int) -> VertebralBody | NoBody:
        if label in cut:
            return NoBody(label, CUT)
        if label in unsure:
            return NoBody(label, UNSURE)
        if axes[label][2] <= 0:  # LPS z grows towards the head
            return NoBody(label, UPWARDS)
        return measure_body(vertebrae[label], middles[label], axes[label])

    with ThreadPoolExecutor(THREADS) as pool:
        middles = dict(zip(vertebrae, pool.map(body_middle_mm, vertebrae.values()), strict=True))
        axes = long_axes(middles)
        bodies = dict(zip(vertebrae, pool.map(body_of, vertebrae), strict=True))
    return spine_of(bodies)


def spine_of(bodies: Mapping[int, VertebralBody | NoBody]) -> MeasuredSpine:
    """Return the measured spine of these bodies, from cranial to caudal."""
    single = [one for body in bodies.values() for one in vertebra_measures(body)]
    levels = [
        one
        for upper, lower in pairwise(bodies)
        if _are_neighbours(upper, lower, bodies)
        for one in level_measures(bodies[upper], bodies[lower])
    ]
    return MeasuredSpine(dict(bodies), (*single, *levels, *curve_measures(bodies)))


def _are_neighbours(upper: int, lower: int, labels: Iterable[int]) -> bool:
    """True if no vertebra can lie between two numbers; T12 and L1 are neighbours unless there is a T13."""
    order = [label for label in CRANIOCAUDAL_ORDER if label != T13_LABEL or T13_LABEL in labels]
    return order.index(lower) - order.index(upper) == 1


def _renamed(body: VertebralBody | NoBody, label: int) -> VertebralBody | NoBody:
    if label in NO_BODY:
        return NoBody(label, NO_BODY[label])
    if isinstance(body, NoBody) and body.because in NO_BODY.values():
        return NoBody(label, WAS_NO_BODY)
    return replace(body, label=label)


def labels_of_unsure(agreements: Mapping[int, float], least: float) -> frozenset[int]:
    """Return the vertebrae whose voxels agree on their centre to less than ``least`` (0 to 1)."""
    return frozenset(label for label, share in agreements.items() if not share >= least)
