"""Text files of 3 x 4 projection matrices, as calibrations state them: three lines of four numbers for each camera."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.base.errors import InputError
from TomoRayLib.base.text_files import read_text


def read_matrices(path: str, field: str) -> NDArray[np.float64]:
    """Read projection matrices from LPS mm to ``(column, row, 1) * w``.

    Args:
        path: The file.
        field: The setting that names it, for the error.

    Returns:
        (n, 3, 4), at least one.

    Raises:
        InputError: For a file that cannot be read or does not hold three lines of four numbers for each matrix.
    """
    try:
        numbers = np.loadtxt(read_text(Path(path)).splitlines(), ndmin=2)
    except FileNotFoundError:
        raise InputError(
            f"Expected a file of projection matrices, got {path!r}, which does not exist.", field
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(
            f"Expected lines of four numbers in {Path(path).name}, got other text ({error}).", field
        ) from None
    if numbers.shape[1] != 4 or not len(numbers) or len(numbers) % 3:
        raise InputError(
            f"Expected three lines of four numbers for each matrix in {Path(path).name}, got {len(numbers)} lines of "
            f"{numbers.shape[1]}; leave out a fourth row (0 0 0 1).",
            field,
        )
    return np.asarray(numbers.reshape(-1, 3, 4), dtype=np.float64)
