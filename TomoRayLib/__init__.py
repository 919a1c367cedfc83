"""TomoRay: synthetic CT of the spine from two radiographs. Research use only.

Importing this package imports neither torch nor SimpleITK: each public name is loaded when it is first used.
"""

from typing import TYPE_CHECKING

from TomoRayLib.base.lazy_names import lazy_face

__version__ = "0.1.0"

if TYPE_CHECKING:
    from TomoRayLib.geometry.grid import Grid as Grid
    from TomoRayLib.geometry.presets import c_arm as c_arm
    from TomoRayLib.geometry.views import Biplanar as Biplanar
    from TomoRayLib.geometry.views import View as View
    from TomoRayLib.images.files import read_labels as read_labels
    from TomoRayLib.images.files import read_radiograph as read_radiograph
    from TomoRayLib.images.files import read_volume as read_volume
    from TomoRayLib.images.types import Radiograph as Radiograph
    from TomoRayLib.images.types import Volume as Volume
    from TomoRayLib.images.writing import write_volume as write_volume
    from TomoRayLib.projector.physics.attenuation import hu_to_attenuation as hu_to_attenuation
    from TomoRayLib.projector.projection import project as project
    from TomoRayLib.synthesis.comparison import compare as compare
    from TomoRayLib.synthesis.model_run import SyntheticCT as SyntheticCT
    from TomoRayLib.synthesis.model_run import synthesize as synthesize
    from TomoRayLib.synthesis.truth import ground_truth as ground_truth
    from TomoRayLib.weights import find_model as find_model
    from TomoRayLib.weights import load_network as load_network

__all__, __getattr__, __dir__ = lazy_face(
    __name__,
    {
        "geometry.grid": ["Grid"],
        "geometry.presets": ["c_arm"],
        "geometry.views": ["Biplanar", "View"],
        "images.files": ["read_labels", "read_radiograph", "read_volume"],
        "images.types": ["Radiograph", "Volume"],
        "images.writing": ["write_volume"],
        "weights": ["find_model", "load_network"],
        "projector.physics.attenuation": ["hu_to_attenuation"],
        "projector.projection": ["project"],
        "synthesis.comparison": ["compare"],
        "synthesis.model_run": ["SyntheticCT", "synthesize"],
        "synthesis.truth": ["ground_truth"],
    },
)
