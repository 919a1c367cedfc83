"""One picture in every transfer syntax that radiographs come in, each beside its uncompressed twin."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from support.dicom_files import DX_CLASS, a_dataset

_ROWS, _COLUMNS = np.mgrid[0:20, 0:16]
PICTURE = (_COLUMNS * _COLUMNS * 7 + _ROWS * 110 + (_COLUMNS == 3) * 900).astype(np.uint16)  # 12 bits, no symmetry

# PICTURE by imagecodecs 2026.3.6: libjpeg-turbo (predictors 1 and 6 at 16 bits; 12-bit DCT, at most 1 off), CharLS,
# OpenJPH.
_FRAMES = {
    "JPEG Lossless SV1": """
/9j/4AAQSkZJRgABAQAAAQABAAD/wwALEAAUABABAREA/8QAGgABAQADAQEAAAAAAAAAAAAACAcDBQoGEP/aAAgBAQABAAD7Pte6fis9/Ta3abuhUmoV
evWXbs+17p+Kz39Nrdpu6FSahV69Zduz7Xun4rPf02t2m7oVJqFXr1l27Pte6fis9/Ta3abuhUmoVevWXbs+17p+Kz39Nrdpu6FSahV69Zduz7Xun4rP
f02t2m7oVJqFXr1l27Pte6fis9/Ta3abuhUmoVevWXbs+17p+Kz39Nrdpu6FSahV69Zduz7Xun4rPf02t2m7oVJqFXr1l27Pte6fis9/Ta3abuhUmoVe
vWXbs+17p+Kz39Nrdpu6FSahV69Zduz7Xun4rPf02t2m7oVJqFXr1l27Pte6fis9/Ta3abuhUmoVevWXbs+17p+Kz39Nrdpu6FSahV69Zduz7Xun4rPf
02t2m7oVJqFXr1l27Pte6fis9/Ta3abuhUmoVevWXbs+17p+Kz39Nrdpu6FSahV69Zduz7Xun4rPf02t2m7oVJqFXr1l27Pte6fis9/Ta3abuhUmoVev
WXbs+17p+Kz39Nrdpu6FSahV69Zf/9k=
""",
    "JPEG Lossless": """
/9j/4AAQSkZJRgABAQAAAQABAAD/wwALEAAUABABAREA/8QAGgABAQEAAwEAAAAAAAAAAAAABgcIAwUKEP/aAAgBAQAGAAD7n7X3T+Kx/Ta3abvoXSeo
dX692Xbm7du3bt27du3bt27dvbm7du3bt27du3bt27dvbm7du3bt27du3bt27dvbm7du3bt27du3bt27dvbm7du3bt27du3bt27dvbm7du3bt27du3bt
27dvbm7du3bt27du3bt27dvbm7du3bt27du3bt27dvbm7du3bt27du3bt27dvbm7du3bt27du3bt27dvbm7du3bt27du3bt27dvbm7du3bt27du3bt27
dvbm7du3bt27du3bt27dvbm7du3bt27du3bt27dvbm7du3bt27du3bt27dvbm7du3bt27du3bt27dvbm7du3bt27du3bt27dvbm7du3bt27du3bt27dv
bm7du3bt27du3bt27dv/AP/Z
""",
    "JPEG-LS": """
/9j/6AAgU1BJRkYAAgAAAQAAABQAAAAQChAGAQAAASwAAAEs/+gACAAAAAH/2P/3AAsQABQAEAEBEQD/+AANAf//ABIAQwEUAED/2gAIAQEAAAAAoGwp
dNamj7JesZpztoPkOd6rt/EzcgdCqbcAI/SalpZ1rWp0uhzuZNybkDIUTZgCPmI0W84nC4G+3m6m1NqComteAJ6u2Q1Wy2Gu1iqVFsWxBESWrAJ45P5M
KBPJxNJhLWta0GkVpwC7aXYhkcjEUiEMhLUtSCSC0YBdMDa9Pz6+Pb08rStKCR7nwC5V2RxdnV0c3JxdDoQSOc2AuFBdam5tbGtqaXO50FGuXAW6OqMT
MysjIxsTmcyCmOTAWyAnLjCwL798+crlQUtx4C1R6nD148du3TkciClOLAWifM0cuG7ds2cbjQUlw4CzV4mDVq0aM2bicSCkODAcluBczZMmTFi4XCgp
DfwHFfh2MWDBevXuBwIKO3sDgyx6nnnnXXW+30CO3cDeT14ddccccbzeQIzcwNxTbdxxxtttut1AjNvA2lt9m222mmm4/9k=
""",
    "HTJ2K": """
/0//UQApQAAAAAAQAAAAFAAAAAAAAAAAAAAAEAAAABQAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAUEBEAB/1wAEyCIkJCQkJCQkJCQkJCQ
iIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAPUAAf+TwAAmV/YFB3QAwAATABz+Awd0AMAAE8AAEoAABOACi3QA/QAHdADAABWwAASg
xBBDF13EoOsDmUK1AH0AA1QAwAAW/AABVKioFxc3bvj0iYp6cXHjhk+fqC5u+Pwz+ecSIICyuQDu3bt36DGBvrYAwAAvXoAAWkANNIAvvm3btg0NlJQN
NIAvvg000EADbdvQQEnZQAP44ttAAw000LYNDZSUDTSAL74NNNBAA23b0EBJ2UAD+OLbQAMNNNC2DQ2UlAGdrgnO1wTna4JztcEhFYw4MrQB2lqtVqvV
av7ACEB79iEB7LsA/9k=
""",
    "JPEG Extended": """
