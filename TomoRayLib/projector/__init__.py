"""Digitally reconstructed radiographs: line integrals of attenuation along every ray, and their exact adjoint.

``project`` is the function to start with; see docs/projector.md. Volumes of any spacing and direction cosines are
projected from any pose, without resampling the CT.
"""

from typing import TYPE_CHECKING

from TomoRayLib.base.lazy_names import lazy_face

if TYPE_CHECKING:
    from TomoRayLib.projector.lattice import rays_of as rays_of
    from TomoRayLib.projector.physics.attenuation import hu_to_attenuation as hu_to_attenuation
    from TomoRayLib.projector.physics.attenuation import water_attenuation_per_mm as water_attenuation_per_mm
    from TomoRayLib.projector.pose import project_posed as project_posed
    from TomoRayLib.projector.pose import rays_of_matrix as rays_of_matrix
    from TomoRayLib.projector.projection import Projector as Projector
    from TomoRayLib.projector.projection import memory_need_bytes as memory_need_bytes
    from TomoRayLib.projector.projection import project as project
    from TomoRayLib.projector.projection import project_views as project_views
    from TomoRayLib.projector.rays import trace_rays as trace_rays

__all__, __getattr__, __dir__ = lazy_face(
    __name__,
    {
        "lattice": ["rays_of"],
        "physics.attenuation": ["hu_to_attenuation", "water_attenuation_per_mm"],
        "pose": ["project_posed", "rays_of_matrix"],
        "projection": ["Projector", "memory_need_bytes", "project", "project_views"],
        "rays": ["trace_rays"],
    },
)
