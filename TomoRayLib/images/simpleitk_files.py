"""Files as SimpleITK reads them, with its exceptions as sentences and without its warnings on the terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import SimpleITK as sitk

from TomoRayLib.base.errors import InputError
from TomoRayLib.images.headers.volume_header import misnamed
from TomoRayLib.images.numeric_locale import decimal_points
from TomoRayLib.images.quiet import WhileAnyIsInside, no_stderr
from TomoRayLib.images.types import last_line


def read_image(path: Path) -> sitk.Image:
    """Read a file. Raises InputError if it is damaged or no image."""
    reader = read_information(path)
    with _no_warnings(), no_stderr(), decimal_points():  # MetaIO and libpng print by themselves
        try:
            return reader.Execute()
        except RuntimeError as error:
            raise _reading_error(path, error) from error


def read_information(path: Path) -> sitk.ImageFileReader:
    """Read the header alone. Raises InputError if it is damaged or not that of an image."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    with _no_warnings(), no_stderr(), decimal_points():
        try:
            reader.ReadImageInformation()
        except RuntimeError as error:
            raise _reading_error(path, error) from error
    return reader


def _hide_warnings() -> Callable[[], object]:
    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    return lambda: sitk.ProcessObject.SetGlobalWarningDisplay(shown)


_no_warnings = WhileAnyIsInside(_hide_warnings)  # of ITK; the readers check, and say, what they are about


def _reading_error(path: Path, error: RuntimeError) -> InputError:
    """Turn SimpleITK's exception into a sentence."""
    text = str(error)
    if "orthonormal" in text:
        return InputError(
            f"{path}: expected perpendicular axes, got sheared direction cosines (a gantry tilt or an affine "
            "registration in the header); resample it to an orthogonal grid first (Slicer: load it, Harden transform, "
            "Resample Scalar Volume)."
        )
    if "spacing is not supported" in text or "space directions" in text or "space vector" in text:
        return InputError(
            f"{path}: expected a spacing above 0 mm along each axis, got {last_line(error)!r}; correct the header or "
            "export it again."
        )
    if "Unable to determine ImageIO" in text and path.is_file() and (name := misnamed(path)):
        return InputError(f"{path}: expected an ending that tells its format, got another; rename it to {name}.")
    if "Unable to determine ImageIO" in text:
        return InputError(
            f"{path}: expected an image (NRRD, NIfTI, MetaImage, DICOM, PNG, TIFF, JPEG), got another kind of file "
            "or a damaged header; choose an image or export it again."
        )
    return InputError(
        f"{path}: expected a readable image, got {last_line(error)!r}; it may be damaged or incomplete: copy or "
        "export it again."
    )
