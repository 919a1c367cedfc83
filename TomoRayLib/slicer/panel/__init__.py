"""The Qt parts of the Slicer panel. Only ``TomoRay/TomoRay.py`` imports them; they know ``TomoRayLib.slicer``."""
