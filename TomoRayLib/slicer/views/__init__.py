"""The look of a case in Slicer's views: layouts, display properties, overlays, the line SYNTHETIC CT. No Qt."""
