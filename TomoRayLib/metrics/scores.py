"""The scores of a case: how each is called, printed and read, and which ones short lists show."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class MetricColumn:
    """How one score is called, printed and read."""

    key: str
    title: str
    unit: str
    decimals: int
    higher_is_better: bool
    meaning: str

    @property
    def is_of_one_plane(self) -> bool:
        """True for the scores of single planes, which repeat the score above them."""
        return self.key.endswith(("_axial", "_coronal", "_sagittal"))

    @property
    def heading(self) -> str:
        """Title with unit in brackets: ``HD95 (mm)``."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    def format(self, value: float) -> str:
        """Print a value with this column's decimals; a dash if it is undefined, the sign if it is infinite.

        >>> METRIC_COLUMNS[0].format(23.0299), METRIC_COLUMNS[0].format(math.inf), METRIC_COLUMNS[0].format(math.nan)
        ('23.03', '∞', '–')
        """
        if math.isnan(value):
            return "–"
        if math.isinf(value):
            return "∞" if value > 0 else "-∞"
        return f"{value:.{self.decimals}f}"


def _columns() -> tuple[MetricColumn, ...]:
    planes = {"axial": "z slices", "coronal": "y slices", "sagittal": "x slices"}
    psnr_3d = "Peak signal over the mean squared error of the entire volume; compare with the blank row."
    ssim = "Structural similarity of 7 x 7 windows, mean of the three planes; empty background counts as 1."
    cosine = "Agreement of grey values regardless of their overall scale; 0 for an empty volume."
    mae = "Mean absolute error in HU on the bone voxels of the truth."
    hausdorff = "95 % of each bone surface lies within this distance of the other surface."
    assd = "Mean distance between the two bone surfaces, weighted by area."
    return (
        MetricColumn("psnr_3d_db", "PSNR 3D", "dB", 2, True, psnr_3d),
        *(
            MetricColumn(
                f"psnr_3d_db_{plane}", f"PSNR {plane}", "dB", 2, True, f"Mean PSNR of the {slices} that show bone."
            )
            for plane, slices in planes.items()
        ),
        MetricColumn("ssim_2d", "SSIM 2D", "", 4, True, ssim),
        *(
            MetricColumn(
                f"ssim_2d_{plane}", f"SSIM {plane}", "", 4, True, f"Mean structural similarity of all {slices}."
            )
            for plane, slices in planes.items()
        ),
        MetricColumn("cosine_similarity", "Cosine similarity", "", 3, True, cosine),
        MetricColumn("psnr_in_mask_db", "PSNR in bone", "dB", 2, True, "PSNR within 3 voxels of the true bone."),
        MetricColumn("ssim_in_mask", "SSIM in bone", "", 3, True, "SSIM (7 x 7 x 7) within 3 voxels of the true bone."),
        MetricColumn("mae_in_mask_hu", "MAE in bone", "HU", 0, False, mae),
        MetricColumn("dice", "Dice", "", 3, True, "Overlap of the bone masks: 0 none, 1 identical."),
        MetricColumn("hd95_mm", "HD95", "mm", 1, False, hausdorff),
        MetricColumn("assd_mm", "ASSD", "mm", 2, False, assd),
        MetricColumn("nsd_1mm", "NSD 1 mm", "", 3, True, "Share of both bone surfaces within 1 mm of each other."),
        MetricColumn("nsd_2mm", "NSD 2 mm", "", 3, True, "Share of both bone surfaces within 2 mm of each other."),
    )


METRIC_COLUMNS: tuple[MetricColumn, ...] = _columns()
METRIC_KEYS: tuple[str, ...] = tuple(column.key for column in METRIC_COLUMNS)
COLUMN_OF_KEY: dict[str, MetricColumn] = {column.key: column for column in METRIC_COLUMNS}

# The paper's Table 2, in its order.
PAPER_SCORES = ("psnr_3d_db", "ssim_2d", "cosine_similarity")
# The scores of summaries, in the terminal, on a cohort's page and in a model's record. Left out are single planes.
MAIN_SCORES = (
    *PAPER_SCORES,
    "dice",
    "hd95_mm",
    "assd_mm",
    "nsd_2mm",
    "nsd_1mm",
    "mae_in_mask_hu",
    "psnr_in_mask_db",
    "ssim_in_mask",
)
# The five in large figures: without those of the entire volume, which is mostly empty, and with one (PSNR in bone) in
# which the mean atlas is often ahead.
GLANCE_SCORES = ("dice", "assd_mm", "hd95_mm", "cosine_similarity", "psnr_in_mask_db")
