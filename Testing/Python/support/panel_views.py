"""Views of Slicer: the line that says synthetic."""

from __future__ import annotations


def annotated(window) -> bool:
    """True if a view shows the line that says synthetic."""
    props = window.GetRenderers().GetFirstRenderer().GetViewProps()
    shown = (props.GetItemAsObject(number) for number in range(props.GetNumberOfItems()))
    return any(prop.IsA("vtkCornerAnnotation") and "SYNTHETIC" in (prop.GetText(2) or "") for prop in shown)
