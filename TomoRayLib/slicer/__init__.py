"""What TomoRay does to Slicer's scene: MRML only, no Qt. RAS appears here and nowhere else.

Nothing here imports torch; SimpleITK, pydicom and the heavier rooms of TomoRayLib are imported where they are used, so
that opening the module costs nothing.
"""
