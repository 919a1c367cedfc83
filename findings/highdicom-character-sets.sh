#!/usr/bin/env bash
# highdicom cannot segment a CT from Korea, nor most from Japan: it refuses their character sets.
#
# Guess: a segmentation over a valid CT takes patient and character set over from it, whatever script the name is in.
# What happens: Specific Character Set (0008,0005) of these CTs has several values of which the first is empty, which PS3.3
# C.12.1.1.2 allows and means the default repertoire. highdicom refuses the empty value, and ISO 2022 IR 149 (Korean) also
# if the first is spelled out: "ValueError: ... is not a valid SpecificCharacterSetValues", before anything is written.
# Chinese (GB18030) and UTF-8 pass, and so does Japanese with ISO 2022 IR 13 in front. pydicom itself reads and writes all.
# Why it matters: a tool that writes vertebrae as DICOM passes its tests on anonymised CTs, and fails in the hospital on the
# first CT with a name. specific_character_set=None and the attribute set afterwards get round it.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check numpy==2.4.6 pydicom==3.0.2 highdicom==0.28.2
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
from io import BytesIO

import highdicom as hd
import numpy as np
import pydicom
from pydicom.sr.codedict import codes

changed = []


def observe(words, seen, recorded):
    print(f"{words}: {seen}")
    if seen != recorded:
        changed.append(f"CHANGED: {words}: recorded {recorded}, seen {seen}")


print("pydicom", pydicom.__version__, "highdicom", hd.__version__)
DESCRIBED = hd.seg.SegmentDescription(
    1, "L1", codes.SCT.AnatomicalStructure, codes.SCT.L1Vertebra, hd.seg.SegmentAlgorithmTypeValues.MANUAL
)


def a_slice(name, sets):
    """One slice of a CT as pydicom reads it back from a file."""
    one = pydicom.Dataset()
    one.file_meta = pydicom.dataset.FileMetaDataset()
    one.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    one.SpecificCharacterSet = sets
    one.SOPClassUID = one.file_meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
    one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = hd.UID()
    one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = (hd.UID() for _ in range(3))
    one.PatientID, one.PatientName, one.PatientBirthDate, one.PatientSex = "1", name, "", ""
    one.StudyID, one.StudyDate, one.StudyTime, one.AccessionNumber, one.ReferringPhysicianName = "1", "", "", "", ""
    one.Modality, one.PatientPosition, one.ImageType = "CT", "HFS", ["ORIGINAL", "PRIMARY", "AXIAL"]
    one.Manufacturer, one.SeriesNumber, one.InstanceNumber, one.PositionReferenceIndicator = "Phantom", 1, 1, ""
    one.ImagePositionPatient, one.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    one.PixelSpacing, one.SliceThickness = [1, 1], 2.5
    one.Rows, one.Columns = 20, 30
    one.SamplesPerPixel, one.PhotometricInterpretation, one.PixelRepresentation = 1, "MONOCHROME2", 1
    one.BitsAllocated, one.BitsStored, one.HighBit = 16, 16, 15
    one.RescaleIntercept, one.RescaleSlope = 0, 1
    one.PixelData = np.zeros((20, 30), "<i2").tobytes()
    file = BytesIO()
    one.save_as(file, enforce_file_format=True)
    file.seek(0)
    return pydicom.dcmread(file)


def segmented(source, **settings):
    """What becomes of a segmentation over the slice: its patient's name as it is read back, or the error."""
    mask = np.zeros((1, 20, 30), np.uint8)
    mask[0, 5:10, 5:12] = 1
    try:
        made = hd.seg.Segmentation(
            source_images=[source],
            pixel_array=mask,
            segmentation_type="BINARY",
            segment_descriptions=[DESCRIBED],
            series_instance_uid=hd.UID(),
            series_number=2,
            sop_instance_uid=hd.UID(),
            instance_number=1,
            manufacturer="Phantom",
            manufacturer_model_name="Phantom",
            software_versions="1",
            device_serial_number="1",
            **settings,
        )
    except ValueError as error:
        return f"ValueError: {error}"
    if settings:
        made.SpecificCharacterSet = source.SpecificCharacterSet
    file = BytesIO()
    made.save_as(file)
    file.seek(0)
    return str(pydicom.dcmread(file).PatientName)


JAPANESE, KOREAN, CHINESE = "Yamada^Tarou=山田^太郎=やまだ^たろう", "Hong^Gildong=洪^吉洞=홍^길동", "Wang^XiaoDong=王^小东"
REFUSED = "ValueError: {!r} is not a valid SpecificCharacterSetValues"
for name, sets, recorded in (
    (JAPANESE, ["", "ISO 2022 IR 87"], REFUSED.format("")),
    (JAPANESE, ["ISO 2022 IR 6", "ISO 2022 IR 87"], JAPANESE),
    (JAPANESE, ["ISO 2022 IR 13", "ISO 2022 IR 87"], JAPANESE),
    (KOREAN, ["", "ISO 2022 IR 149"], REFUSED.format("")),
    (KOREAN, ["ISO 2022 IR 6", "ISO 2022 IR 149"], REFUSED.format("ISO 2022 IR 149")),
    (CHINESE, "GB18030", CHINESE),
    (KOREAN, "ISO_IR 192", KOREAN),
):
    source = a_slice(name, sets)
    observe(f"{sets}, the CT by pydicom", str(source.PatientName), name)
    observe(f"{sets}, its segmentation by highdicom", segmented(source), recorded)
    if recorded != name:
        observe(f"{sets}, with the set left to the caller", segmented(source, specific_character_set=None), name)

if changed:
    raise SystemExit("\n".join(changed))
print("As recorded.")
PYTHON
