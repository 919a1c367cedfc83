"""CTs in DICOM: a folder with one series, or one multi-frame file, as a straight, even stack of slices in HU.

Folders and multi-frame files go the same way: headers to frames (``dicom_frames``), frames to a stack
(``dicom_stack``), stack to voxels (``dicom_voxels``).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.filereader import read_partial
from pydicom.uid import DeflatedExplicitVRLittleEndian

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.dicom.declared import check_frames, check_inflates
from TomoRayLib.images.dicom.files import is_dicom, reason_of, settle_syntax_name
from TomoRayLib.images.dicom.frames import Frame, frames_of
from TomoRayLib.images.dicom.header import number_of, value_of
from TomoRayLib.images.dicom.pixels import compression_notes
from TomoRayLib.images.dicom.stack import stack_of, two_numbered_runs
from TomoRayLib.images.dicom.voxels import hu_voxels
from TomoRayLib.images.existing import unreadable
from TomoRayLib.images.headers.stated_grid import check_plausible
from TomoRayLib.images.quiet import no_warnings
from TomoRayLib.images.types import Volume

_log = logging.getLogger(__name__)
_LARGEST_HEADER_VALUE = 4096  # bytes; what is longer is read only if it is used
_PIXEL_DATA = 0x7FE00010
MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"  # DICOMDIR
SEGMENTATION_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
OTHER_VOLUMES = ("MR", "PT", "NM", "US", "RTDOSE", "OPT", "IVUS", "IVOCT", "BMD")
RADIOGRAPHS = ("DX", "CR", "RF", "MG", "RTIMAGE", "PX", "IO", "RG")


@dataclass(frozen=True, eq=False)
class DicomFile:
    """One file with its header; pixels are read when they are used."""

    path: Path
    dataset: pydicom.Dataset

    @property
    def modality(self) -> str:
        return str(value_of(self.dataset, "Modality") or "").strip().upper()

    @property
    def kind(self) -> str:
        """The name of its SOP class, such as RT Structure Set Storage."""
        if self.lists_files:
            return "the list of a disc's files (DICOMDIR)"
        uid = value_of(self.dataset, "SOPClassUID")
        return "unknown kind" if uid is None else str(pydicom.uid.UID(uid).name)

    @property
    def lists_files(self) -> bool:
        """True for a DICOMDIR, which lists the files of a disc; it says so in its file meta information alone."""
        return value_of(self.dataset.file_meta, "MediaStorageSOPClassUID") == MEDIA_DIRECTORY

    @property
    def is_segmentation(self) -> bool:
        return value_of(self.dataset, "SOPClassUID") in SEGMENTATION_CLASSES or self.modality == "SEG"

    @property
    def is_image(self) -> bool:
        """True for an image whose pixels are grey values of the patient: no segmentation, dose, structure or report."""
        has_pixels = any(keyword in self.dataset for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"))
        return has_pixels and not self.is_segmentation and self.modality not in ("RTDOSE", "PR", "SR", "KO")

    @property
    def is_localizer(self) -> bool:
        """True for a scout radiograph, or a file that is no image."""
        kind = value_of(self.dataset, "ImageType") or ()
        return not self.is_image or "LOCALIZER" in [str(word).strip().upper() for word in kind]


def read_dicom_volume(path: Path) -> Volume:
    """Read a CT from a folder with one DICOM series or from a multi-frame file.

    Args:
        path: The file, or the folder that holds the files of the series.

    Returns:
        HU ``(z, y, x)`` on their grid in LPS mm, slices upwards along their normal, with notes and warnings.

    Raises:
        InputError: If the folder holds no or several series of images, a file is no CT, pixels do not decode, or the
            slices do not form one straight, even stack.
    """
    with damage_named(path):
        return _volume(path)


def _volume(path: Path) -> Volume:
    files, notes = choose_series(path) if path.is_dir() else ((read_dicom_file(path),), [])
    return volume_of_files(files, path, notes)


def volume_of_files(files: Sequence[DicomFile], path: Path, notes: Sequence[str] = ()) -> Volume:
    """Read the CT that the files of one series form, as ``read_dicom_volume`` does; ``path`` is for messages."""
    warnings = check_ct_series(files)
    check_frames((file.dataset, file.path) for file in files)
    frames = [frame for file in files for frame in frames_of(file.dataset, file.path)]
    warnings += _check_rescale(frames, str(path))
    sorted_frames, grid, stack_notes = stack_of(frames, str(path))
    warnings += two_numbered_runs(sorted_frames)
    check_plausible(grid, path, "Pixel Spacing (0028,0030) and Image Position (0020,0032)")
    voxels, voxel_notes, voxel_warnings = hu_voxels(sorted_frames)
    lossy = [note for file in files for note in compression_notes(file.dataset)][:1]
    return Volume(voxels, grid, (*notes, *lossy, *stack_notes, *voxel_notes), (*warnings, *voxel_warnings))


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turn what pydicom raises on damaged values, which it parses when they are used, into an InputError.

    Its warnings on such values are ignored within the block. Errors that no file brings about pass, as slips of ours;
    the log has the traceback of the others, too.
    """
    try:
        with no_warnings():
            yield
    except (InputError, MemoryError, NameError, ImportError, AssertionError):
        raise
    except Exception as error:  # pydicom raises many kinds
        _log.debug("%s could not be read", path, exc_info=True)
        raise InputError(
            f"{path}: expected DICOM headers that can be read, got {reason_of(error)!r}; a file may be damaged: copy "
            "or export it again."
        ) from error


