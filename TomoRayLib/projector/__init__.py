"""Digitally reconstructed radiographs: line integrals of attenuation along every ray, and their exact adjoint.

``project`` is the function to start with; see docs/projector.md. Volumes are projected where they lie: any spacing, any
direction cosines, any pose, without resampling the CT.
"""

from TomoRayLib.camera import Camera, ProjectionMatrix
from TomoRayLib.physics import hu_to_attenuation, water_attenuation_per_mm
from TomoRayLib.projector.lattice import rays_of
from TomoRayLib.projector.plans import use_compiled, use_fused
from TomoRayLib.projector.pose import project_posed, rays_of_matrix
from TomoRayLib.projector.projection import Projector, memory_need_bytes, project, project_views
from TomoRayLib.projector.rays import trace_rays

__all__ = [
    "Camera",
    "ProjectionMatrix",
    "Projector",
    "hu_to_attenuation",
    "memory_need_bytes",
    "project",
    "project_posed",
    "project_views",
    "rays_of",
    "rays_of_matrix",
    "trace_rays",
    "use_compiled",
    "use_fused",
    "water_attenuation_per_mm",
]
