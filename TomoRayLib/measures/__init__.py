"""Measures of a labelled spine in mm and degrees: heights of bodies, discs, slip, rotation, curves."""

from typing import TYPE_CHECKING

from TomoRayLib.base.lazy_names import lazy_face

if TYPE_CHECKING:
    from TomoRayLib.measures.definitions import DEFINITIONS as DEFINITIONS
    from TomoRayLib.measures.definitions import MeasureDefinition as MeasureDefinition
    from TomoRayLib.measures.measure import Measure as Measure
    from TomoRayLib.measures.spine import MeasuredSpine as MeasuredSpine
    from TomoRayLib.measures.spine import measure_spine as measure_spine
    from TomoRayLib.measures.vertebral_body import NoBody as NoBody
    from TomoRayLib.measures.vertebral_body import VertebralBody as VertebralBody

__all__, __getattr__, __dir__ = lazy_face(
    __name__,
    {
        "definitions": ["DEFINITIONS", "MeasureDefinition"],
        "measure": ["Measure"],
        "spine": ["MeasuredSpine", "measure_spine"],
        "vertebral_body": ["NoBody", "VertebralBody"],
    },
)
