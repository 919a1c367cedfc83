"""What each measure is: its title, unit, definition and source."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

GENANT = "Genant et al. 1993, https://doi.org/10.1002/jbmr.5650080915 (morphometry of vertebral bodies)"
COBB = "Cobb 1948 (Outline for the study of scoliosis); SRS Working Group, https://www.srs.org (Cobb angle)"
SRS = "Scoliosis Research Society, revised glossary of terms, https://www.srs.org"
FROBIN = "Frobin et al. 1997, https://doi.org/10.1016/S0268-0033(96)00067-8 (precision measurement of disc and slip)"
DABBS = "Dabbs and Dabbs 1990, Spine 15(12):1366-1369 (mean of the heights in front and behind)"
STOKES = "Stokes 1994, https://doi.org/10.1097/00007632-199401001-00020 (axial rotation, glossary of spinal deformity)"
RIM = (
    "Distance of the upper from the lower endplate at the {} wall, along the body's long axis (the mean of both "
    "endplates' normals), in the middle 10 mm from side to side; an endplate is the line through its rims."
)
MIDDLE = "The same half-way between front and back wall, where both endplates are hollow."
BRIGGS = "Briggs et al. 2007, https://doi.org/10.1007/s00256-007-0284-8 (vertebral centroid angle)"
OURS = "TomoRay's own definition"


@dataclass(frozen=True)
class MeasureDefinition:
    """One kind of measure. ``unit`` is "mm", "°" or "" for a ratio.

    A value is of use if its error stays below ``useful_within``, in its unit: it then tells ``useful_for``.
    """

    key: str
    title: str
    unit: str
    definition: str
    source: str
    useful_within: float
    useful_for: str

    @property
    def decimals(self) -> int:
        """Decimals that are shown."""
        return 1 if self.unit else 2

    def to_json_dict(self) -> dict[str, Any]:
        """All but the key."""
        return {name: text for name, text in asdict(self).items() if name != "key"}


def _height(position: str, definition: str) -> MeasureDefinition:
    return MeasureDefinition(
        f"height_{position}_mm",
        f"{position.capitalize()} height",
        "mm",
        definition,
        GENANT,
        4.0,
        "a loss of a sixth of the usual height, 4 mm",
    )


DEFINITIONS: dict[str, MeasureDefinition] = {
    one.key: one
    for one in (
        _height("anterior", RIM.format("front")),
        _height("middle", MIDDLE),
        _height("posterior", RIM.format("back")),
        MeasureDefinition(
            "wedge_ratio",
            "Wedge ratio",
            "",
            "Anterior over posterior height; below 1 if the body is lower in front.",
            GENANT,
            0.2,
            "a body that has lost a fifth of its height in front",
        ),
        MeasureDefinition(
            "rotation_deg",
            "Axial rotation",
            "°",
            "Angle, seen along the patient's long axis, between the patient's sagittal plane and the plane about which "
            "the vertebra is its own mirror image; positive if its front is turned to the patient's left.",
            STOKES,
            5.0,
            "a rotation of 5°",
        ),
        MeasureDefinition(
            "disc_height_mm",
            "Disc height",
            "mm",
            "Mean of the distances of both rims, in front and behind: from the middle of the line through the rims of "
            "the upper body's lower endplate to that of the lower body's upper one, along the mean of both normals.",
            DABBS,
            2.0,
            "a disc that has lost 2 mm",
        ),
        MeasureDefinition(
            "segmental_angle_deg",
            "Segmental angle",
            "°",
            "Angle of the two endplates at a disc in the sagittal plane of both vertebrae; positive if the disc is "
            "higher in front (lordotic).",
            FROBIN,
            5.0,
            "a change of 5°",
        ),
        MeasureDefinition(
            "slip_mm",
            "Slip",
            "mm",
            "How far the back wall of the upper body, at its lower endplate, lies in front of the back wall of the "
            "lower body, at its upper endplate, along that endplate; positive is anterolisthesis.",
            FROBIN,
            4.0,
            "a slip of 4 mm",
        ),
        MeasureDefinition(
            "cobb_deg",
            "Cobb angle",
            "°",
            "Largest angle, in the patient's coronal plane, between the upper endplate of one vertebra and the lower "
            "endplate of another one below it, over all whole vertebrae in view. Lying, not standing, if from a CT.",
            COBB,
            5.0,
            "a change of 5°, as it is taken for progression",
        ),
        MeasureDefinition(
            "thoracic_kyphosis_deg",
            "Thoracic kyphosis",
            "°",
            "Angle in the patient's sagittal plane between the upper endplate of the upper vertebra and the lower "
            "endplate of the lower one; positive if kyphotic.",
            SRS,
            10.0,
            "a change of 10°",
        ),
        MeasureDefinition(
            "lumbar_lordosis_deg",
            "Lumbar lordosis",
            "°",
            "Angle in the patient's sagittal plane between the upper endplate of L1 and the lower endplate of L5; "
            "positive if lordotic. To S1, as usual, it would be larger: the sacrum is not a part of the volume.",
            SRS,
            10.0,
            "a change of 10°",
        ),
        MeasureDefinition(
            "sagittal_angle_deg",
            "Sagittal angle in view",
            "°",
            "Angle in the patient's sagittal plane between the upper endplate of the highest and the lower endplate of "
            "the lowest whole vertebra in view; positive if kyphotic.",
            OURS,
            10.0,
            "a change of 10°",
        ),
        MeasureDefinition(
            "coronal_centroid_angle_deg",
            "Coronal angle by centroids",
            "°",
            "Largest angle, in the patient's coronal plane, between two lines through the middles of neighbouring "
            "bodies, over all whole vertebrae in view. Smaller than the Cobb angle, and no endplate is needed.",
            BRIGGS,
            5.0,
            "a change of 5°",
        ),
        MeasureDefinition(
            "sagittal_centroid_angle_deg",
            "Sagittal angle by centroids",
            "°",
            "Angle in the patient's sagittal plane between the line through the middles of the highest two whole "
            "bodies in view and that of the lowest two; positive if kyphotic.",
            BRIGGS,
            10.0,
            "a change of 10°",
        ),
        MeasureDefinition(
            "spine_length_mm",
            "Spine length",
            "mm",
            "Length of the line through the middles of the bodies, from the highest to the lowest whole vertebra in "
            "view.",
            OURS,
            10.0,
            "a difference of 10 mm",
        ),
        MeasureDefinition(
            "coronal_offset_mm",
            "Coronal offset",
            "mm",
            "How far the middle of the highest whole body in view lies to the patient's left of the lowest one's. It "
            "is the coronal balance only from C7 to S1, which is not in view together.",
            SRS,
            10.0,
            "a difference of 10 mm",
        ),
    )
}
KYPHOSES = (("T4", "T12"), ("T5", "T12"), ("T1", "T12"))
LORDOSIS = ("L1", "L5")
OF_VERTEBRA = ("height_anterior_mm", "height_middle_mm", "height_posterior_mm", "wedge_ratio", "rotation_deg")
OF_LEVEL = ("disc_height_mm", "segmental_angle_deg", "slip_mm")
OF_CURVE = (
    "cobb_deg",
    "thoracic_kyphosis_deg",
    "lumbar_lordosis_deg",
    "sagittal_angle_deg",
    "coronal_centroid_angle_deg",
    "sagittal_centroid_angle_deg",
    "spine_length_mm",
    "coronal_offset_mm",
)
