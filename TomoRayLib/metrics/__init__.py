"""Scores of a synthetic CT: grey values, surfaces, vertebrae, and the table that compares them with two baselines."""

from typing import TYPE_CHECKING

from TomoRayLib.base.lazy_names import lazy_face

if TYPE_CHECKING:
    from TomoRayLib.metrics.intensity import PlaneValues as PlaneValues
    from TomoRayLib.metrics.intensity import cosine_similarity as cosine_similarity
    from TomoRayLib.metrics.intensity import dilated as dilated
    from TomoRayLib.metrics.intensity import mae_in_mask_hu as mae_in_mask_hu
    from TomoRayLib.metrics.intensity import psnr_3d_db as psnr_3d_db
    from TomoRayLib.metrics.intensity import psnr_in_mask_db as psnr_in_mask_db
    from TomoRayLib.metrics.intensity import psnr_per_plane_db as psnr_per_plane_db
    from TomoRayLib.metrics.intensity import ssim_2d as ssim_2d
    from TomoRayLib.metrics.intensity import ssim_in_mask as ssim_in_mask
    from TomoRayLib.metrics.row import MetricsRow as MetricsRow
    from TomoRayLib.metrics.row import TruthReference as TruthReference
    from TomoRayLib.metrics.row import prepare_truth as prepare_truth
    from TomoRayLib.metrics.scores import MAIN_SCORES as MAIN_SCORES
    from TomoRayLib.metrics.scores import METRIC_COLUMNS as METRIC_COLUMNS
    from TomoRayLib.metrics.scores import METRIC_KEYS as METRIC_KEYS
    from TomoRayLib.metrics.scores import PAPER_SCORES as PAPER_SCORES
    from TomoRayLib.metrics.scores import MetricColumn as MetricColumn
    from TomoRayLib.metrics.surface import Surface as Surface
    from TomoRayLib.metrics.surface import SurfaceDistances as SurfaceDistances
    from TomoRayLib.metrics.surface import average_symmetric_distance_mm as average_symmetric_distance_mm
    from TomoRayLib.metrics.surface import hausdorff_mm as hausdorff_mm
    from TomoRayLib.metrics.surface import normalized_surface_dice as normalized_surface_dice
    from TomoRayLib.metrics.surface import surface_distances as surface_distances
    from TomoRayLib.metrics.surface import surface_of as surface_of
    from TomoRayLib.metrics.table import MetricsSettings as MetricsSettings
    from TomoRayLib.metrics.table import MetricsTable as MetricsTable
    from TomoRayLib.metrics.table import evaluate as evaluate
    from TomoRayLib.metrics.table import evaluate_case as evaluate_case
    from TomoRayLib.metrics.table import evaluate_table as evaluate_table
    from TomoRayLib.metrics.vertebra import VertebraRow as VertebraRow
    from TomoRayLib.metrics.vertebra import dice as dice

__all__, __getattr__, __dir__ = lazy_face(
    __name__,
    {
        "intensity": [
            "PlaneValues",
            "cosine_similarity",
            "dilated",
            "mae_in_mask_hu",
            "psnr_3d_db",
            "psnr_in_mask_db",
            "psnr_per_plane_db",
            "ssim_2d",
            "ssim_in_mask",
        ],
        "scores": ["MAIN_SCORES", "METRIC_COLUMNS", "METRIC_KEYS", "PAPER_SCORES", "MetricColumn"],
        "surface": [
            "Surface",
            "SurfaceDistances",
            "average_symmetric_distance_mm",
            "hausdorff_mm",
            "normalized_surface_dice",
            "surface_distances",
            "surface_of",
        ],
        "table": [
            "MetricsRow",
            "MetricsSettings",
            "MetricsTable",
            "TruthReference",
            "evaluate",
            "evaluate_case",
            "evaluate_table",
            "prepare_truth",
        ],
        "vertebra": ["VertebraRow", "dice"],
    },
)