/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB
AQH/wQALDAAUABABAREA/8QAFwABAAMAAAAAAAAAAAAAAAAADQcLDv/EACcQAAADBQgDAQAAAAAAAAAAAAoLKAAFCUZlBgcMKkVKZmkYGlVZ/9oACAEB
AAA/AMmvheiCrIwg3kW77wwHkDopLF6ey15hIkgqX1DMRbPF0cgVJ0U9rMQL0QVZGEG8i3feGA8gdFJYvT2WvMJEkFS+oZiLZ4ujkCpOintPAXoG5AU9
GEG8lDfeGA+oWc/CksX4ey15hIkG5AU8+oZiUJ4uj1Czn0nRw9v/2Q==
""",
}

# Whites of 4089 to 4095 in the left half of 20 x 16 pixels by CharLS with NEAR 3 at 16 bits: 4086 to 4098.
BRIGHT = np.where(_COLUMNS < 8, 4095 - (_ROWS * 5 + _COLUMNS * 3) % 7, _ROWS * 100 + _COLUMNS * 7).astype(np.uint16)
BRIGHT_NEAR_LOSSLESS = base64.b64decode("""
/9j/6AAgU1BJRkYAAgAAAQAAABQAAAAQChAGAQAAASwAAAEs/+gACAAAAAH/2P/3AAsQABQAEAEBEQD/+AANAf//ABsAUgEpAED/2gAIAQEAAwAABkYBBQ
YUMEAAAAAAEUBgYMCGAwMBgMAgIUBgUCj0CgIFAoUKCgUFCgYGBBAY1CgIoIoIUCCCCKBQCORQIoQhBAIQgMBAgIFORQJQhCD8nYIoQhEOrcRERENW4iIi
IYtxERESxdkkkhh3JJJCnckkkKeySSQp3JJJCncqqFO6qop7VVFO6qop3VVFPavA/9k=
""")

# The same with signed values whose sign fills all 16 bits: 2039 to 2047 become up to 2049.
BRIGHT_SIGNED = np.where(_COLUMNS < 8, 2047 - (_ROWS * 2 + _COLUMNS) % 9, _ROWS * 40 - 600 + _COLUMNS * 7).astype(
    np.int16
)
BRIGHT_SIGNED_NEAR_LOSSLESS = base64.b64decode("""
/9j/6AAgU1BJRkYAAgAAAQAAABQAAAAQChAGAQAAASwAAAEs/+gACAAAAAH/2P/3AAsQABQAEAEBEQD/+AANAf//ABsAUgEpAED/2gAIAQEAAwAAFHgEBA
gQQRAAAAkgwYMODAgwDyAQCBQqBQUKFAoFAZAICAwIBDIoIIIoUBYCBAwQLDIQhCUIECgwQbGQhCEQQMCg2AhkRERQUEGwMCjIiIiCDiDBBAIyIiIIUogw
QTMiIhCiBBghYEAjIkkkoWBCEFMkkkhIEIEGEBKkkkgQQgQwhZkkkkIIYQ2CZJEgEBAoKFggEICdAgQCGSQiQQiQwEIklUEEIoYiBDKrqihiMgjLqgoQxG
QRAhVQVdRYIiQxXVEUAP/Z
""")

NATIVE = {
    "implicit little endian": ImplicitVRLittleEndian,
    "explicit big endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
}
COMPRESSED = {
    "RLE": RLELossless,
    "JPEG Lossless SV1": JPEGLosslessSV1,
    "JPEG Lossless": JPEGLossless,
    "JPEG-LS": JPEGLSLossless,
    "JPEG-LS near": JPEGLSNearLossless,
    "JPEG 2000": JPEG2000Lossless,
    "HTJ2K": HTJ2KLossless,
}
LOSSY = {"JPEG Extended": JPEGExtended12Bit}


def a_picture_file(path: Path, syntax: str = "", **values: Any) -> Path:
    """``PICTURE`` as a 12-bit radiograph in a transfer syntax by its name above (none: explicit little endian)."""
    defaults = {"Modality": "DX", "BitsStored": 12, "HighBit": 11}
    dataset = a_dataset(DX_CLASS, PICTURE, **(defaults | values))
    return save_in_syntax(dataset, path, syntax)


def save_in_syntax(dataset: FileDataset, path: Path, syntax: str) -> Path:
    uid = (NATIVE | COMPRESSED | LOSSY).get(syntax, ExplicitVRLittleEndian)
    dataset["PixelData"].VR = "OW"
    if syntax == "RLE":
        dataset.compress(RLELossless, generate_instance_uid=False)
    elif syntax in COMPRESSED | LOSSY:
        dataset.PixelData = encapsulate([frame_of_picture(syntax)])
        dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    elif not uid.is_little_endian:
        _swap_words(dataset)
    dataset.file_meta.TransferSyntaxUID = uid
    dcmwrite(
        path, Dataset(dataset) if not uid.is_little_endian else dataset, enforce_file_format=True, **_encoding(uid)
    )
    return path


def _encoding(uid: UID) -> dict[str, bool]:
    return {"implicit_vr": uid.is_implicit_VR, "little_endian": uid.is_little_endian}


def _swap_words(dataset: Dataset) -> None:
    """Turn the bytes of 16-bit words over: pydicom writes OW as it is given."""
    for element in dataset.iterall():
        if element.VR == "OW":
            element.value = np.frombuffer(element.value, "<u2").byteswap().tobytes()


def frame_of_picture(syntax: str) -> bytes:
    if syntax == "JPEG 2000":
        target = BytesIO()
        Image.fromarray(PICTURE).save(target, "JPEG2000", irreversible=False, no_jp2=True)
        return target.getvalue()
    return base64.b64decode(_FRAMES["JPEG-LS" if syntax == "JPEG-LS near" else syntax])
