"""Statistics of a cohort as text."""

from __future__ import annotations

import math

from TomoRayLib.metrics.scores import MetricColumn
from TomoRayLib.metrics.statistics import Statistic


def mean_and_sd(column: MetricColumn, statistic: Statistic) -> str:
    """``22.21 ± 1.03``, in the metric's decimals; the mean alone if there is no SD."""
    mean = column.format(statistic.mean)
    return mean if math.isnan(statistic.sd) else f"{mean} ± {column.format(statistic.sd)}"


def median_and_quartiles(column: MetricColumn, statistic: Statistic) -> str:
    """``22.42 (21.46–22.80)``: median and interquartile range; the median alone if there are no finite values."""
    if statistic.n == statistic.n_infinite:
        return column.format(statistic.median)
    return f"{column.format(statistic.median)} ({column.format(statistic.q1)}–{column.format(statistic.q3)})"
