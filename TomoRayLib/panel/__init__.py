"""The Qt parts of the Slicer panel. Nothing but ``TomoRay/TomoRay.py`` imports them; they know ``TomoRayLib.slicer``."""
