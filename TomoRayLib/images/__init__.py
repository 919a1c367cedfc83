"""Reading, checking, resampling and writing volumes, label maps, radiographs and surfaces.

Patient space is LPS in mm; volumes are (z, y, x), radiographs (v, u) with row 0 at the top. See docs/conventions.md.
"""

from typing import TYPE_CHECKING

from TomoRayLib.base.lazy_names import lazy_face

if TYPE_CHECKING:
    from TomoRayLib.images.checks import check_ct as check_ct
    from TomoRayLib.images.checks import check_radiograph as check_radiograph
    from TomoRayLib.images.cohort_finder import Cohort as Cohort
    from TomoRayLib.images.cohort_finder import CohortCase as CohortCase
    from TomoRayLib.images.cohort_finder import find_cases as find_cases
    from TomoRayLib.images.files import read_labels as read_labels
    from TomoRayLib.images.files import read_radiograph as read_radiograph
    from TomoRayLib.images.files import read_volume as read_volume
    from TomoRayLib.images.masks.checks import prepared_mask as prepared_mask
    from TomoRayLib.images.pair_checks import check_pair as check_pair
    from TomoRayLib.images.resampling import Interpolation as Interpolation
    from TomoRayLib.images.resampling import labels_on_grid as labels_on_grid
    from TomoRayLib.images.resampling import resample as resample
    from TomoRayLib.images.structure_masks import read_structures as read_structures
    from TomoRayLib.images.surface_files import write_stl as write_stl
    from TomoRayLib.images.surface_files import write_vtp as write_vtp
    from TomoRayLib.images.surfaces import make_surface as make_surface
    from TomoRayLib.images.surfaces import signed_distance_mm as signed_distance_mm
    from TomoRayLib.images.types import Radiograph as Radiograph
    from TomoRayLib.images.types import RadiographHeader as RadiographHeader
    from TomoRayLib.images.types import Volume as Volume
    from TomoRayLib.images.types import volume_from_sitk as volume_from_sitk
    from TomoRayLib.images.types import volume_to_sitk as volume_to_sitk
    from TomoRayLib.images.writing import write_image_2d as write_image_2d
    from TomoRayLib.images.writing import write_png as write_png
    from TomoRayLib.images.writing import write_volume as write_volume

__all__, __getattr__, __dir__ = lazy_face(
    __name__,
    {
        "checks": ["check_ct", "check_radiograph"],
        "cohort_finder": ["Cohort", "CohortCase", "find_cases"],
        "files": ["read_labels", "read_radiograph", "read_volume"],
        "masks.checks": ["prepared_mask"],
        "pair_checks": ["check_pair"],
        "resampling": ["Interpolation", "labels_on_grid", "resample"],
        "structure_masks": ["read_structures"],
        "surface_files": ["write_stl", "write_vtp"],
        "surfaces": ["make_surface", "signed_distance_mm"],
        "types": ["Radiograph", "RadiographHeader", "Volume", "volume_from_sitk", "volume_to_sitk"],
        "writing": ["write_image_2d", "write_png", "write_volume"],
    },
)
