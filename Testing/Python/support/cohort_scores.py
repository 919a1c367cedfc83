"""The scores of a small cohort, as ``MetricsTable.to_json_dict`` gives them."""

from __future__ import annotations

from TomoRayLib.metrics.scores import METRIC_KEYS
from TomoRayLib.metrics.statistics import CaseScore


def metrics_json(offset: float, vertebrae: tuple[str, ...], finite_hd95: bool = True) -> dict:
    """The JSON form of a table: TomoRay's PSNR is 20 + offset dB, the blank's 18, the atlas' 21; all else 0.5."""
    rows = {row: dict.fromkeys(METRIC_KEYS, 0.5) for row in ("tomoray", "blank", "mean_atlas")}
    for row, value in (("tomoray", 20 + offset), ("blank", 18.0), ("mean_atlas", 21.0)):
        rows[row]["psnr_3d_db"] = value
    rows["blank"]["hd95_mm"] = None
    rows["tomoray"]["hd95_mm"] = 4.0 if finite_hd95 else None
    infinite = {"tomoray": [] if finite_hd95 else ["hd95_mm"], "blank": ["hd95_mm"], "mean_atlas": []}
    vertebra = {"label": 20, "dice": 0.5, "hd95_mm": None, "assd_mm": 1.0, "nsd_1mm": 0.5, "nsd_2mm": 0.5}
    vertebra |= {"centroid_error_mm": 1.0, "touches_edge": False}
    return {
        "rows": rows,
        "flags": {row: {"prediction_is_empty": False, "infinite": infinite[row]} for row in rows},
        "per_vertebra": {row: [{**vertebra, "name": name} for name in vertebrae] for row in rows},
    }


def counting_json(whole: int, found: int, named: int, numbering: str) -> dict:
    """What ``CaseResult.metrics_dict`` adds for a model that counts: all that were found are right up to a shift."""
    counts = {"whole": whole, "found": found, "named": named, "named_up_to_shift": found, "extra": 0, "shift": 1}
    return {"counts": counts, "per_vertebra": [], "vertebrae": [], "numbering": numbering, "numbering_certainty": 0.5}


def three_scores() -> tuple[CaseScore, ...]:
    """Three cases of two subjects; the third has no predicted bone."""
    return (
        CaseScore.from_metrics("sub-a_split-1", "sub-a", metrics_json(0.0, ("T12", "L1"))),
        CaseScore.from_metrics("sub-a_split-2", "sub-a", metrics_json(2.0, ("C3", "T1"))),
        CaseScore.from_metrics("sub-b", "sub-b", metrics_json(7.0, ("L4",), finite_hd95=False)),
    )
