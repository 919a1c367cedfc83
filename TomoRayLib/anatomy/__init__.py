"""Vertebra labels (VerSe numbering) and the grey levels that the network is trained on."""

from typing import TYPE_CHECKING

from TomoRayLib.base.lazy_names import lazy_face

if TYPE_CHECKING:
    from TomoRayLib.anatomy.grey_levels import BONE_WINDOW as BONE_WINDOW
    from TomoRayLib.anatomy.grey_levels import FIELDS_OF_VIEW_MM as FIELDS_OF_VIEW_MM
    from TomoRayLib.anatomy.grey_levels import LookupTable as LookupTable
    from TomoRayLib.anatomy.grey_levels import Quantisation as Quantisation
    from TomoRayLib.anatomy.grey_levels import Window as Window
    from TomoRayLib.anatomy.grey_levels import make_target as make_target
    from TomoRayLib.anatomy.grey_levels import vertebra_mask as vertebra_mask
    from TomoRayLib.anatomy.vertebra_codes import SNOMED_CODE_OF_LABEL as SNOMED_CODE_OF_LABEL
    from TomoRayLib.anatomy.vertebra_codes import code_of_label as code_of_label
    from TomoRayLib.anatomy.vertebra_codes import totalsegmentator_name as totalsegmentator_name
    from TomoRayLib.anatomy.vertebrae import CRANIOCAUDAL_ORDER as CRANIOCAUDAL_ORDER
    from TomoRayLib.anatomy.vertebrae import LABEL_OF_NAME as LABEL_OF_NAME
    from TomoRayLib.anatomy.vertebrae import NAME_OF_LABEL as NAME_OF_LABEL
    from TomoRayLib.anatomy.vertebrae import VERTEBRA_LABELS as VERTEBRA_LABELS
    from TomoRayLib.anatomy.vertebrae import label_of_structure as label_of_structure
    from TomoRayLib.anatomy.vertebrae import vertebra_labels_in as vertebra_labels_in

__all__, __getattr__, __dir__ = lazy_face(
    __name__,
    {
        "grey_levels": [
            "BONE_WINDOW",
            "FIELDS_OF_VIEW_MM",
            "LookupTable",
            "Quantisation",
            "Window",
            "make_target",
            "vertebra_mask",
        ],
        "vertebra_codes": ["SNOMED_CODE_OF_LABEL", "code_of_label", "totalsegmentator_name"],
        "vertebrae": [
            "CRANIOCAUDAL_ORDER",
            "LABEL_OF_NAME",
            "NAME_OF_LABEL",
            "VERTEBRA_LABELS",
            "label_of_structure",
            "vertebra_labels_in",
        ],
    },
)
