"""The ground truth: CT windowed, vertebrae kept, quantised to 100 grey levels; and the way back to HU.

The paper: window centre 400 HU, width 1300 HU (-250..1050), times the vertebra mask (sacrum and pelvis left out),
quantised by a lookup table to 100 grey values, in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from TomoRayLib.anatomy.vertebrae import VERTEBRA_LABELS, WHOLE_SPINE_LABEL
from TomoRayLib.base.errors import InputError

AIR_HU = -1000.0  # by the definition of the unit; water is 0
GREY_LEVELS = 100
FIELDS_OF_VIEW_MM = (256.0, 192.0)
SELECTED = (*VERTEBRA_LABELS, WHOLE_SPINE_LABEL)  # by ``vertebra_mask``
_VALUES_PER_PART = 1 << 15  # of a volume at a time: what fits a processor's cache


@dataclass(frozen=True)
class Window:
    """A CT display window in HU."""

    center_hu: float = 400.0
    width_hu: float = 1300.0

    def __post_init__(self) -> None:
        if not self.width_hu > 0:
            raise ValueError(f"Window width_hu must be above 0; got {self.width_hu}.")

    @property
    def low_hu(self) -> float:
        return self.center_hu - self.width_hu / 2

    @property
    def high_hu(self) -> float:
        return self.center_hu + self.width_hu / 2

    def apply(self, hu: ArrayLike) -> NDArray[np.float32]:
        """Map HU to [0, 1], clipped at the window's ends."""
        values = (np.asarray(hu, dtype=np.float32) - self.low_hu) / self.width_hu
        return np.clip(values, 0.0, 1.0, out=values)


BONE_WINDOW = Window()


class Quantisation(str, Enum):
    """How the lookup table's levels are spread; the paper does not say, so both readings are offered."""

    LINEAR = "linear"
    EQUAL_FREQUENCY = "equal_frequency"


