"""The scouts of a CT study in DICOM (localizers, topograms): radiographs whose pixels have places in the patient.

A scout is a slot scan: the tube stands still, above, below or beside the table, which moves through its fan. Its header
gives the place of its pixels in the plane of the gantry's axis (Image Position and Orientation (Patient)); of the axis
across that plane the coordinate means nothing, and on which side the tube was is not stated.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.dicom.declared import check_frames
from TomoRayLib.images.dicom.files import is_dicom, read_data_set
from TomoRayLib.images.dicom.header import number_of, value_of
from TomoRayLib.images.dicom.pixels import ReadPixels, read_pixels
from TomoRayLib.images.dicom.series import DicomFile, damage_named, numbered_series, read_dicom_file

AP, LATERAL = "AP", "lateral"
AXES_OF_ROLE = {AP: 0, LATERAL: 1}  # the axis in LPS that runs along the rows, beside z
STRAIGHT = 0.99996  # cosine of the largest slant, half a degree, of a scout's axes against the patient's
LEAST_SLICES = 8  # of a CT
LEAST_PADDING, FAR_AWAY = 0.02, 0.25  # share of the pixels; of the range of the others
SAME_MM = 10.0  # of overlap with the CT, that does not tell two scouts apart


@dataclass(frozen=True, eq=False)
class Scout:
    """One scout, turned so that rows run to the patient's left (AP) or to posterior (lateral) and columns to the feet.

    Args:
        role: ``AP`` or ``LATERAL``.
        pixels: (rows, columns), bone bright.
        first_mm: Where its first pixel lies: (along the rows, along z) in LPS mm.
        spacing_mm: (row, column) at the axis of the gantry.
        sid_mm: Distance Source to Detector (0018,1110); None if it is not stated.
        sad_mm: Distance Source to Patient (0018,1111), which is that to the axis of the gantry; None likewise.
        path: Its file.
        notes: What was done on reading.
        warnings: What the user should check.
        taken_at: Acquisition Date and Time (0008,0022 and 0008,0032), to sort by.
    """

    role: str
    pixels: NDArray[np.float32]
    first_mm: tuple[float, float]
    spacing_mm: tuple[float, float]
    sid_mm: float | None
    sad_mm: float | None
    path: Path
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    taken_at: str = ""

    @property
    def columns_mm(self) -> tuple[float, float]:
        """The place along the rows of the first and of the last column in mm."""
        return (self.first_mm[0], self.first_mm[0] + (self.pixels.shape[1] - 1) * self.spacing_mm[1])

    @property
    def rows_mm(self) -> tuple[float, float]:
        """z of the lowest and of the highest row in mm."""
        top = self.first_mm[1]
        return (top - (self.pixels.shape[0] - 1) * self.spacing_mm[0], top)

    @property
    def middle_mm(self) -> tuple[float, float]:
        """The middle of the image: (along the rows, along z) in LPS mm."""
        rows, columns = self.pixels.shape
        across = self.first_mm[0] + (columns - 1) / 2 * self.spacing_mm[1]
        return (across, self.first_mm[1] - (rows - 1) / 2 * self.spacing_mm[0])


@dataclass(frozen=True, eq=False)
class ScoutStudy:
    """What a synthesis takes from a study: the files of its CT, both scouts, and notes on what was chosen."""

    ct: tuple[DicomFile, ...]
    ap: Scout
    lateral: Scout
    notes: tuple[str, ...] = ()


def read_scout_study(folder: Path) -> ScoutStudy:
    """Find the CT of a study and its AP and lateral scout, in the folder or in folders within it.

    Of several CTs the axial one with the most slices that shares its frame of reference (0020,0052) with scouts is
    taken, of several scouts of one direction the one that shows most of it, and of these the last.

    Args:
        folder: The folder with the files of one study, in any order of folders and names.

    Raises:
        InputError: If there is no CT, no AP or no lateral scout in its frame of reference, more than one patient, or a
            file is damaged.
    """
    with damage_named(folder):
        files = _image_files(folder)
        _check_one_patient(files, folder)
        stacks: dict[str, list[DicomFile]] = {}
        for file in files:
            if not file.is_localizer and file.modality == "CT":
                stacks.setdefault(str(value_of(file.dataset, "SeriesInstanceUID") or ""), []).append(file)
        stacks = {uid: stack for uid, stack in stacks.items() if len(stack) >= LEAST_SLICES or _frames(stack[0]) > 1}
        if not stacks:
            raise InputError(
                f"{folder}: expected a CT with its scouts, got no CT series of {LEAST_SLICES} slices or more; choose "
                "the folder of the whole study.",
                "study",
            )
        scouts = [_scout(file) for file in files if file.is_image and file.is_localizer and file.modality == "CT"]
        frames = [(_frame(one.path, files), one.role) for one in scouts if isinstance(one, Scout)]
        ct = max(stacks.values(), key=lambda stack: _preference(stack, frames))
        notes = [f"CT: {numbered_series(ct[0])}, {len(ct)} files."]
        if len(stacks) > 1:
            notes.append(
                f"Of {len(stacks)} CT series it has the most axial slices in the frame of reference of the scouts."
            )
        usable = [one for one in scouts if isinstance(one, Scout) and _frame(one.path, files) == _frame_of(ct[0])]
        if not _frame_of(ct[0]):
            notes.append("Frame of Reference UID (0020,0052) is not stated: CT and scouts are taken to share one.")
        chosen = {}
        for role in (AP, LATERAL):
            candidates = [one for one in usable if one.role == role]
            if not candidates:
                raise _missing(role, folder, scouts, usable)
            low, high = _z_range(ct)
            chosen[role] = max(
                candidates,
                key=lambda one: (round(_overlap(one.rows_mm, (low, high)) / SAME_MM), one.taken_at, str(one.path)),
            )
            if len(candidates) > 1:
                notes.append(
                    f"{role}: of {len(candidates)} scouts {chosen[role].path.name} is taken: of those that show most "
                    "of the CT, the last."
                )
    return ScoutStudy(tuple(ct), chosen[AP], chosen[LATERAL], tuple(notes))


def _image_files(folder: Path) -> list[DicomFile]:
    """The headers of all DICOM images within a folder, by path."""
    if not folder.is_dir():
        got = "which is a file; a CT alone is given as the CT" if folder.exists() else "which does not exist"
        raise InputError(f"Expected the folder of a DICOM study, got {folder}, {got}; choose a folder.", "study")
    paths = sorted(Path(root) / name for root, _, names in os.walk(folder) for name in names)
    return [file for path in paths if is_dicom(path) and (file := read_dicom_file(path)).is_image]


def _check_one_patient(files: Sequence[DicomFile], folder: Path) -> None:
    patients = {str(value_of(file.dataset, "PatientID") or "") for file in files} - {""}
    if len(patients) > 1:
        raise InputError(
            f"{folder}: expected a study of one patient, got {len(patients)} different Patient IDs; choose the "
            "folder of one study.",
            "study",
        )


def _preference(stack: list[DicomFile], frames: list[tuple[str, str]]) -> tuple[int, bool, int]:
    """How well a CT serves: scouts of how many directions share its frame, whether it is axial, and its slices."""
    roles = {role for frame, role in frames if frame == _frame_of(stack[0])}
    orientation = value_of(stack[0].dataset, "ImageOrientationPatient")
    cosines = None if orientation is None else np.asarray([float(value) for value in orientation]).reshape(2, 3)
    is_axial = cosines is None or abs(float(np.cross(*cosines)[2])) > np.cos(np.radians(45.0))
    slices = {str(value_of(file.dataset, "SOPInstanceUID")) for file in stack}
    return len(roles), bool(is_axial), max(len(slices), _frames(stack[0]))


def _scout(file: DicomFile) -> Scout | str:
    """A scout with its pixels, or why it cannot be used."""
    try:
        return _read_scout(file)
    except (InputError, ValueError, TypeError) as error:
        return f"{file.path.name} cannot be read ({str(error).splitlines()[0]})"


def _read_scout(file: DicomFile) -> Scout | str:
    dataset = read_data_set(file.path)
    orientation, position = value_of(dataset, "ImageOrientationPatient"), value_of(dataset, "ImagePositionPatient")
    spacing = value_of(dataset, "PixelSpacing")
    if orientation is None or position is None or spacing is None:
        return "its place in the patient is not stated"
    cosines = np.asarray([float(value) for value in orientation]).reshape(2, 3)
    place = np.asarray([float(value) for value in position])
    row_mm, column_mm = (float(value) for value in spacing)
    axes = [int(np.abs(one).argmax()) for one in cosines]
    if (
        sorted(axes) not in ([0, 2], [1, 2])
        or min(abs(one[axis]) for one, axis in zip(cosines, axes, strict=True)) < STRAIGHT
    ):
        return "it is neither frontal nor lateral"
    check_frames([(dataset, file.path)])
    read = _without_padding(read_pixels(dataset, file.path))
    pixels, steps = read.values, {axes[0]: cosines[0][axes[0]] * column_mm, axes[1]: cosines[1][axes[1]] * row_mm}
    if axes[0] == 2:  # rows run along the patient
        pixels = pixels.T
    across = next(axis for axis in axes if axis != 2)
    first = {axis: float(place[axis]) for axis in (across, 2)}
    rows, columns = pixels.shape
    if steps[2] > 0:
        pixels, first[2] = pixels[::-1], first[2] + (rows - 1) * steps[2]
    if steps[across] < 0:
        pixels, first[across] = pixels[:, ::-1], first[across] + (columns - 1) * steps[across]
    role = AP if across == AXES_OF_ROLE[AP] else LATERAL
    return Scout(
        role,
        np.ascontiguousarray(pixels, dtype=np.float32),
        (first[across], first[2]),
        (abs(steps[2]), abs(steps[across])),
        _distance(dataset, "DistanceSourceToDetector"),
        _distance(dataset, "DistanceSourceToPatient"),
        file.path,
        read.notes,
        read.warnings,
        f"{value_of(dataset, 'AcquisitionDate') or ''}{value_of(dataset, 'AcquisitionTime') or ''}",
    )


def _without_padding(read: ReadPixels) -> ReadPixels:
    """Padding that the header does not declare, at the darkest value of the rest: one value far below all others, or
    far above in a picture that was inverted, that fills a part of the picture and its border."""
    values = read.values
    for padded, side in ((values.min(), "below"), (values.max(), "above")):
        padding = values == padded
        if padding.all() or padding.mean() < LEAST_PADDING:
            continue
        darkest, brightest = float(values[~padding].min()), float(values[~padding].max())
        away = darkest - padded if side == "below" else padded - brightest
        border = np.concatenate([padding[0], padding[-1], padding[:, 0], padding[:, -1]])
        if away >= FAR_AWAY * (brightest - darkest) and border.mean() >= 0.5:
            dark = np.where(padding, darkest, values).astype(np.float32)
            found = f"{padding.mean():.0%} of the pixels are {padded:g}, far {side} all others"
            note = f"{found}: taken as padding, made dark."
            return replace(read, values=dark, notes=(*read.notes, note))
    return read


def _distance(dataset: object, keyword: str) -> float | None:
    value = number_of(dataset, keyword)
    return value if value is not None and value > 0 else None


def distances_of(file: DicomFile) -> tuple[float | None, float | None]:
    """(SID, SAD) in mm as a file states them, None where it does not."""
    return _distance(file.dataset, "DistanceSourceToDetector"), _distance(file.dataset, "DistanceSourceToPatient")


def _missing(role: str, folder: Path, scouts: Sequence[Scout | str], usable: Sequence[Scout]) -> InputError:
    """What to say of a study without a usable scout of one direction."""
    found = [one.role for one in usable]
    elsewhere = sum(isinstance(one, Scout) and one.role == role for one in scouts)
    others = sorted({one for one in scouts if isinstance(one, str)})
    got = f"{len(scouts)} scouts, none of which can be used" if scouts else "no scout"
    if found:
        got = f"{' and '.join(sorted(set(found)))} alone"
    if elsewhere:
        got += f"; {elsewhere} {role} in another frame of reference (0020,0052) than the CT, as after the patient moved"
    if others:
        got += f"; others cannot be used: {', '.join(others)}"
    return InputError(
        f"{folder}: expected an AP and a lateral scout (Image Type LOCALIZER) of the CT, got {got}. Two directions are "
        "needed: choose a study that holds both, or give two radiographs.",
        "study",
    )


def _frame(path: Path, files: Sequence[DicomFile]) -> str:
    return next(_frame_of(file) for file in files if file.path == path)


def _frame_of(file: DicomFile) -> str:
    return str(value_of(file.dataset, "FrameOfReferenceUID") or "")


def _frames(file: DicomFile) -> int:
    return int(value_of(file.dataset, "NumberOfFrames") or 1)


def _z_range(ct: Sequence[DicomFile]) -> tuple[float, float]:
    """z of the first pixels of the CT's slices; everything for a multi-frame file, whose frames state their own."""
    positions = [value_of(file.dataset, "ImagePositionPatient") for file in ct]
    heights = [float(position[2]) for position in positions if position is not None]
    return (min(heights), max(heights)) if heights else (-np.inf, np.inf)


def _overlap(one: tuple[float, float], other: tuple[float, float]) -> float:
    return max(0.0, min(one[1], other[1]) - max(one[0], other[0]))
