"""The commands of ``tomoray`` that train, publish and draw training. ``cli`` registers them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from TomoRayLib.cli_options import OptionalPath, console, finish
from TomoRayLib.errors import InputError, OutputError
from TomoRayLib.progress import Emit


def train(
    config: Annotated[OptionalPath, typer.Argument(help="A run as a TOML file, see docs/training.md.")] = None,
    data: Annotated[
        OptionalPath, typer.Option(help="Folder that CONFIG's data paths start from; else with labelmaps/ and bodies/.")
    ] = None,
    out: Annotated[OptionalPath, typer.Option(help="Folder of the run.")] = None,
    minutes: Annotated[float, typer.Option(help="Budget for all stages together.")] = 85.0,
    watch: Annotated[
        list[str],  # each NAME=CT,LABELS
        typer.Option(help="Real labelled CT to score at every validation, never trained on.", metavar="NAME=CT,LABELS"),
    ] = [],  # noqa: B006
    seed: Annotated[int, typer.Option(help="Seed of phantoms and weights.")] = 1,
    start_from: Annotated[
        OptionalPath, typer.Option(help="Checkpoint of an earlier run, or weights, to go on from.")
    ] = None,
    stages: Annotated[str, typer.Option(help="Which stages to train, by edge in voxels.")] = "48,96,192",
    workers: Annotated[int, typer.Option(help="Processes that make samples; 0 for none but the training's own.")] = 1,
) -> None:
    """Train on phantoms and real CTs by a configuration, or, without one, the shipped weights' recipe on phantoms.

    The same command goes on with a run that was stopped. Needs the extra 'train'.
    """

    def work(emit: Emit) -> None:
        try:
            from TomoRayLib.training.config import read_config
            from TomoRayLib.training.experiment import run_config
            from TomoRayLib.training.recipe import train_first_weights
            from TomoRayLib.training.sources import recorded_sources
        except ImportError as error:
            raise InputError(f"Training needs the extra 'train' ({error}); in a checkout: make setup.") from None
        with _faults_of_input():
            if out is None:
                raise InputError("Expected a folder for the run, got none; give it as --out FOLDER.")
            if start_from is not None:
                recorded_sources(start_from)  # one that cannot be read is told before anything is made
            if config is not None:
                run_config(read_config(config), data or config.resolve().parent, out, console.print)
            elif data is None:
                raise InputError("Expected a configuration (tomoray train CONFIG) or --data, got neither; give one.")
            else:
                watched = [_watched(case) for case in watch]
                names = tuple(stages.split(","))
                train_first_weights(data, out, minutes, watched, seed, console.print, start_from, names, workers)

    finish(work, False)


def publish(
    checkpoints: Annotated[list[Path], typer.Argument(help="A run's last.ckpt; of several the mean is published.")],
    data: Annotated[Path, typer.Option(help="The data it was trained on, for the atlas and the lookup table.")],
    command: Annotated[str, typer.Option(help="The training command, for the registry.")],
    model: Annotated[str, typer.Option(help="Model id in the registry.")] = "geolift-s",
) -> None:
    """Put trained weights, their mean atlas and their registry entry into Resources/Models."""

    def work(emit: Emit) -> None:
        try:
            from TomoRayLib.training.publishing import publish_model
        except ImportError as error:
            raise InputError(f"Publishing needs the extra 'train' ({error}); in a checkout: make setup.") from None
        with _faults_of_input():
            publish_model(checkpoints, data, command, model, console.print)

    finish(work, False)


def sample_sheet(
    data: Annotated[Path, typer.Option(help="Folder with labelmaps/ and bodies/.")],
    out: Annotated[Path, typer.Option(help="The picture (PNG).")],
    real: Annotated[
        list[Path],
        typer.Option(help="Folder of labelled CTs to show beside the phantoms."),
    ] = [],  # noqa: B006
    count: Annotated[int, typer.Option(help="How many phantoms.")] = 24,
    seed: Annotated[int, typer.Option(help="Seed of the phantoms.")] = 1,
) -> None:
    """Draw random training phantoms, DRRs and slices, beside real CTs."""

    def work(emit: Emit) -> None:
        from TomoRayLib.drawing import png_bytes
        from TomoRayLib.files import write_atomically
        from TomoRayLib.training.cohort import find_cases, load_case
        from TomoRayLib.training.datasets import load_anatomy
        from TomoRayLib.training.pictures import sample_sheet as drawn_sheet

        with _faults_of_input():
            cases = [load_case(files) for folder in real for files in find_cases(folder).cases]
            picture = drawn_sheet(load_anatomy(data), cases, count, seed)
        with write_atomically(out) as partial:
            partial.write_bytes(png_bytes(picture))

    finish(work, False)


def learning_curves(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    out: Annotated[Path, typer.Option(help="The picture (PNG).")],
    score: Annotated[str, typer.Option(help="A column of validation.csv.")] = "cosine_similarity",
) -> None:
    """Draw a run's validation scores over its minutes."""

    def work(emit: Emit) -> None:
        from TomoRayLib.drawing import png_bytes
        from TomoRayLib.files import write_atomically
        from TomoRayLib.training.pictures import learning_curves as drawn_curves

        with _faults_of_input():
            picture = drawn_curves(run, score)
        with write_atomically(out) as partial:
            partial.write_bytes(png_bytes(picture))

    finish(work, False)


@contextmanager
def _faults_of_input() -> Iterator[None]:
    """What a user can act on as InputError: values that do not fit, and files that are missing or cannot be opened."""
    try:
        yield
    except OutputError:
        raise
    except ValueError as error:
        raise InputError(str(error)) from None
    except OSError as error:
        if error.filename is None:
            raise
        raise InputError(f"Expected a file to read or write in {error.filename}, got: {error.strerror}.") from None


def _watched(case: str) -> tuple[str, Path, Path]:
    name, _, files = case.partition("=")
    paths = [Path(path) for path in files.split(",")]
    if not name or len(paths) != 2:
        raise InputError(f"Expected --watch NAME=CT,LABELS with two file paths, got {case!r}.")
    return name, paths[0], paths[1]
