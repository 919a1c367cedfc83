"""Small valid files of every kind that TomoRay reads, and what reads each: what the campaign damages."""

from __future__ import annotations

import json
import random
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python"))

SHAPE = (9, 10, 11)  # z, y, x
SPACING_MM = (6.0, 5.5, 5.0)  # x, y, z: tall enough for a CT
PIXELS = np.add.outer(np.arange(70) * 37, np.arange(66) * 11).astype(np.uint16)
MATRICES = "1000 0 0 500\n0 1000 0 400\n0 0 1 1000\n" * 2
RADIOGRAPH = "radiograph"


@dataclass(frozen=True)
class Specimen:
    """A valid input of one kind.

    Args:
        kind: Its name.
        files: Names and contents; those of ``damaged`` are mutated, the others stand beside it.
        damaged: Names of files of which one is damaged.
        read: Reads what lies in the folder; the path is that of the first file, or the folder if there are several
            without one that leads.
    """

    kind: str
    files: dict[str, bytes]
    damaged: tuple[str, ...]
    read: Callable[[Path], object]

    @property
    def first(self) -> str:
        return next(iter(self.files))


def specimens(folder: Path) -> list[Specimen]:
    """Make one of each kind; ``folder`` is used while they are made."""
    with _same_uids():
        found = [*_volumes(folder), *_pictures(folder), *_dicom(folder), *_others(folder)]
    for one in found:
        assert set(one.damaged) <= set(one.files), one.kind
    return found


@contextmanager
def _same_uids() -> Iterator[None]:
    """Let UIDs of DICOM files be the same in every run, which pydicom makes of chance."""
    dice, kept = random.Random(0), uuid.uuid4
    uuid.uuid4 = lambda: uuid.UUID(int=dice.getrandbits(128), version=4)
    try:
        yield
    finally:
        uuid.uuid4 = kept


def _volume(path: Path) -> None:
    from TomoRayLib.images.case_headers import check_headers
    from TomoRayLib.images.checks import check_ct
    from TomoRayLib.images.cohort_finder import UnlabelledCase
    from TomoRayLib.images.data_files import sha256_of_image
    from TomoRayLib.images.files import read_volume

    check_headers(UnlabelledCase(path.name, path.name, path))
    check_ct(read_volume(path), path.name)
    sha256_of_image(path)


def _small_volume(path: Path) -> None:
    """As ``_volume``, without the checks that a few slices do not pass."""
    from TomoRayLib.images.files import read_volume

    read_volume(path)


def _small_radiograph(path: Path) -> None:
    from TomoRayLib.images.files import read_radiograph

    read_radiograph(path)


def _labels(path: Path) -> None:
    from TomoRayLib.images.structure_masks import read_segmentation

    read_segmentation(path)


def _radiograph(path: Path) -> None:
    from TomoRayLib.images.checks import check_radiograph
    from TomoRayLib.images.files import read_radiograph

    check_radiograph(read_radiograph(path), path.name)