def read_dicom_file(path: Path) -> DicomFile:
    """Read the header of one file. Raises InputError for a damaged one."""
    try:
        with no_warnings(), path.open("rb") as file:
            check_inflates(file, path)
            marked_first = file.read(4) == b"DICM"  # without the 128 bytes before it
            file.seek(0)
            source = BytesIO(file.read()[4:]) if marked_first else file
            defer_size = None if marked_first else _LARGEST_HEADER_VALUE
            dataset = read_partial(source, stop_when=_is_after_pixels, defer_size=defer_size, force=True)
            if (
                dataset.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian
            ):  # has no place to go back to
                file.seek(0)
                dataset = read_partial(file, stop_when=_is_after_pixels, force=True)
    except OSError as error:
        raise unreadable(path, error) from error
    except InputError:
        raise
    except Exception as error:  # pydicom raises many kinds on damaged files
        raise InputError(f"{path}: expected a readable DICOM file, got {reason_of(error)}; export it again.") from error
    settle_syntax_name(dataset, path)
    return DicomFile(path, dataset)


def _is_after_pixels(tag: int, _vr: str | None, _length: int) -> bool:
    return tag > _PIXEL_DATA


def dicom_files_in(folder: Path) -> list[DicomFile]:
    """Read the headers of the DICOM files directly in ``folder``, by name; other files are left alone."""
    with os.scandir(folder) as entries:
        paths = sorted(Path(entry.path) for entry in entries if entry.is_file())
    files = [read_dicom_file(path) for path in paths if is_dicom(path)]
    return [file for file in files if not file.lists_files]


def choose_series(folder: Path) -> tuple[tuple[DicomFile, ...], list[str]]:
    """Return the files of the only series of images in ``folder``, and notes on what was left out.

    Localizers, segmentations, structure sets, doses, reports and the like beside it are left out.
    Raises InputError if it holds none or several.
    """
    series: dict[str, list[DicomFile]] = {}
    for file in dicom_files_in(folder):
        series.setdefault(str(value_of(file.dataset, "SeriesInstanceUID") or ""), []).append(file)
    if not series:
        raise InputError(
            f"{folder}: expected a folder that holds a DICOM series, got none in it; choose the folder that holds the "
            "slices themselves, not the one above."
        )
    images = {uid: files for uid, files in series.items() if any(file.is_image for file in files)}
    stacks = {uid: files for uid, files in images.items() if not all(file.is_localizer for file in files)}
    images = stacks or images
    chosen = images if len(images) == 1 else series
    if len(chosen) > 1:
        raise InputError(
            f"{folder}: expected a folder with one DICOM series, got {len(series)}: {_listed(series)}; move the files "
            "of the wanted series into a folder of their own, and choose that folder."
        )
    ((uid, files),) = chosen.items()
    others = {other: files for other, files in series.items() if other != uid}
    notes = [f"Left out of the folder: {_listed(others)}."] if others else []
    if images:
        left = [file for file in files if not file.is_image]
        files = [file for file in files if file.is_image]
        notes += [f"Left out of the series: {len(left)} files without an image."] if left else []
    return tuple(files), notes


def check_ct_series(files: Sequence[DicomFile]) -> list[str]:
    """Check that each file is a greyscale CT image, and return what the user should check.

    Raises InputError that names the kind of what is not.
    """
    for file in files:
        _check_is_ct(file)
    checks = []
    if any(str(value_of(file.dataset, "SyntheticData") or "").strip().upper() == "YES" for file in files):
        checks.append(
            "Synthetic Data (0008,001C) is YES: this CT was made by software and not acquired by a scanner; choose the "
            "patient's own CT if there is one."
        )
    odd = ", ".join(sorted({file.modality or "none" for file in files if file.modality != "CT"}))
    if odd:
        checks.append(f"Modality (0008,0060) is {odd}, not CT: values are taken as they are; check that they are HU.")
    return checks


