"""The radiographs of a case with their true views: as the network got them, found again from the scene alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from TomoRayLib.base.errors import InputError
from TomoRayLib.slicer.scene.case_nodes import PROVENANCE_KEY, CaseNodes, arrangement_of, radiograph_node
from TomoRayLib.slicer.scene.nodes import Role
from TomoRayLib.slicer.scene.radiographs import radiograph_of
from TomoRayLib.slicer.scene.upright import Frame, upright_pixels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from TomoRayLib.geometry.views import Biplanar

ROLE_OF = {"ap": Role.AP, "lateral": Role.LATERAL}


@dataclass(frozen=True)
class CaseRadiographs:
    """Upright pixels and frames of "ap" and "lateral", and the views in which they were taken."""

    pixels: dict[str, NDArray[np.float32]]
    frames: dict[str, Frame]
    views: Biplanar


def case_radiographs(case: CaseNodes) -> CaseRadiographs:
    """The radiographs of a case.

    Raises InputError if they are gone or have changed, if the case does not state its views, and if its synthetic CT
    was moved by a transform, so that the views no longer hold.
    """
    from TomoRayLib.images.reduction import reduced, reduced_shape

    transform = case.synthetic.GetParentTransformNode()
    if transform is not None:
        raise InputError(
            _("{name} is under the transform {transform}: remove it to link a point with the radiographs.").format(
                name=case.synthetic.GetName(), transform=transform.GetName()
            )
        )
    provenance = json.loads(case.synthetic.GetAttribute(PROVENANCE_KEY))
    pair = _views_of(provenance)
    how = arrangement_of(case)
    pixels, frames = {}, {}
    for view, role in ROLE_OF.items():
        node = radiograph_node(case, view)
        if node is None:
            raise InputError(
                _("The {role} of this case is not in the scene any more: run it again.").format(role=role.label())
            )
        image = radiograph_of(node, role).pixels
        inverted = bool(how.get("invert") or how.get(f"invert_{view}"))
        pixels[view] = upright_pixels(image, bool(how.get(f"flip_{view}")), inverted, int(how.get(f"turn_{view}", 0)))
        of_view = getattr(pair, view)
        if of_view.shape == reduced_shape(pixels[view].shape) != pixels[view].shape:  # as the run averaged it
            pixels[view] = reduced(pixels[view])
        if pixels[view].shape != of_view.shape:
            raise InputError(_("{name} has another size than in the run: run it again.").format(name=node.GetName()))
        row_mm, column_mm = (
            spacing / larger
            for spacing, larger in zip(of_view.detector.pixel_spacing_mm, of_view.beam.magnifications, strict=True)
        )
        frames[view] = Frame(role, of_view.shape, column_mm / row_mm)
    return CaseRadiographs(pixels, frames, pair)


def _views_of(provenance: dict[str, Any]) -> Biplanar:
    from TomoRayLib.geometry.view_json import CENTER, view_from_dict
    from TomoRayLib.geometry.views import Biplanar

    try:
        stated = provenance["views"]
        return Biplanar(view_from_dict(stated["ap"]), view_from_dict(stated["lateral"]), stated.get(CENTER))
    except (KeyError, TypeError, ValueError):
        raise InputError(_("This case does not state the views of its radiographs: run it again.")) from None