def _volumes(folder: Path) -> Iterator[Specimen]:
    import nibabel
    import SimpleITK as sitk

    voxels = np.random.default_rng(0).normal(0, 300, SHAPE).clip(-1000, 900).astype(np.int16)
    voxels[0], voxels[4] = -1000, 700
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:4, 3:6, 3:6], labels[5:8, 3:6, 3:6] = 21, 20

    def image(array: np.ndarray) -> sitk.Image:
        made = sitk.GetImageFromArray(array)
        made.SetSpacing(SPACING_MM)
        made.SetMetaData("TomoRay.note", "kept")
        return made

    def written(name: str, array: np.ndarray, *beside: str, packed: bool = False) -> dict[str, bytes]:
        sitk.WriteImage(image(array), str(folder / name), packed)
        return {one: (folder / one).read_bytes() for one in (name, *beside)}

    for name, packed in (("raw.nrrd", False), ("packed.nrrd", True), ("ct.mha", False), ("packed.mha", True)):
        yield Specimen(f"CT {name}", written(name, voxels, packed=packed), (name,), _volume)
    for name, data in (("ct.nhdr", "ct.raw"), ("ct.mhd", "ct.raw")):
        yield Specimen(f"CT {name}", written(name, voxels, data), (name, data), _volume)
    text = (folder / "raw.nrrd").read_bytes().partition(b"\n\n")[0].replace(b"encoding: raw", b"encoding: ascii")
    content = text + b"\n\n" + b" ".join(str(value).encode() for value in voxels.ravel())
    yield Specimen("CT ascii.nrrd", {"ascii.nrrd": content}, ("ascii.nrrd",), _volume)
    yield Specimen(
        "mask.seg.nrrd",
        {"mask.seg.nrrd": _segments(written("l.nrrd", labels, packed=True)["l.nrrd"])},
        ("mask.seg.nrrd",),
        _labels,
    )
    for kind, ending in (
        (nibabel.Nifti1Image, "nii"),
        (nibabel.Nifti1Image, "nii.gz"),
        (nibabel.Nifti2Image, "nii.gz"),
    ):
        made = kind(voxels.T, np.diag([-6.0, -5.5, 5.0, 1.0]))
        nibabel.save(made, folder / f"n.{ending}")
        name = f"ct{made.header['sizeof_hdr']}.{ending}"
        yield Specimen(f"CT {name}", {name: (folder / f"n.{ending}").read_bytes()}, (name,), _volume)
    nibabel.save(nibabel.Nifti1Pair(voxels.T, np.diag([-6.0, -5.5, 5.0, 1.0])), folder / "pair.hdr")
    pair = {name: (folder / name).read_bytes() for name in ("pair.hdr", "pair.img")}
    yield Specimen("CT pair.hdr", pair, tuple(pair), _volume)
    for name in ("ct.vtk", "ct.gipl", "ct.mnc", "ct.h5"):  # what ITK reads and TomoRay does not
        yield Specimen(f"CT {name}", written(name, voxels), (name,), _volume)
    for ending, table in _label_tables():
        files = {"mask.nrrd": (folder / "l.nrrd").read_bytes(), f"mask.{ending}": table}
        yield Specimen(f"names of labels .{ending}", files, (f"mask.{ending}",), _labels)
    flat = sitk.GetImageFromArray(PIXELS.astype(np.int16))
    for name in ("ap.nrrd", "ap.mha"):
        sitk.WriteImage(flat, str(folder / name), True)
        yield Specimen(f"{RADIOGRAPH} {name}", {name: (folder / name).read_bytes()}, (name,), _radiograph)


def _segments(content: bytes) -> bytes:
    head, _, data = content.partition(b"\n\n")
    fields = "".join(
        f"\nSegment{n}_LabelValue:={value}\nSegment{n}_Name:={name}\nSegment{n}_Layer:=0"
        for n, (value, name) in enumerate(((21, "L2"), (20, "L1")))
    )
    return head + fields.encode() + b"\n\n" + data


def _label_tables() -> Iterator[tuple[str, bytes]]:
    yield "json", json.dumps({"labels": {"L1": 20, "L2": 21}}).encode()
    yield "tsv", b"index\tname\n20\tL1\n21\tL2\n"
    yield "ctbl", b"20 L1 255 0 0 255\n21 L2 0 255 0 255\n"
    yield "txt", b'20 255 0 0 1 1 1 "L1"\n21 0 255 0 1 1 1 "L2"\n'


def _pictures(folder: Path) -> Iterator[Specimen]:
    import tifffile
    from PIL import Image

    grey = (PIXELS >> 4).astype(np.uint8)
    colour = np.repeat(grey[..., None], 3, axis=-1)
    made: dict[str, bytes] = {}
    for name, array, options in (
        ("grey16.png", PIXELS, {}),
        ("grey8.png", grey, {}),
        ("colour.png", colour, {}),
        ("grey.jpg", grey, {"quality": 90}),
        ("progressive.jpg", colour, {"progressive": True}),
        ("grey.bmp", grey, {}),
    ):
        target = BytesIO()
        kind = {".png": "PNG", ".jpg": "JPEG", ".bmp": "BMP"}[Path(name).suffix]
        Image.fromarray(array).save(target, kind, **options)
        made[name] = target.getvalue()
    target = BytesIO()
    Image.fromarray(grey).quantize(16).save(target, "PNG")
    made["palette.png"] = target.getvalue()
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        target = BytesIO()
        Image.fromarray(grey).save(target, "TIFF", compression=compression)
        made[f"{compression}.tif"] = target.getvalue()
    tifffile.imwrite(folder / "tiled.tif", PIXELS, tile=(32, 32), photometric="minisblack", bigtiff=True)
    made["tiled.tif"] = (folder / "tiled.tif").read_bytes()
    for name, content in made.items():
        yield Specimen(f"{RADIOGRAPH} {name}", {name: content}, (name,), _radiograph)