@dataclass(frozen=True)
class LookupTable:
    """Grey levels 0..n-1 (shown as level / (n-1)) with their HU.

    ``edges_hu`` (n-1) separates the levels, ``level_hu`` (n) is the HU that each level goes back to. Both ascend.
    """

    quantisation: Quantisation
    edges_hu: tuple[float, ...]
    level_hu: tuple[float, ...]

    def __post_init__(self) -> None:
        edges, levels = np.asarray(self.edges_hu), np.asarray(self.level_hu)
        if len(levels) != len(edges) + 1 or len(levels) < 2:
            raise ValueError(f"A lookup table of n levels has n - 1 edges; got {len(levels)} and {len(edges)}.")
        if np.any(np.diff(edges) < 0) or np.any(np.diff(levels) <= 0):
            raise ValueError("A lookup table's edges and levels in HU must ascend; check the values it was made from.")

    @classmethod
    def linear(cls, window: Window = BONE_WINDOW, levels: int = GREY_LEVELS) -> LookupTable:
        """Make a table with levels evenly spread over the window: rounding to ``width / (levels - 1)`` HU (13.1 HU)."""
        level_hu = np.linspace(window.low_hu, window.high_hu, levels)
        edges = (level_hu[1:] + level_hu[:-1]) / 2
        return cls(Quantisation.LINEAR, tuple(edges.tolist()), tuple(level_hu.tolist()))

    @classmethod
    def equal_frequency(
        cls, bone_hu: ArrayLike, window: Window = BONE_WINDOW, levels: int = GREY_LEVELS
    ) -> LookupTable:
        """Make a table whose levels above 0 each hold the same share of the training data's bone voxels.

        Level 0 stays the background at the window's lower end. Levels go back to the median of their share.

        Args:
            bone_hu: HU of vertebra voxels of the training data, any shape.
            window: The HU window; values outside are clipped.
            levels: The number of grey levels.

        Raises:
            InputError: If there are fewer than 10 values a level.
            ValueError: If there are fewer distinct values than levels.
        """
        values = np.sort(np.clip(np.asarray(bone_hu, dtype=np.float64).ravel(), window.low_hu, window.high_hu))
        if values.size < 10 * levels:
            raise InputError(
                f"An equal-frequency table of {levels} levels needs {10 * levels} bone voxels, got {values.size}; "
                "add labelled CTs."
            )
        shares = np.linspace(0.0, 1.0, levels)
        edges = np.quantile(values, shares[:-1])
        middles = np.quantile(values, (shares[1:] + shares[:-1]) / 2)
        level_hu = np.concatenate([[window.low_hu], middles])
        # Runs of one value (a clipped maximum) would make levels coincide; a hundredth of a HU keeps them in order.
        level_hu = np.maximum.accumulate(level_hu + np.arange(levels) * 1e-2)
        return cls(Quantisation.EQUAL_FREQUENCY, tuple(edges.tolist()), tuple(level_hu.tolist()))

    @property
    def levels(self) -> int:
        return len(self.level_hu)

    def quantise(self, hu: ArrayLike) -> NDArray[np.float32]:
        """Map HU to grey in [0, 1]: the level's number over the highest number."""
        level = np.searchsorted(np.asarray(self.edges_hu), np.asarray(hu, dtype=np.float64), side="right")
        return (level / (self.levels - 1)).astype(np.float32)

    def dequantise(self, grey: ArrayLike) -> NDArray[np.float32]:
        """Map grey in [0, 1] back to HU; between two levels, linearly between their HU.

        In double precision, a part at a time: a volume is never held as float64.
        """
        values = np.asarray(grey, dtype=np.float32)
        given = values.reshape(-1)
        result = np.empty_like(given)
        low, high = self.level_hu[0], self.level_hu[-1]
        is_even = np.allclose(np.diff(self.level_hu), (high - low) / (self.levels - 1), rtol=1e-9, atol=0.0)
        numbers = np.linspace(0.0, 1.0, self.levels)
        for start in range(0, len(given), _VALUES_PER_PART):
            part = slice(start, start + _VALUES_PER_PART)
            if is_even:
                hu = np.clip(given[part], 0.0, 1.0).astype(np.float64)
                hu *= high - low
                hu += low
            else:
                hu = np.interp(given[part], numbers, self.level_hu)
            result[part] = hu
        return result.reshape(values.shape)

    def to_dict(self) -> dict[str, Any]:
        return {
            "quantisation": self.quantisation.value,
            "edges_hu": list(self.edges_hu),
            "level_hu": list(self.level_hu),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> LookupTable:
        return cls(Quantisation(values["quantisation"]), tuple(values["edges_hu"]), tuple(values["level_hu"]))


def vertebra_mask(labels: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Select the vertebrae of a label map.

    Args:
        labels: VerSe numbers of any shape; 255 is the spine of a mask that does not tell vertebrae apart.

    Returns:
        True on vertebrae (1-25, 28) and 255; sacrum (26), coccyx (27) and all other labels are left out.
    """
    if labels.dtype not in (np.uint8, np.uint16, np.int16):  # of this machine's byte order
        return np.isin(labels, SELECTED)
    unsigned = labels.view(np.uint8 if labels.dtype.itemsize == 1 else np.uint16)
    selected: NDArray[np.bool_] = _selected_of(unsigned.dtype.itemsize)[unsigned]
    return selected


@cache
def _selected_of(itemsize: int) -> NDArray[np.bool_]:
    """Whether each number of one or two bytes is selected: looked up in a tenth of the time of a search."""
    table = np.zeros(256**itemsize, dtype=np.bool_)
    table[list(SELECTED)] = True
    return table


def make_target(hu: NDArray[Any], labels: NDArray[np.integer], table: LookupTable) -> NDArray[np.float32]:
    """Make the ground truth: quantised HU on vertebrae, 0 elsewhere.

    Args:
        hu: The CT ``(z, y, x)`` in HU.
        labels: VerSe numbers ``(z, y, x)`` on the same grid.
        table: The lookup table that quantises HU.

    Returns:
        Grey values ``(z, y, x)`` in [0, 1].

    Raises:
        ValueError: If the shapes differ.
    """
    if hu.shape != labels.shape:
        raise ValueError(
            f"CT and vertebra labels must have one shape; got {hu.shape} and {labels.shape}. Resample first."
        )
    mask = vertebra_mask(labels)
    target = np.zeros(hu.shape, dtype=np.float32)
    target[mask] = table.quantise(hu[mask])
    return target
