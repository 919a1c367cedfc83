"""Names of a label map's numbers: in its header and in tables beside it, written as the tools write them."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from support.masks import a_mask
from TomoRayLib.base.errors import InputError
from TomoRayLib.images.files import read_labels
from TomoRayLib.images.structure_masks import read_segmentation
from TomoRayLib.images.types import Volume, volume_to_sitk
from TomoRayLib.images.writing import write_volume

# L1 above L2 above L3, numbered as their segments were made; 9 is a disc.
PLACES = {1: slice(40, 52), 2: slice(24, 36), 9: slice(36, 40), 5: slice(8, 20)}
NAMES = {1: "L1", 2: "vertebrae_L2", 9: "disc_L1_L2", 5: "L3 vertebra"}
RIGHT = {1: 20, 2: 21, 9: 0, 5: 22, 0: 0}


def a_numbered_mask() -> Volume:
    return a_mask(PLACES)


def segments(image: sitk.Image, names: dict[int, str], layers: dict[int, int] | None = None, tags: str = "") -> None:
    for index, (number, name) in enumerate(names.items()):
        fields = {"ID": f"Segment_{number}", "Name": name, "LabelValue": str(number), "Extent": "0 59 0 49 0 59"}
        fields["Layer"] = str((layers or {}).get(number, 0))
        fields["Tags"] = f"Segmentation.Status:completed|{tags}"
        for key, text in fields.items():
            image.SetMetaData(f"Segment{index}_{key}", text)


def seg_nrrd(folder: Path, mask: Volume) -> Path:
    image = volume_to_sitk(mask)
    segments(image, NAMES)
    sitk.WriteImage(image, str(folder / "spine.seg.nrrd"), useCompression=True)
    return folder / "spine.seg.nrrd"


def in_the_header_of_a_nifti(folder: Path, mask: Volume) -> Path:
    """As TotalSegmentator's save_multilabel_nifti: one extension, its XML after size and code, on 16 bytes."""
    path = folder / "spine.nii.gz"
    write_volume(path, mask)
    content = gzip.decompress(path.read_bytes())
    rows = "".join(f'<Label Key="{number}" Alpha="1"><![CDATA[{name}]]></Label>\n' for number, name in NAMES.items())
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?> <CaretExtension><VolumeInformation Index="0"><LabelTable>\n'
        f"{rows}</LabelTable><VolumeType><![CDATA[Label]]></VolumeType></VolumeInformation></CaretExtension>"
    ).encode()
    size = -(-(len(xml) + 8) // 16) * 16
    block = struct.pack("<2i", size, 0) + xml.ljust(size - 8, b"\0")
    header = bytearray(content[:352])
    struct.pack_into("<f", header, 108, 352.0 + size)
    header[348] = 1
    path.write_bytes(gzip.compress(bytes(header) + block + content[352:]))
    return path


def written(folder: Path, mask: Volume, table: str, text: str, name: str = "spine.nii.gz") -> Path:
    (folder / table).write_text(text, encoding="utf-8")
    write_volume(folder / name, mask)
    return folder / name


def nnunet(folder: Path, mask: Volume) -> Path:
    (folder / "labelsTr").mkdir()
    table = json.dumps({"labels": {"background": 0, **{name: number for number, name in NAMES.items()}}})
    return written(folder, mask, "dataset.json", table, "labelsTr/case_001.nii.gz")


def nnunet_version_1(folder: Path, mask: Volume) -> Path:
    table = {"0": "background", **{str(number): name for number, name in NAMES.items()}}
    return written(folder, mask, "dataset.json", json.dumps({"labels": table}))


def itk_snap(folder: Path, mask: Volume) -> Path:
    rows = ['    0     0    0    0        0  0  0    "Clear Label"']
    rows += [f'   {number:2}   255    0  128        1  1  1    "{name}"' for number, name in NAMES.items()]
    return written(folder, mask, "labels.txt", "# ITK-SnAP Label Description File\n" + "\n".join(rows) + "\n")


def color_table(folder: Path, mask: Volume) -> Path:
    rows = [f"{number} {name.replace(' ', '_')} 255 128 0 255" for number, name in NAMES.items()]
    return written(folder, mask, "spine.ctbl", "# Color table file\n" + "\n".join(rows) + "\n")


def bids(folder: Path, mask: Volume) -> Path:
    rows = ["index\tname\tcolor", *(f"{number}\t{name}\t#ff0000" for number, name in NAMES.items())]
    return written(folder, mask, "sub-1_dseg.tsv", "\n".join(rows) + "\n", "sub-1_dseg.nii.gz")


@pytest.mark.parametrize(
    "made", [seg_nrrd, in_the_header_of_a_nifti, nnunet, nnunet_version_1, itk_snap, color_table, bids]
)
def test_names_win_over_numbers(made: Callable[[Path, Volume], Path], tmp_path: Path) -> None:
    mask = a_numbered_mask()
    path = made(tmp_path, mask)
    right = np.vectorize(RIGHT.get)(mask.voxels)
    np.testing.assert_array_equal(read_labels(path).voxels, right)
    segmentation = read_segmentation(path)
    np.testing.assert_array_equal(segmentation.voxels, right)
    assert segmentation.grid.same_as(mask.grid)
    assert "L1, L2, L3; not vertebrae, left out: disc_L1_L2" in segmentation.notes[0]


def test_a_label_map_without_names_keeps_its_numbers(tmp_path: Path) -> None:
    write_volume(tmp_path / "spine.nii.gz", a_numbered_mask())
    (tmp_path / "notes.txt").write_text("vertebrae of one person\n", encoding="utf-8")
    (tmp_path / "spine.json").write_text('{"EchoTime": 0.1}', encoding="utf-8")
    np.testing.assert_array_equal(read_labels(tmp_path / "spine.nii.gz").voxels, a_numbered_mask().voxels)


def test_terminology_names_a_segment_without_a_name_of_its_own(tmp_path: Path) -> None:
    image = volume_to_sitk(a_mask({1: slice(10, 20)}))
    entry = "General Anatomy list~SCT^123037004^Anatomical Structure~SCT^66794005^L1 vertebra~^^~Anatomic codes~^^~^^"
    segments(image, {1: "Segment_1"}, tags=f"TerminologyEntry:{entry}")
    sitk.WriteImage(image, str(tmp_path / "spine.seg.nrrd"))
    assert np.unique(read_labels(tmp_path / "spine.seg.nrrd").voxels).tolist() == [0, 20]


def test_overlapping_segments_in_layers_are_read_layer_by_layer(tmp_path: Path) -> None:
    first, second = a_mask({1: slice(30, 44)}), a_mask({1: slice(16, 31), 2: slice(2, 14)})
    image = sitk.Compose(volume_to_sitk(first), volume_to_sitk(second))
    names = (("L1", 1, 0), ("L2", 1, 1), ("L3", 2, 1))
    for index, (name, number, layer) in enumerate(names):
        for key, text in (("Name", name), ("LabelValue", str(number)), ("Layer", str(layer))):
            image.SetMetaData(f"Segment{index}_{key}", text)
    sitk.WriteImage(image, str(tmp_path / "spine.seg.nrrd"))
    labels = read_segmentation(tmp_path / "spine.seg.nrrd")
    levels = [int(labels.voxels[k].max()) for k in (40, 30, 20, 8)]
    assert levels == [20, 21, 21, 22]
    assert labels.grid.same_as(first.grid)


def test_segments_numbered_by_slicer_without_names_are_refused_but_can_be_stated(tmp_path: Path) -> None:
    mask = a_mask({1: slice(40, 52), 2: slice(20, 32)})
    image = volume_to_sitk(mask)
    segments(image, {1: "Segment_1", 2: "Segment_2"})
    path = tmp_path / "spine.seg.nrrd"
    sitk.WriteImage(image, str(path))
    with pytest.raises(InputError, match="whose numbers only tell in which order they were made") as caught:
        read_segmentation(path)
    assert caught.value.field == "labels"
    np.testing.assert_array_equal(read_segmentation(path, "verse").voxels, mask.voxels)


def test_names_of_other_structures_are_no_vertebrae(tmp_path: Path) -> None:
    image = volume_to_sitk(a_mask({20: slice(10, 20), 21: slice(1, 9)}))
    segments(image, {20: "liver", 21: "spleen"})
    sitk.WriteImage(image, str(tmp_path / "organs.seg.nrrd"))
    with pytest.raises(InputError, match=r"organs\.seg\.nrrd: expected names of vertebrae .*, got liver, spleen"):
        read_segmentation(tmp_path / "organs.seg.nrrd")


def test_one_segment_named_spine_is_the_whole_spine(tmp_path: Path) -> None:
    image = volume_to_sitk(a_mask({7: slice(10, 50)}))
    segments(image, {7: "Spine"})
    sitk.WriteImage(image, str(tmp_path / "spine.seg.nrrd"))
    assert np.unique(read_segmentation(tmp_path / "spine.seg.nrrd").voxels).tolist() == [0, 255]


def test_names_that_contradict_the_order_along_the_body_are_refused(tmp_path: Path) -> None:
    image = volume_to_sitk(a_mask({1: slice(40, 52), 2: slice(20, 32)}))
    segments(image, {1: "L4", 2: "L3"})
    sitk.WriteImage(image, str(tmp_path / "spine.seg.nrrd"))
    with pytest.raises(InputError, match=r"by the names of its segments: .* L4 lies above L3"):
        read_segmentation(tmp_path / "spine.seg.nrrd")


def test_two_segments_of_one_name_are_refused(tmp_path: Path) -> None:
    image = volume_to_sitk(a_mask({1: slice(40, 52), 2: slice(20, 32)}))
    segments(image, {1: "L4", 2: "vertebrae_L4"})
    sitk.WriteImage(image, str(tmp_path / "spine.seg.nrrd"))
    with pytest.raises(InputError, match="the name of L4 for the labels 1, 2"):
        read_labels(tmp_path / "spine.seg.nrrd")