def _dicom(folder: Path) -> Iterator[Specimen]:
    from support.dicom_files import a_radiograph_file
    from support.dicom_stacks import a_lopsided_ct, slices_of, write_enhanced, write_folder
    from support.dicom_syntaxes import a_picture_file

    a_radiograph_file(folder / "ap.dcm", PatientOrientation=["L", "F"], DistanceSourceToDetector=1800)
    yield Specimen("DICOM radiograph", {"ap.dcm": (folder / "ap.dcm").read_bytes()}, ("ap.dcm",), _radiograph)
    for syntax in ("RLE", "deflated", "JPEG Lossless", "JPEG-LS", "JPEG 2000", "HTJ2K", "JPEG Extended"):
        content = a_picture_file(folder / "packed.dcm", syntax).read_bytes()
        yield Specimen(f"DICOM radiograph {syntax}", {"ap.dcm": content}, ("ap.dcm",), _small_radiograph)
    slices = slices_of(a_lopsided_ct())
    write_folder(folder / "series", slices)
    files = {path.name: path.read_bytes() for path in sorted((folder / "series").iterdir())}
    yield Specimen("DICOM series", files, tuple(files)[:3], lambda path: _small_volume(path.parent))
    write_enhanced(folder / "enhanced.dcm", slices)
    content = (folder / "enhanced.dcm").read_bytes()
    yield Specimen("DICOM Enhanced CT", {"ct.dcm": content}, ("ct.dcm",), _small_volume)
    yield Specimen("DICOM Segmentation", {"seg.dcm": _segmentation(folder / "seg.dcm")}, ("seg.dcm",), _labels)


def _segmentation(path: Path) -> bytes:
    """Two vertebrae in packed bits, each in two slices."""
    import pydicom

    from support.dicom_files import a_dataset
    from support.dicom_stacks import groups_item

    segments = []
    for number, label in ((1, "L2"), (2, "L1")):
        segment = pydicom.Dataset()
        segment.SegmentNumber, segment.SegmentLabel, segment.SegmentAlgorithmType = number, label, "MANUAL"
        segments.append(segment)
    frames = [(number, 3.0 * k) for number in (1, 2) for k in (2 * number, 2 * number + 1)]
    items = [
        groups_item({"ImagePositionPatient": [0.0, 0.0, z], "ReferencedSegmentNumber": number}) for number, z in frames
    ]
    shared = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [2.0, 2.0], "SliceThickness": 3.0}
    pixels = np.zeros((4, 16, 16), np.uint16)
    pixels[:, 4:9, 4:9] = 1
    dataset = a_dataset("1.2.840.10008.5.1.4.1.1.66.4", pixels, Modality="SEG", SegmentationType="BINARY")
    dataset.PixelData = np.packbits(pixels.astype(bool).ravel(), bitorder="little").tobytes()
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 1, 1, 0
    dataset.NumberOfFrames, dataset.SegmentSequence = len(frames), segments
    dataset.SharedFunctionalGroupsSequence = [groups_item(shared)]
    dataset.PerFrameFunctionalGroupsSequence = items
    dataset.save_as(path, enforce_file_format=True)
    return path.read_bytes()


