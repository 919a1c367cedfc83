"""Time to read a CT and a radiograph, by this checkout against another one, in turn.

    git worktree add --detach /path/to/before COMMIT
    python Testing/Benchmarks/reading.py --against /path/to/before [--rounds 9]

For each file two processes are open, one with each checkout's package, and read it one after the other; the order
changes from round to round. New processes for each file, because what was read before changes how memory is given.
Quote the ratio of the medians (bound: 1.1), not the seconds. The files: the demonstration CT as it comes (.nii.gz) and
as NRRD, a folder of CT slices in DICOM, and a DX of 3000 x 3000 pixels.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from pydicom.uid import CTImageStorage, generate_uid

TESTING = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTING), str(TESTING / "Python"), str(TESTING.parent)]

from support.dicom_files import a_dataset, a_radiograph_file  # noqa: E402
from TomoRayLib.images.files import read_volume  # noqa: E402
from TomoRayLib.images.writing import write_volume  # noqa: E402
from TomoRayLib.jobs.demonstration import default_cache, fetch_demonstration  # noqa: E402

READER = """
import sys, time
from TomoRayLib.images.files import read_radiograph, read_volume
for line in sys.stdin:
    kind, path = line.rstrip("\\n").split(" ", 1)
    read = read_volume if kind == "volume" else read_radiograph
    begun = time.perf_counter()
    read(path)
    print(time.perf_counter() - begun, flush=True)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, required=True, help="a checkout of the build of before")
    parser.add_argument("--rounds", type=int, default=9, help="pairs of readings of each file, after one that warms up")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, kind, path in files_to_read(Path(folder)):
            readers = {"before": reader_of(arguments.against), "now": reader_of(TESTING.parent)}
            seconds = timed(readers, kind, path, arguments.rounds)
            before, now = (statistics.median(seconds[who]) for who in ("before", "now"))
            print(f"{name}: {before:.3f} s before, {now:.3f} s now, ratio {now / before:.2f}")
            for reader in readers.values():
                reader.stdin.close()
                reader.wait()


def reader_of(checkout: Path) -> subprocess.Popen[str]:
    """Start a process that reads files with a checkout's package."""
    return subprocess.Popen(
        [sys.executable, "-c", READER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
    )


def timed(readers: dict[str, subprocess.Popen[str]], kind: str, path: Path, rounds: int) -> dict[str, list[float]]:
    """Read one file with both, in turn; return the seconds of each without the first round."""
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    for number in range(rounds + 1):
        for name in sorted(readers, reverse=bool(number % 2)):
            reader = readers[name]
            print(kind, path, file=reader.stdin, flush=True)
            taken = float(reader.stdout.readline())
            if number:
                seconds[name].append(taken)
    return seconds


def files_to_read(folder: Path) -> list[tuple[str, str, Path]]:
    """Return (name, kind, path) of the files, made in the folder where there are none."""
    case = fetch_demonstration(default_cache(dict(os.environ)))
    compressed = Path(case.ct_path) if case.ct_path else folder / "ct.nii.gz"
    if case.ct_path is None:  # the phantom has no file
        write_volume(compressed, case.ct)
    volume = read_volume(compressed)
    write_volume(folder / "ct.nrrd", volume)
    slices = folder / "slices"
    slices.mkdir()
    write_slices(slices, np.asarray(volume.voxels, dtype=np.int16))
    radiograph = folder / "dx.dcm"
    pixels = np.random.default_rng(0).integers(0, 4096, (3000, 3000)).astype(np.uint16)
    a_radiograph_file(radiograph, pixels, BitsStored=12, HighBit=11, DistanceSourceToDetector=1800)
    return [
        ("demonstration CT, .nii.gz", "volume", compressed),
        ("the same, .nrrd", "volume", folder / "ct.nrrd"),
        ("the same, DICOM slices", "volume", slices),
        ("DX of 3000 x 3000", "radiograph", radiograph),
    ]


def write_slices(folder: Path, hu: np.ndarray) -> None:
    """Write a CT (z, y, x) as one DICOM file per slice, 1 x 1 x 2 mm."""
    series, frame = generate_uid(), generate_uid()
    for number, stored in enumerate(hu):
        a_dataset(
            CTImageStorage,
            stored,
            Modality="CT",
            SeriesInstanceUID=series,
            StudyInstanceUID=series,
            FrameOfReferenceUID=frame,
            InstanceNumber=number + 1,
            ImagePositionPatient=[0.0, 0.0, 2.0 * number],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            PixelSpacing=[1.0, 1.0],
            SliceThickness=2.0,
            RescaleSlope=1,
            RescaleIntercept=0,
        ).save_as(folder / f"{number:04d}.dcm", enforce_file_format=True)


if __name__ == "__main__":
    main()
