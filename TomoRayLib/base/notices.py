"""The marking of everything synthetic, in one place: the words on a page, in a file and on a picture."""

from __future__ import annotations

SHORT = "SYNTHETIC"  # on pictures
NOTICE = "SYNTHETIC CT - research use only, not for diagnosis or treatment"
TRUTH_NOTICE = "From a CT segmentation - research use only, not for diagnosis or treatment"
LABELS_NOTICE = "LABELS BY TOMORAY - research use only, not for diagnosis or treatment"
STL_NOTICE = "SYNTHETIC - research use only, not for diagnosis"  # an STL header has 80 bytes, for the axes as well
VIEW_NOTICE = "SYNTHETIC CT - research use only"  # in the corner of a view, which may be narrow
