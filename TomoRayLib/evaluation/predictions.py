"""Predictions of other methods: a folder with one file for each case, and a description in TOML of how to read them.

The description is ``predictions.toml`` in the folder. ``like = "swin-x2s"`` begins from a ready one of ``methods/``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from TomoRayLib.anatomy.numbering_choice import check_labels
from TomoRayLib.anatomy.numberings import AUTO
from TomoRayLib.base.errors import InputError
from TomoRayLib.base.mappings import dataclass_from_mapping
from TomoRayLib.base.toml_files import toml_values
from TomoRayLib.metrics.table import BLANK, MEAN_ATLAS

DESCRIPTION = "predictions.toml"
READY = Path(__file__).with_name("methods")
VOLUME, LABELS, POINTS = "volume", "labels", "points"
OWN_ROWS = (BLANK, MEAN_ATLAS, "tomoray")
_PLACEHOLDER = re.compile(r"\{(case|subject)\}")


@dataclass(frozen=True)
class GridDescription:
    """Where the voxels of a file lie.

    Args:
        center: The middle of the volume: as the file's header places it (``file``), at the middle of the case's CT
            (``ct``), there, but of a CT that is taller than the volume with both upper ends level (``ct_top``), or at
            the isocentre (``isocentre``).
        spacing_mm: Spacing along the array's axes as the file has them, (i, j, k); None: that of the header.
        axes: Three letters, to where the indices i, j and k of the array grow: "LPS" is the order of DICOM. "file":
            as the header says.
    """

    center: Literal["file", "ct", "ct_top", "isocentre"] = "file"
    spacing_mm: tuple[float, float, float] | None = None
    axes: str = "file"

    def __post_init__(self) -> None:
        if self.axes != "file" and sorted(_axis_of(letter) for letter in self.axes.upper()) != [0, 1, 2]:
            raise InputError(
                f"Expected three letters for the axes of the array, one each of L or R, P or A, S or I, or file; got "
                f"{self.axes!r}."
            )
        if self.spacing_mm is not None and not all(0 < mm < math.inf for mm in self.spacing_mm):
            raise InputError(f"Expected a spacing above 0 mm, got {list(self.spacing_mm)}.")
        if self.center == "file" and (self.spacing_mm is not None or self.axes != "file"):
            raise InputError(
                "Expected a centre other than that of the file if spacing or axes are not those of its header either; "
                'set center to "ct", "ct_top" or "isocentre".'
            )


def _axis_of(letter: str) -> int:
    """0, 1, 2 for a letter along x, y, z; -1 for another one."""
    return next((axis for axis, pair in enumerate(("LR", "PA", "SI")) if letter in pair), -1)


@dataclass(frozen=True)
class ValuesDescription:
    """What the numbers of a volume mean: ``low`` is ``low_hu`` and ``high`` is ``high_hu``, linearly."""

    low: float
    high: float
    low_hu: float
    high_hu: float

    def __post_init__(self) -> None:
        finite = all(math.isfinite(value) for value in (self.low, self.high, self.low_hu, self.high_hu))
        if not (finite and self.high > self.low and self.high_hu > self.low_hu):
            raise InputError("Expected finite values, low below high and low_hu below high_hu.")


@dataclass(frozen=True)
class Description:
    """How the predictions in a folder are read.

    Args:
        name: The name of the method's row.
        kind: ``volume`` (grey values), ``labels`` (a label map, or one bone mask) or ``points`` (on bone).
        file: Where the file of a case lies below the folder; ``{case}`` and ``{subject}`` stand for its names.
        dataset: Name of the array, in an HDF5 file or an .npz.
        mask: File with the method's own vertebrae or bone mask, likewise, for a volume.
        bone_above_hu: Without one: voxels denser than this are its bone.
        outside_mask: Whether grey values outside of the mask are taken as ``empty``, as a CT of everything needs it, or
            ``kept``: the volume shows vertebrae alone, as TomoRay's own. Only such a volume may have neither mask nor
            threshold; it then has no scores of shape.
        grid: Where the voxels lie.
        values: What a volume's numbers mean; None: they are HU.
        numbering: Numbering of a label map, one of ``LABEL_CHOICES``.
        frame: Coordinates of points, LPS (DICOM) or RAS (NIfTI, Slicer's default for PLY), in mm.
        scale_mm: What one unit of points is.
        trained_on: Names of cases or subjects that the method was trained on.
        chosen_on: Names that it was tuned or chosen on.
    """

    name: str
    kind: Literal["volume", "labels", "points"]
    file: str
    dataset: str | None = None
    mask: str | None = None
    bone_above_hu: float | None = None
    outside_mask: Literal["empty", "kept"] = "empty"
    grid: GridDescription = field(default_factory=GridDescription)
    values: ValuesDescription | None = None
    numbering: str = AUTO
    frame: Literal["LPS", "RAS"] = "LPS"
    scale_mm: float = 1.0
    trained_on: tuple[str, ...] = ()
    chosen_on: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_labels(self.numbering)
        if not self.name.strip() or self.name in OWN_ROWS or not self.name.isprintable():
            raise InputError(
                f"Expected a name of the method's own, other than {', '.join(OWN_ROWS)}; got {self.name!r}."
            )
        for pattern in (self.file, *([self.mask] if self.mask else [])):
            if not _PLACEHOLDER.search(pattern):
                raise InputError(f"Expected {{case}} or {{subject}} in the name of a case's file, got {pattern!r}.")
            if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
                raise InputError(f"Expected a file below the folder of the predictions, got {pattern!r}.")
        if self.kind != VOLUME and (self.mask or self.bone_above_hu is not None):
            raise InputError("Expected a mask or a threshold with a volume alone: label maps and points are shapes.")
        if self.kind == VOLUME and not self.mask and self.bone_above_hu is None and self.outside_mask == "empty":
            raise InputError(
                "Expected the bone of a volume, by a mask or by bone_above_hu: the truth shows vertebrae alone. If the "
                'volume does too, say outside_mask = "kept".'
            )
        if self.kind == POINTS and self.grid.center == "ct_top":
            raise InputError("Expected points about the CT's middle (ct), the isocentre, or in their own place (file).")
        if not 0 < self.scale_mm < math.inf:
            raise InputError(f"Expected a scale above 0 mm, got {self.scale_mm}.")
        if self.mask and self.bone_above_hu is not None:
            raise InputError("Expected a mask or a threshold for a volume's bone, got both; leave one out.")


@dataclass(frozen=True)
class PredictionFolder:
    """A folder of predictions with their description."""

    folder: Path
    description: Description

    @property
    def name(self) -> str:
        return self.description.name

    def file_of(self, case: str, subject: str) -> Path:
        """Return the file of a case, whether it exists or not."""
        return self.folder / _filled(self.description.file, case, subject)

    def mask_of(self, case: str, subject: str) -> Path | None:
        """Return the mask of a case, whether it exists or not; None if the method has none."""
        mask = self.description.mask
        return None if mask is None else self.folder / _filled(mask, case, subject)

    def without_case(self, cases: Sequence[tuple[str, str]]) -> list[str]:
        """Return the files that fit the pattern, but belong to none of the cases (name, subject), relative."""
        expected = {self.file_of(*case).resolve() for case in cases}
        expected |= {mask.resolve() for case in cases if (mask := self.mask_of(*case)) is not None}
        anything = _PLACEHOLDER.sub("*", self.description.file)
        found = sorted(path for path in self.folder.glob(anything) if path.is_file())
        return [path.relative_to(self.folder).as_posix() for path in found if path.resolve() not in expected]

    def to_json_dict(self) -> dict[str, Any]:
        """Return the description as JSON-like values, for keys and for how scores were made."""
        return asdict(self.description)


def read_predictions(folder: Path) -> PredictionFolder:
    """Read the description of a folder of predictions.

    Args:
        folder: The folder, with ``predictions.toml`` in it.

    Returns:
        Folder and description.

    Raises:
        InputError: If there is no description, or it says something unknown or impossible.
    """
    if not folder.is_dir():
        raise InputError(f"Expected a folder of predictions, got {folder}, which is none.", "predictions")
    path = folder / DESCRIPTION
    if not path.is_file():
        raise InputError(
            f"Expected {DESCRIPTION} in {folder}, which says how its files are named and what their numbers mean; "
            f"write one, or begin from a ready one: like = one of {', '.join(ready_methods())}. docs/yardstick.md "
            "explains every key.",
            "predictions",
        )
    return PredictionFolder(folder, description_of(toml_values(path), str(path)))


def description_of(values: Mapping[str, Any], what: str) -> Description:
    """Return a description from its values, which may begin from a ready one by ``like``.

    Raises InputError, beginning with ``what``, as ``read_predictions``.
    """
    own = dict(values)
    like = own.pop("like", None)
    if like is None:
        return dataclass_from_mapping(Description, own, what)
    if like not in ready_methods():
        raise InputError(
            f"{what}: expected like to be one of {', '.join(ready_methods())}, got {like!r}.", "predictions"
        )
    return dataclass_from_mapping(Description, _overlaid(toml_values(READY / f"{like}.toml"), own), what)


def ready_methods() -> tuple[str, ...]:
    """Return the names of the ready descriptions."""
    return tuple(sorted(path.stem for path in READY.glob("*.toml")))


def _overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Values of ``above`` in place of those ``below``, tables key by key."""
    result = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(below.get(key), Mapping)
        result[key] = _overlaid(below[key], value) if both else value
    return result


def _filled(pattern: str, case: str, subject: str) -> str:
    names = {"case": case, "subject": subject}
    return _PLACEHOLDER.sub(lambda found: names[found[1]], pattern)
