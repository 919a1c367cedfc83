"""Nodes of Slicer's scene to and from the values of the library. MRML only: no Qt, no views, no worker."""
