"""Names of the written files: the folder of the slices ``0001.dcm``, ``0002.dcm``, ..., and the Segmentation object."""

from __future__ import annotations

CT_FOLDER = "ct"
SEGMENTATION_NAME = "vertebrae.dcm"
