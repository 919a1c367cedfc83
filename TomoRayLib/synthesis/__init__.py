"""From two radiographs, or a CT, to a synthetic CT, and its comparison with the truth."""

from typing import TYPE_CHECKING

from TomoRayLib.base.lazy_names import lazy_face

if TYPE_CHECKING:
    from TomoRayLib.synthesis.acquisition import radiograph_views as radiograph_views
    from TomoRayLib.synthesis.acquisition import rendering_views as rendering_views
    from TomoRayLib.synthesis.cameras import cameras_of as cameras_of
    from TomoRayLib.synthesis.comparison import compare as compare
    from TomoRayLib.synthesis.model_run import SyntheticCT as SyntheticCT
    from TomoRayLib.synthesis.model_run import choose_device as choose_device
    from TomoRayLib.synthesis.model_run import fast_precision as fast_precision
    from TomoRayLib.synthesis.model_run import synthesize as synthesize
    from TomoRayLib.synthesis.rendering import render as render
    from TomoRayLib.synthesis.rendering import write_radiograph as write_radiograph
    from TomoRayLib.synthesis.settings import Exposure as Exposure
    from TomoRayLib.synthesis.settings import GeometryOptions as GeometryOptions
    from TomoRayLib.synthesis.settings import PoseOptions as PoseOptions
    from TomoRayLib.synthesis.truth import GroundTruth as GroundTruth
    from TomoRayLib.synthesis.truth import ground_truth as ground_truth

__all__, __getattr__, __dir__ = lazy_face(
    __name__,
    {
        "acquisition": ["radiograph_views", "rendering_views"],
        "cameras": ["cameras_of"],
        "comparison": ["compare"],
        "model_run": ["SyntheticCT", "choose_device", "fast_precision", "synthesize"],
        "rendering": ["render", "write_radiograph"],
        "settings": ["Exposure", "GeometryOptions", "PoseOptions"],
        "truth": ["GroundTruth", "ground_truth"],
    },
)