def _others(folder: Path) -> Iterator[Specimen]:
    from TomoRayLib.evaluation.array_files import read_array
    from TomoRayLib.evaluation.prediction_files import read_points
    from TomoRayLib.evaluation.predictions import READY, read_predictions
    from TomoRayLib.jobs.evaluation_cases import names_in
    from TomoRayLib.jobs.job import SynthesisJob
    from TomoRayLib.jobs.job_files import read_job
    from TomoRayLib.networks.weight_files import read_weights
    from TomoRayLib.synthesis.geometry_files import gives_places, read_views, stated_origins, views_to_dict
    from TomoRayLib.synthesis.matrix_files import read_matrices
    from TomoRayLib.training.config_file import RECIPE, read_config
    from TomoRayLib.weights import models_folder, read_registry, read_segmenters

    def geometry(path: Path) -> None:
        read_views(str(path))
        gives_places(str(path))
        stated_origins(str(path))

    def registry(path: Path) -> None:
        read_registry(path.parent)
        read_segmenters(path.parent)

    def one(kind: str, name: str, content: bytes, read: Callable[[Path], Any]) -> Specimen:
        return Specimen(kind, {name: content}, (name,), read)

    views = json.dumps(views_to_dict(_views())).encode()
    yield one("geometry JSON", "views.json", views, geometry)
    job = SynthesisJob(out="out", ap="ap.png", lateral="lat.png").to_json().encode()
    yield one("job.json", "job.json", job, read_job)
    yield one("projection matrices", "ap.mtx", MATRICES.encode(), lambda path: read_matrices(str(path), "ap"))
    yield one("names of cases", "cases.txt", b"sub-1\nsub-2 # a remark\n", names_in)
    yield one("training TOML", "run.toml", RECIPE.read_bytes(), read_config)
    like = (READY / "x2ct-gan.toml").read_bytes()
    yield one("predictions TOML", "predictions.toml", like, lambda path: read_predictions(path.parent))
    yield one("registry.json", "registry.json", (models_folder() / "registry.json").read_bytes(), registry)
    yield one("weights", "w.safetensors", _weights(folder / "w.safetensors"), read_weights)
    array = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    np.save(folder / "a.npy", array)
    np.savez_compressed(folder / "a.npz", a=array)
    for name in ("a.npy", "a.npz"):
        yield one(f"array {name}", name, (folder / name).read_bytes(), lambda path: read_array(path, None))
    for name, content in _surfaces(folder):
        yield one(f"surface {name}", name, content, read_points)
    yield one("points .csv", "p.csv", b"x,y,z\n1,2,3\n4,5,6\n", read_points)


def _views() -> Any:
    from TomoRayLib.geometry.beams import ConeBeam
    from TomoRayLib.geometry.detector import Detector
    from TomoRayLib.geometry.views import Biplanar, View

    beam, detector = ConeBeam(1200.0, 1800.0), Detector(70, 66, (1.0, 1.0))
    return Biplanar(View(beam, detector), View(beam, detector, 90.0))


def _weights(path: Path) -> bytes:
    import torch

    from TomoRayLib.networks.weight_files import save_weights

    state = {"conv.weight": torch.linspace(-1, 1, 5000).reshape(10, 500), "conv.bias": torch.zeros(10)}
    save_weights(state, path, {"network": "{}", "model": "small"})
    return path.read_bytes()


def _surfaces(folder: Path) -> Iterator[tuple[str, bytes]]:
    from vtkmodules.vtkFiltersSources import vtkSphereSource
    from vtkmodules.vtkIOGeometry import vtkOBJWriter, vtkSTLWriter
    from vtkmodules.vtkIOLegacy import vtkPolyDataWriter
    from vtkmodules.vtkIOPLY import vtkPLYWriter
    from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

    sphere = vtkSphereSource()
    sphere.Update()
    writers: dict[str, Any] = {
        "s.vtk": vtkPolyDataWriter,
        "s.vtp": vtkXMLPolyDataWriter,
        "s.ply": vtkPLYWriter,
        "s.stl": vtkSTLWriter,
        "s.obj": vtkOBJWriter,
    }
    for name, kind in writers.items():
        writer = kind()
        writer.SetFileName(str(folder / name))
        writer.SetInputData(sphere.GetOutput())
        writer.Write()
        yield name, (folder / name).read_bytes()