def _check_is_ct(file: DicomFile) -> None:
    path, modality = file.path, file.modality
    if file.is_segmentation:
        raise InputError(
            f"{path}: expected a CT, got a DICOM Segmentation object (modality SEG); give it as the mask, and "
            "choose the CT that it was drawn on."
        )
    if modality == "RTSTRUCT":
        raise InputError(
            f"{path}: expected an image, got an RT Structure Set (contours, no voxels); export it as a label map, one "
            "number for each vertebra (Slicer: import it with SlicerRT, then Segmentations > Export to labelmap)."
        )
    if modality in OTHER_VOLUMES:
        raise InputError(f"{path}: expected a CT, got an image of modality {modality} ({file.kind}); choose the CT.")
    if file.lists_files:
        raise InputError(
            f"{path}: expected a CT, got {file.kind}; choose the folder on the disc that holds its slices."
        )
    if not file.is_image:
        raise InputError(f"{path}: expected a DICOM image, got {file.kind} without pixels of one; choose the CT.")
    rescale_type = str(value_of(file.dataset, "RescaleType") or "").strip().upper()
    if modality in RADIOGRAPHS or (modality not in ("CT", "OT", "SC", "") and rescale_type != "HU"):
        raise InputError(
            f"{path}: expected a 3D volume (CT), got an image of modality {modality} ({file.kind}); choose the CT, or "
            "give this file as a radiograph. A CT in DICOM is chosen by its folder, not by one slice."
        )
    samples = value_of(file.dataset, "SamplesPerPixel")
    if samples not in (None, 1):
        raise InputError(
            f"{path}: expected one grey value per voxel, got {samples} (a colour picture, such as "
            "a screen capture, in the series?); choose the CT's slices alone."
        )
    if "PixelData" not in file.dataset:
        raise InputError(
            f"{path}: expected a CT of whole numbers in Pixel Data (7FE0,0010), got floating-point pixels "
            f"({file.kind}); export the CT itself."
        )
    if "ModalityLUTSequence" in file.dataset:
        raise InputError(
            f"{path}: expected Rescale Slope and Intercept (0028,1052) of a CT, got a Modality LUT (0028,3000); export "
            "the CT in HU."
        )


def _check_rescale(frames: list[Frame], name: str) -> list[str]:
    """Check that the frames are in HU, and return what the user should check."""
    types = sorted({frame.rescale_type for frame in frames if frame.rescale_type} - {"HU"})
    unusable = [kind for kind in types if kind not in ("US", "HU_MOD")]
    if unusable:
        raise InputError(
            f"{name}: expected Rescale Type (0028,1054) HU, got {', '.join(unusable)} (another quantity than the CT "
            "number); export the CT in HU."
        )
    lacking = [frame for frame in frames if not frame.states_rescale]
    if lacking and len(lacking) < len(frames):
        raise InputError(
            f"{name}: expected Rescale Slope and Intercept (0028,1052) in every slice, got {len(lacking)} of "
            f"{len(frames)} without both (such as {lacking[0].path.name}), which may lie 1024 HU off; export it again."
        )
    if any(frame.rescale[0] == 0 for frame in frames):
        raise InputError(f"{name}: expected Rescale Slope (0028,1053) other than 0, got 0; export the CT again.")
    if types:
        return [
            f"Rescale Type (0028,1054) is {', '.join(types)}, not HU: values are taken as HU; check that air is near "
            "-1000."
        ]
    return []


def _listed(series: dict[str, list[DicomFile]]) -> str:
    """Each series by its number, modality, number of files and first file, which tells the files to move.

    Not by its description, which may name the patient.
    """
    parts = []
    for files in series.values():
        count = "1 slice" if len(files) == 1 else f"{len(files)} slices"
        if not files[0].is_image or files[0].modality != "CT":
            count = f"{files[0].modality or 'no modality'}, {len(files)} file{'s' if len(files) > 1 else ''}"
        parts.append(f"{numbered_series(files[0])} ({count}, such as {files[0].path.name})")
    return "; ".join(parts)


def numbered_series(file: DicomFile) -> str:
    """Return a file's series in words: its number, which names nobody."""
    number = number_of(file.dataset, "SeriesNumber")
    return f"series {number:.0f}" if number is not None else "the series without a number"
