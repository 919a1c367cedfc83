"""Readings of image files by other libraries and by the formats' own definitions, to hold TomoRay's readers against.

Nothing here comes from TomoRay or SimpleITK: DICOM by pydicom (frames decoded by imagecodecs), DICOM segmentations by
highdicom, NIfTI by nibabel, NRRD by pynrrd and the format's definition, MetaImage by its text header, pictures by
tifffile and Pillow. Patient space is LPS in mm; a volume is (z, y, x), a picture (row, column).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.encaps import generate_frames
from pydicom.pixels import apply_modality_lut

OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "H": "F", "F": "H"}
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
META_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip


class NoReadingError(Exception):
    """The other library cannot read the file, is not there, or the file has no one meaning; the text says which."""


@dataclass(frozen=True, eq=False)
class Reading:
    """Values with ``index_to_world`` (4 x 4, LPS mm) of a volume, or the spacing (row, column) of a picture."""

    values: NDArray[np.generic]
    by: str
    index_to_world: NDArray[np.float64] | None = None
    spacing_mm: tuple[float, float] | None = None


def nifti(path: Path) -> Reading:
    """A 3D NIfTI by nibabel; its affine is RAS, sform before qform. NoReadingError if neither is stated."""
    try:
        import nibabel
    except ImportError:
        raise NoReadingError("nibabel is not installed") from None
    image = nibabel.load(path)
    values = np.asarray(image.dataobj)
    if values.ndim == 4 and values.shape[3] == 1:
        values = values[..., 0]
    if not hasattr(image.header, "get_sform") or not (image.header["sform_code"] or image.header["qform_code"]):
        raise NoReadingError("the header states no orientation")
    if values.ndim == 2:
        values = values[..., None]
    return Reading(values.T, f"nibabel {nibabel.__version__}", RAS_TO_LPS @ image.affine)


def nrrd(path: Path) -> Reading:
    """A 3D NRRD by pynrrd, its place by the definition of space, space directions and space origin."""
    try:
        import nrrd as pynrrd
    except ImportError:
        raise NoReadingError("pynrrd is not installed") from None
    values, header = pynrrd.read(str(path))
    space = str(header.get("space", "")).lower()
    signs = {"left-posterior-superior": (1, 1, 1), "lps": (1, 1, 1), "right-anterior-superior": (-1, -1, 1),
             "ras": (-1, -1, 1), "left-anterior-superior": (1, -1, 1), "las": (1, -1, 1)}.get(space)  # fmt: skip
    directions = header.get("space directions")
    if signs is None or directions is None or values.ndim != 3:
        raise NoReadingError(f"space {space or 'not stated'}, {values.ndim} axes")
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(directions, float).T
    matrix[:3, 3] = header.get("space origin", np.zeros(3))
    return Reading(values.T, f"pynrrd {pynrrd.__version__}", np.diag([*signs, 1.0]) @ matrix)


def metaimage(path: Path) -> Reading:
    """A 3D MetaImage with its data in the file, by the keys of its text header."""
    content = path.read_bytes()
    fields, end = {}, 0
    while "ElementDataFile" not in fields:
        start, end = end, content.index(b"\n", end) + 1
        key, _, text = content[start:end].decode("latin-1").partition("=")
        fields[key.strip()] = text.strip()
    if fields["ElementDataFile"] != "LOCAL" or fields.get("NDims") != "3":
        raise NoReadingError("not one 3D volume in one file")
    data = content[end:]
    if fields.get("CompressedData", "False") == "True":
        data = zlib.decompress(data)
    order = ">" if fields.get("BinaryDataByteOrderMSB", "False") == "True" else "<"
    size = [int(text) for text in fields["DimSize"].split()]
    values = np.frombuffer(data, order + META_TYPES[fields["ElementType"]], int(np.prod(size))).reshape(size[::-1])
    spacing = np.array(fields.get("ElementSpacing", "1 1 1").split(), float)
    matrix = np.eye(4)
    axes = np.array(fields.get("TransformMatrix", "1 0 0 0 1 0 0 0 1").split(), float).reshape(3, 3)
    matrix[:3, :3] = axes.T * spacing
    matrix[:3, 3] = np.array(fields.get("Offset", "0 0 0").split(), float)
    return Reading(values, "MetaImage definition", matrix)


def dicom_stack(files: list[Path]) -> Reading:
    """Single-frame slices by pydicom: each at its own position. NoReadingError unless they are even and straight."""
    slices = [pydicom.dcmread(file, force=True) for file in files]
    if any("ImagePositionPatient" not in part or "ImageOrientationPatient" not in part for part in slices):
        raise NoReadingError("slices without position")
    positions = [np.array(part.ImagePositionPatient, float) for part in slices]
    return _stack(positions, [rescaled(part, decoded(part)[0]) for part in slices], slices[0].ImageOrientationPatient,
                  slices[0].PixelSpacing)  # fmt: skip


def dicom_frames(path: Path) -> Reading:
    """An enhanced multi-frame file by pydicom: each frame at its own Plane Position."""
    dataset = pydicom.dcmread(path, force=True)
    frames = dataset.get("PerFrameFunctionalGroupsSequence")
    if not frames:
        raise NoReadingError("frames without functional groups")
    shared = dataset.SharedFunctionalGroupsSequence[0]

    def group(frame: pydicom.Dataset, name: str) -> pydicom.Dataset:
        return (frame if name in frame else shared)[name][0]

    try:
        positions = [np.array(group(f, "PlanePositionSequence").ImagePositionPatient, float) for f in frames]
        orientation = group(frames[0], "PlaneOrientationSequence").ImageOrientationPatient
        spacing = group(frames[0], "PixelMeasuresSequence").PixelSpacing
    except KeyError as error:
        raise NoReadingError(f"frames without {error}") from None
    values = []
    for frame, pixels in zip(frames, decoded(dataset), strict=True):
        has = "PixelValueTransformationSequence" in frame or "PixelValueTransformationSequence" in shared
        values.append(rescaled(group(frame, "PixelValueTransformationSequence") if has else dataset, pixels))
    return _stack(positions, values, orientation, spacing)


def dicom_segmentation(path: Path) -> Reading:
    """A DICOM SEG by highdicom, its segments combined. NoReadingError for overlapping ones."""
    try:
        import highdicom
    except ImportError:
        raise NoReadingError("highdicom is not installed") from None
    try:
        volume = highdicom.seg.segread(path).get_volume(combine_segments=True)
    except Exception as error:  # its own limits
        raise NoReadingError(f"highdicom: {error}") from None
    slice_row_column = np.asarray(volume.affine)[:, [2, 1, 0, 3]]  # from (slice, row, column) to (column, row, slice)
    return Reading(np.asarray(volume.array), f"highdicom {highdicom.__version__}", slice_row_column)


def _stack(positions, values, orientation, spacing) -> Reading:
    right, down = np.array(orientation[:3], float), np.array(orientation[3:], float)
    normal = np.cross(right, down)
    order = np.argsort([position @ normal for position in positions])
    steps = np.diff(np.array(positions)[order], axis=0)
    if len(steps) == 0 or np.abs(steps - steps.mean(axis=0)).max() > 0.05 or np.linalg.norm(steps[0]) < 1e-3:
        distances = np.linalg.norm(steps, axis=1) if len(steps) else [0]
        raise NoReadingError(f"distances from {min(distances):.3g} to {max(distances):.3g} mm")
    sideways = np.linalg.norm(steps.sum(axis=0) - (steps.sum(axis=0) @ normal) * normal)
    if sideways > 1:
        raise NoReadingError(f"tilted: {sideways:.1f} mm sideways")
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([right * float(spacing[1]), down * float(spacing[0]), steps.mean(axis=0)], axis=1)
    matrix[:3, 3] = positions[order[0]]
    return Reading(np.stack([values[n] for n in order]), f"pydicom {pydicom.__version__}", matrix)


def decoded(dataset: pydicom.Dataset) -> NDArray[np.generic]:
    """Stored values (frame, row, column); compressed frames by imagecodecs, never by a plugin of pydicom."""
    syntax = dataset.file_meta.get("TransferSyntaxUID") if hasattr(dataset, "file_meta") else None
    if syntax is None or not syntax.is_compressed or "RLE" in syntax.name or "Deflated" in syntax.name:
        pixels = dataset.pixel_array
        return pixels.reshape(-1, dataset.Rows, dataset.Columns)
    try:
        import imagecodecs
    except ImportError:
        raise NoReadingError("imagecodecs is not installed") from None
    decode = {"JPEG 2000": imagecodecs.jpeg2k_decode, "JPEG-LS": imagecodecs.jpegls_decode}.get(
        next((name for name in ("JPEG 2000", "JPEG-LS") if name in syntax.name), ""), imagecodecs.jpeg_decode
    )
    count = int(dataset.get("NumberOfFrames") or 1)
    frames = np.stack([np.array(decode(f)) for f in generate_frames(dataset.PixelData, number_of_frames=count)])
    if dataset.PixelRepresentation and frames.dtype.kind == "u":  # the codestream's bits are two's complement
        bits = int(dataset.BitsStored)
        wide = frames.astype(np.int64) & (2**bits - 1)
        frames = np.where(wide >= 2 ** (bits - 1), wide - 2**bits, wide)
    return frames


def rescaled(dataset: pydicom.Dataset, pixels: NDArray[np.generic]) -> NDArray[np.float64]:
    """Stored values after the Modality LUT or the rescale slope and intercept of ``dataset``."""
    if dataset.get("ModalityLUTSequence"):
        return np.asarray(apply_modality_lut(pixels, dataset), np.float64)
    return pixels * float(dataset.get("RescaleSlope") or 1) + float(dataset.get("RescaleIntercept") or 0)


def dicom_picture(path: Path) -> Reading:
    """A DICOM radiograph with bone bright by Photometric Interpretation, turned by Patient Orientation.

    Bright is high in MONOCHROME2 and low in MONOCHROME1 (PS3.3 C.7.6.3.1.2). In an RT Image the Pixel Intensity
    Relationship Sign decides: bone is low where it is 1 (C.8.11.3.1.2). Rows are turned to L or P, columns to F.
    """
    dataset = pydicom.dcmread(path, force=True)
    if int(dataset.get("SamplesPerPixel") or 1) != 1 or "PALETTE" in str(dataset.get("PhotometricInterpretation")):
        raise NoReadingError("in colour")
    frames = decoded(dataset)
    if len(frames) != 1:
        raise NoReadingError(f"{len(frames)} frames")
    pixels = rescaled(dataset, frames[0])
    sign = dataset.get("PixelIntensityRelationshipSign") if dataset.get("Modality") == "RTIMAGE" else None
    if sign == 1 if sign else dataset.get("PhotometricInterpretation") == "MONOCHROME1":
        pixels = -pixels
    spacing = dataset.get("ImagerPixelSpacing") or dataset.get("ImagePlanePixelSpacing") or dataset.get("PixelSpacing")
    pair = (float(spacing[0]), float(spacing[1])) if spacing and len(spacing) == 2 else None
    ways = [str(way)[:1] for way in dataset.get("PatientOrientation") or []]
    if len(ways) == 2 and all(ways):
        pixels, pair = _turned(pixels, ways[0], ways[1], pair)
    return Reading(pixels, f"pydicom {pydicom.__version__}", spacing_mm=pair)


def _turned(pixels, right: str, down: str, spacing):
    if right in "HF" and down not in "HF":
        pixels, right, down = pixels.T, down, right
        spacing = spacing and (spacing[1], spacing[0])
    if right in "RA":
        pixels = pixels[:, ::-1]
    if down == "H":
        pixels = pixels[::-1]
    return pixels, spacing


def tiff(path: Path) -> Reading:
    """The first page of a grey TIFF by tifffile: white-is-zero turned, Orientation (274) followed."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        values = page.asarray()
        if values.ndim != 2:
            raise NoReadingError(f"shape {values.shape}")
        if 262 not in page.tags:
            raise NoReadingError("PhotometricInterpretation is missing")
        photometric = int(page.photometric)  # 0: white is zero, 1: black is zero
        if photometric > 1:
            raise NoReadingError(f"PhotometricInterpretation {photometric}")
        if photometric == 0:
            values = -values.astype(np.float64)
        tag = page.tags.get(274)
    return Reading(_exif_turned(values, int(tag.value) if tag else 1), f"tifffile {tifffile.__version__}")


def _exif_turned(pixels: NDArray[np.generic], orientation: int) -> NDArray[np.generic]:
    """TIFF 6.0, Orientation: row 0 and column 0 lie at top/bottom and left/right (1-4), exchanged from 5 on."""
    if orientation >= 5:
        pixels = pixels.T
    if orientation in (3, 4, 7, 8):  # after the exchange: row 0 at the bottom
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):  # column 0 at the right
        pixels = pixels[:, ::-1]
    return pixels


def picture(path: Path) -> Reading:
    """A grey PNG, JPEG or BMP by Pillow, its EXIF orientation followed. NoReadingError for one in colour."""
    from PIL import Image, ImageOps, __version__

    with Image.open(path) as opened:
        image = ImageOps.exif_transpose(opened)
        if image.mode in ("P", "PA"):
            image = image.convert("RGBA")
        values = np.asarray(image.convert("L") if image.mode in ("1", "LA") else image)
    if values.ndim == 3:
        colours = values[..., :3].astype(float)
        if np.ptp(colours, axis=-1).max() > 8:
            raise NoReadingError(f"{image.mode}, in colour")
        values = values[..., 1]
    return Reading(values, f"Pillow {__version__}")
