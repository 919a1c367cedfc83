"""The content of a report on three boxes for vertebrae."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from TomoRayLib.anatomy.grey_levels import LookupTable, make_target
from TomoRayLib.anatomy.vertebrae import WHOLE_SPINE_LABEL
from TomoRayLib.geometry.beams import ConeBeam
from TomoRayLib.geometry.detector import Detector
from TomoRayLib.geometry.grid import Grid
from TomoRayLib.geometry.presets import orthogonal_pair
from TomoRayLib.images.types import Volume
from TomoRayLib.metrics.table import MetricsTable, evaluate_table
from TomoRayLib.report.content import ReportContent

GRID = Grid((56, 60, 64), (2.0, 2.5, 3.0), (-60.0, -70.0, -100.0))


PAIR = orthogonal_pair(ConeBeam(1000.0, 1500.0), Detector(40, 30, (4.5, 6.0)))


def spine_labels() -> np.ndarray:
    """(z, y, x) three boxes, T12 L1 L2 from above, off the middle to the patient's left."""
    labels = np.zeros(GRID.shape, np.int16)
    for label, low in ((21, 10), (20, 26), (19, 42)):
        labels[low : low + 12, 28:40, 30:44] = label
    return labels


@lru_cache(maxsize=2)
def metrics_table(whole: bool = False) -> MetricsTable:
    labels = spine_labels()
    if whole:
        labels = np.where(labels > 0, WHOLE_SPINE_LABEL, 0)
    truth = make_target(np.where(labels > 0, 600.0, -250.0), labels, LookupTable.linear())
    shifted = np.roll(truth, 2, axis=2)
    atlas = np.roll(truth, 6, axis=2)
    predictions = {"tomoray": (shifted, shifted > 0), "mean_atlas": (atlas, atlas > 0)}
    return evaluate_table(predictions, truth, labels, GRID.spacing_mm)


def a_case(**changes: object) -> ReportContent:
    labels = spine_labels()
    truth_hu = np.where(labels > 0, 600.0, -250.0).astype(np.float32)
    ramp = np.add.outer(np.arange(40.0), np.arange(30.0)).astype(np.float32)
    content = ReportContent(
        title="case <1> & co",
        views=PAIR,
        ap=ramp,
        lateral=ramp,
        synthetic=Volume(np.roll(truth_hu, 2, axis=2), GRID),
        synthetic_mask=Volume(np.roll(labels > 0, 2, axis=2), GRID),
        truth=Volume(truth_hu, GRID),
        truth_labels=Volume(labels, GRID),
        metrics=metrics_table(),
        provenance={
            "weights": {"sha256": "0123abcd" * 8},
            "seconds": {"synthesize": 3.25},
            "evil": "<script>1</script>",
        },
        notes=("Beware of <b>bold</b> notes.",),
        demonstration_note="A demonstration & no patient.",
    )
    return replace(content, **changes)
