"""Values of the library as new nodes, added to the scene all together or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import slicer
import slicer.util
from slicer.i18n import tr as _

from TomoRayLib.anatomy.vertebrae import WHOLE_SPINE_LABEL, vertebra_labels_in
from TomoRayLib.slicer.scene.hierarchy import remove_nodes
from TomoRayLib.slicer.scene.nodes import place_on_grid
from TomoRayLib.slicer.scene.outlines import OUTLINE_MM
from TomoRayLib.slicer.scene.segment_nodes import add_segment, add_vertebra
from TomoRayLib.slicer.scene.vertebra_names import add_names

if TYPE_CHECKING:
    from TomoRayLib.images.types import Radiograph, Volume

TITLE_KEY = "TomoRay.Title"  # a node's name before Slicer made it unique
SYNTHETIC_COLOR = (0.90, 0.62, 0.0)  # Okabe and Ito's orange; the truth is their sky blue
TRUTH_COLOR = (0.34, 0.71, 0.91)


class NewNodes:
    """Nodes added inside a ``with`` block; if the block raises, they are removed again.

    A method with a ``node`` fills that node of the scene instead of adding one: call it when nothing can fail any more.
    """

    def __init__(self) -> None:
        self.nodes: list[Any] = []

    def __enter__(self) -> NewNodes:
        return self

    def __exit__(self, error: type[BaseException] | None, *_rest: object) -> None:
        if error is not None:
            remove_nodes(self.nodes)

    def add(self, class_name: str, title: str, *, unique: bool = True) -> Any:
        """Add a node of a MRML class, its name made unique if wanted."""
        node = slicer.mrmlScene.AddNewNodeByClass(class_name, _unused_name(title) if unique else title)
        if unique:
            node.SetAttribute(TITLE_KEY, title)
        self.nodes.append(node)
        return node

    def restore_titles(self) -> None:
        """Name each node by its title again, once nodes with the same title are gone."""
        for node in (one for one in self.nodes if one.GetAttribute(TITLE_KEY)):
            node.SetName(None)
            node.SetName(_unused_name(node.GetAttribute(TITLE_KEY)))

    def volume(self, title: str, volume: Volume, node: Any = None) -> Any:
        """A scalar volume with these voxels on their grid."""
        node = self._named("vtkMRMLScalarVolumeNode", title, node)
        slicer.util.updateVolumeFromArray(node, np.ascontiguousarray(volume.voxels))
        place_on_grid(node, volume.grid)
        _default_display(node)
        return node

    def radiograph(self, title: str, radiograph: Radiograph) -> Any:
        """A single-slice volume, upright in the coronal view, with the view that it was rendered for."""
        node = self.add("vtkMRMLScalarVolumeNode", title)
        slicer.util.updateVolumeFromArray(node, radiograph.pixels[None])
        row_mm, column_mm = radiograph.pixel_spacing_mm or (1.0, 1.0)
        node.SetSpacing(column_mm, row_mm, 1.0)
        node.SetIJKToRASDirections(-1, 0, 0, 0, 0, -1, 0, -1, 0)  # rows go down
        for key, text in radiograph.metadata.items():
            if key.startswith("TomoRay."):
                node.SetAttribute(key, text)
        _default_display(node)
        return node

    def outline(self, title: str, bone_mm: Radiograph) -> Any:
        """A label map, 1 where a ray meets more bone than ``outlines.OUTLINE_MM``; its place is given by ``lay_on``."""
        node = self.add("vtkMRMLLabelMapVolumeNode", title)
        slicer.util.updateVolumeFromArray(node, (bone_mm.pixels[None] > OUTLINE_MM).astype(np.uint8))
        _default_display(node)
        return node

    def segmentation(
        self, title: str, labels: Volume, reference: Any, node: Any = None, *, told_apart: bool = True
    ) -> Any:
        """Labels as outlines on the voxels of ``reference``: one segment per vertebra, from cranial to caudal.

        Bone that is not ``told_apart`` is one segment.
        """
        node = self._named("vtkMRMLSegmentationNode", title, node)
        node.GetSegmentation().RemoveAllSegments()
        node.CreateDefaultDisplayNodes()
        node.SetReferenceImageGeometryParameterFromVolumeNode(reference)
        values = {int(value) for value in np.unique(labels.voxels)} if told_apart else set()
        for place, label in enumerate(vertebra_labels_in(values), start=1):
            add_vertebra(node, labels.voxels == label, labels.grid, label, f"from_top_{place}")
        if not told_apart and labels.voxels.any():
            name = _("Vertebrae (synthetic)")
            add_segment(node, labels.voxels != 0, labels.grid, name, SYNTHETIC_COLOR, "vertebrae")
        if WHOLE_SPINE_LABEL in values:
            whole = labels.voxels == WHOLE_SPINE_LABEL
            add_segment(node, whole, labels.grid, _("Spine"), TRUTH_COLOR, "spine")
        display = node.GetDisplayNode()
        display.SetAllSegmentsVisibility2DFill(False)
        display.SetSliceIntersectionThickness(2)
        return node

    def names(self, title: str, labels: Volume, unsure: bool, color: tuple[float, float, float]) -> Any:
        """The names of the vertebrae in ``labels`` as points, with a question mark if the count is ``unsure``; None if
        there is no vertebra."""
        if not vertebra_labels_in(int(value) for value in np.unique(labels.voxels)):
            return None
        node = self.add("vtkMRMLMarkupsFiducialNode", title)
        add_names(node, labels, unsure, color)
        return node

    def model(self, title: str, surface: Any, color: tuple[float, float, float]) -> Any:
        """A surface as a model; None if there is no surface."""
        if surface is None:
            return None
        node = self.add("vtkMRMLModelNode", title)
        node.SetAndObservePolyData(surface)
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.SetColor(*color)
        display.SetVisibility(True)
        display.SetScalarVisibility(False)
        return node

    def text(self, title: str, text: str) -> Any:
        """A text node."""
        node = self.add("vtkMRMLTextNode", title)
        node.SetText(text)
        return node

    def _named(self, class_name: str, title: str, node: Any) -> Any:
        """The node given, or a new one, with this title and under no transform."""
        if node is None:
            node = self.add(class_name, title)
        else:
            node.SetName(title)
        node.SetAndObserveTransformNodeID(None)
        return node


def _default_display(node: Any) -> None:
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()


def _unused_name(title: str) -> str:
    """The title itself if no node has it, else with a number behind it."""
    scene = slicer.mrmlScene
    return title if scene.GetFirstNodeByName(title) is None else scene.GenerateUniqueName(title)
