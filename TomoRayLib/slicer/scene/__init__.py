"""Nodes of Slicer's scene, to and from the values of TomoRayLib. MRML only, no Qt."""
