"""Vertebrae found in a CT by a network: the CT's own labels where nobody has drawn any."""

from typing import TYPE_CHECKING

from TomoRayLib.base.lazy_names import lazy_face

if TYPE_CHECKING:
    from TomoRayLib.segmentation.agreement import agreement as agreement
    from TomoRayLib.segmentation.ct_vertebrae import SegmentedCT as SegmentedCT
    from TomoRayLib.segmentation.ct_vertebrae import segment_ct as segment_ct

__all__, __getattr__, __dir__ = lazy_face(
    __name__, {"agreement": ["agreement"], "ct_vertebrae": ["SegmentedCT", "segment_ct"]}
)
