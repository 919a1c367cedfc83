"""Voxel grids, detectors, X-ray beams and views, as frozen values in LPS millimetres.

See docs/conventions.md for frames, axis order and the pixel-centre rule.
"""

from typing import TYPE_CHECKING

from TomoRayLib.base.lazy_names import lazy_face

if TYPE_CHECKING:
    from TomoRayLib.geometry.beams import ConeBeam as ConeBeam
    from TomoRayLib.geometry.beams import ParallelBeam as ParallelBeam
    from TomoRayLib.geometry.beams import SlotScan as SlotScan
    from TomoRayLib.geometry.detector import Detector as Detector
    from TomoRayLib.geometry.grid import Grid as Grid
    from TomoRayLib.geometry.grid import Vector3 as Vector3
    from TomoRayLib.geometry.presets import PRESETS as PRESETS
    from TomoRayLib.geometry.presets import c_arm as c_arm
    from TomoRayLib.geometry.presets import orthogonal_pair as orthogonal_pair
    from TomoRayLib.geometry.presets import parallel_pair as parallel_pair
    from TomoRayLib.geometry.presets import upright_stand as upright_stand
    from TomoRayLib.geometry.projection_matrix import Camera as Camera
    from TomoRayLib.geometry.projection_matrix import ProjectionMatrix as ProjectionMatrix
    from TomoRayLib.geometry.view_json import view_from_dict as view_from_dict
    from TomoRayLib.geometry.view_json import view_to_dict as view_to_dict
    from TomoRayLib.geometry.views import Biplanar as Biplanar
    from TomoRayLib.geometry.views import View as View

__all__, __getattr__, __dir__ = lazy_face(
    __name__,
    {
        "beams": ["ConeBeam", "ParallelBeam", "SlotScan"],
        "detector": ["Detector"],
        "grid": ["Grid", "Vector3"],
        "presets": ["PRESETS", "c_arm", "orthogonal_pair", "parallel_pair", "upright_stand"],
        "projection_matrix": ["Camera", "ProjectionMatrix"],
        "view_json": ["view_from_dict", "view_to_dict"],
        "views": ["Biplanar", "View"],
    },
)
