"""Slicer's slice and 3D views without Qt: real displayable managers in off-screen render windows."""

from __future__ import annotations

from pathlib import Path

import slicer
import vtk

from host.scene import scene_host

SLICE_MANAGERS = (
    "vtkMRMLVolumeGlyphSliceDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLColorLegendDisplayableManager",
)
THREE_D_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLVolumeRenderingDisplayableManager",
    "vtkMRMLColorLegendDisplayableManager",
)
SIZE_PX = (400, 320)
POINTS_PER_INCH = 72


class View:
    """A render window with the displayable managers of one view node."""

    managers: tuple[str, ...] = ()

    def __init__(self, view_node) -> None:
        self.node = view_node
        self.renderer = vtk.vtkRenderer()
        self._window = vtk.vtkRenderWindow()
        self._window.SetOffScreenRendering(1)
        self._window.SetMultiSamples(0)
        self._window.AddRenderer(self.renderer)
        self.interactor = vtk.vtkRenderWindowInteractor()  # never started: the managers ask for it
        self.interactor.SetRenderWindow(self._window)
        self.group = slicer.vtkMRMLDisplayableManagerGroup()
        self.group.SetRenderer(self.renderer)
        self.group.SetMRMLDisplayableNode(view_node)
        for name in self.managers:
            manager = getattr(slicer, name)()
            manager.SetMRMLApplicationLogic(scene_host().application_logic)
            self.group.AddDisplayableManager(manager)
        self.resize(*SIZE_PX)

    def renderWindow(self):
        return self._window

    def resize(self, width: int, height: int) -> None:
        self._window.SetSize(width, height)

    def render(self) -> None:
        self._window.Render()

    def render_png(self, path: Path, width: int, height: int, scale: float = 1.0) -> Path:
        """Draw the view and write it as a PNG; ``scale`` is that of the screen, for the size of texts."""
        self._window.SetDPI(round(POINTS_PER_INCH * scale))
        self.resize(width, height)
        self.render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self._window)
        grab.ReadFrontBufferOff()
        grab.Update()
        writer = vtk.vtkPNGWriter()
        writer.SetFileName(str(path))
        writer.SetInputData(grab.GetOutput())
        writer.Write()
        return path

    def close(self) -> None:
        self.group.SetMRMLDisplayableNode(None)
        self.renderer.RemoveAllViewProps()
        self._window.Finalize()


class SliceView(View):
    """A slice view: Slicer's slice logic makes the image, the managers draw on top."""

    managers = SLICE_MANAGERS

    def __init__(self, slice_node) -> None:
        self.logic = slicer.vtkMRMLSliceLogic()
        host = scene_host()
        self.logic.SetMRMLApplicationLogic(host.application_logic)
        self.logic.SetMRMLScene(host.scene)
        self.logic.SetSliceNode(slice_node)
        if host.application_logic.GetSliceLogics() is None:
            host.application_logic.SetSliceLogics(vtk.vtkCollection())
        host.application_logic.GetSliceLogics().AddItem(self.logic)
        super().__init__(slice_node)
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        self._mapper.SetInputConnection(self.logic.GetImageDataConnection())
        actor = vtk.vtkActor2D()
        actor.SetMapper(self._mapper)
        actor.GetProperty().SetDisplayLocationToBackground()
        self.renderer.AddViewProp(actor)

    def resize(self, width: int, height: int) -> None:
        super().resize(width, height)
        self.logic.ResizeSliceNode(width, height)

    def render(self) -> None:
        if self.logic.GetImageDataConnection() is not None:
            self._mapper.SetInputConnection(self.logic.GetImageDataConnection())
        super().render()

    def close(self) -> None:
        scene_host().application_logic.GetSliceLogics().RemoveItem(self.logic)
        super().close()
        self.logic.SetMRMLScene(None)


class ThreeDView(View):
    """A 3D view."""

    managers = THREE_D_MANAGERS

    def __init__(self, view_node) -> None:
        super().__init__(view_node)
        self.renderer.SetUseDepthPeeling(True)

    def reset_focal_point(self) -> None:
        """All that is visible in the middle of the view."""
        self.render()
        self.renderer.ResetCamera()


def views_of_layout() -> dict[str, View]:
    """Views for all slice and 3D view nodes of the current layout, by layout name."""
    nodes = scene_host().layout_logic.GetViewNodes()
    views: dict[str, View] = {}
    for number in range(nodes.GetNumberOfItems()):
        node = nodes.GetItemAsObject(number)
        if node.IsA("vtkMRMLSliceNode"):
            views[node.GetLayoutName()] = SliceView(node)
        elif node.IsA("vtkMRMLViewNode"):
            views[node.GetLayoutName()] = ThreeDView(node)
    return views
