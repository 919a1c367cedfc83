"""A run of the CT segmenter's training as a TOML file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from TomoRayLib.base.toml_files import read_toml
from TomoRayLib.training.config_file import DataConfig
from TomoRayLib.training.data.scenes_of_cts import read_pair
from TomoRayLib.training.run import find_data
from TomoRayLib.training.segmenter.crops import CropConfig
from TomoRayLib.training.segmenter.trainer import SegmenterTraining, train_segmenter
from TomoRayLib.training.segmenter.validation import segmenter_case


@dataclass(frozen=True)
class SegmenterRun:
    """Where the data is, how crops are drawn from it, and how the network is trained."""

    data: DataConfig
    training: SegmenterTraining = field(default_factory=SegmenterTraining)
    crops: CropConfig = field(default_factory=CropConfig)


def run_segmenter(
    config: Path, folder: Path, out: Path, minutes: float | None = None, report: Callable[[str], None] = print
) -> Path:
    """Train the CT segmenter as a configuration says, going on from ``out`` if it holds a run.

    Args:
        config: The TOML file, with tables ``data``, ``training`` and ``crops``.
        folder: The folder that its paths start from.
        out: Folder of the run.
        minutes: The budget, in place of the configuration's.
        report: Receives lines on data, progress and scores.

    Returns:
        The checkpoint's path.

    Raises:
        InputError: A file, a setting or the data cannot be used.
        OutputError: ``out`` cannot be written.
    """
    run = read_toml(SegmenterRun, config)
    training = run.training if minutes is None else replace(run.training, minutes=minutes)
    if training.start_from is not None:
        training = replace(training, start_from=str(folder / training.start_from))
    found = find_data(run.data, folder, report)
    cases = [segmenter_case(case.name, *read_pair(case)) for case in found.scored]
    return train_segmenter(training, run.crops, found.training, cases, out, report)
