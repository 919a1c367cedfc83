"""The commands of ``tomoray`` that train, publish and draw training. ``cli`` registers them."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from TomoRayLib.base.errors import InputError, OutputError
from TomoRayLib.cli.options import OptionalPath, WholeNumber
from TomoRayLib.cli.running import console, finish
from TomoRayLib.jobs.events import Emit

KEPT_IN_THE_RUN = "what the run has saved stays, and the same command goes on from there"
LIBRARY = Path(__file__).resolve().parents[1]
IN_A_CONFIGURATION = {  # what takes the place of each option of ``train`` that is not for a CONFIG
    "minutes": "minutes in [stages.training]",
    "watch": "cohorts and held_out in [data]",
    "seed": "seed in [stages.training] and [stages.stream]",
    "start_from": "start_from in [stages.training]",
    "stages": "a table [[stages]] for each",
    "workers": "workers in [stages.training]",
}


def train(
    context: typer.Context,
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
    workers: Annotated[
        WholeNumber, typer.Option(help="Processes that make samples. [1; on a GPU all cores but one, or 0]")
    ] = None,
) -> None:
    """Train on phantoms and real CTs by a configuration, or, without one, the shipped weights' recipe on phantoms.

    A CONFIG takes --data and --out alone beside it: it sets all the rest. The same command goes on with a run that was
    stopped. Needs the extra 'train'.
    """

    def work(emit: Emit) -> None:
        try:
            from TomoRayLib.training.config import read_config
            from TomoRayLib.training.data.licences import recorded_sources
            from TomoRayLib.training.engine.processes import is_first_process
            from TomoRayLib.training.recipe import train_first_weights
            from TomoRayLib.training.run import run_config
        except ImportError as error:
            raise InputError(f"Training needs the extra 'train' ({error}); in a checkout: make setup.") from None
        with _faults_of_input():
            report = console.print if is_first_process(os.environ) else _say_nothing
            if out is None:
                raise InputError("Expected a folder for the run, got none; give it as --out FOLDER.")
            if config is not None:
                _refuse_beside_a_configuration(_given(context))
            if start_from is not None:
                recorded_sources(start_from)  # one that cannot be read is told before anything is made
            if config is not None:
                run_config(read_config(config), data or config.resolve().parent, out, report)
            elif data is None:
                raise InputError("Expected a configuration (tomoray train CONFIG) or --data, got neither; give one.")
            else:
                watched = [_watched(case) for case in watch]
                names = tuple(stages.split(","))
                train_first_weights(data, out, minutes, watched, seed, report, start_from, names, workers)

    finish(work, False, KEPT_IN_THE_RUN)


def publish(
    checkpoints: Annotated[
        list[Path],
        typer.Argument(
            help="A run's last.ckpt; of several, or of these and published weights (.safetensors), the mean."
        ),
    ],
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
        from TomoRayLib.report.drawing import png_bytes
        from TomoRayLib.training.data.anatomy import load_anatomy
        from TomoRayLib.training.data.labelled_cts import load_labelled_ct
        from TomoRayLib.training.data.training_cases import find_labelled_cts
        from TomoRayLib.training.pictures import sample_sheet as drawn_sheet

        with _faults_of_input():
            cases = [load_labelled_ct(case) for folder in real for case in find_labelled_cts(folder)[0]]
            training, _ = load_anatomy(data).split()  # what training draws from: no held-out spine
            picture = drawn_sheet(training, cases, count, seed)
        _write_picture(out, png_bytes(picture))

    finish(work, False)


def learning_curves(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    out: Annotated[Path, typer.Option(help="The picture (PNG).")],
    score: Annotated[str, typer.Option(help="A column of validation.csv.")] = "cosine_similarity",
) -> None:
    """Draw a run's validation scores over its minutes."""

    def work(emit: Emit) -> None:
        from TomoRayLib.report.drawing import png_bytes
        from TomoRayLib.training.pictures import learning_curves as drawn_curves

        with _faults_of_input():
            picture = drawn_curves(run, score)
        _write_picture(out, png_bytes(picture))

    finish(work, False)


def _write_picture(path: Path, content: bytes) -> None:
    from TomoRayLib.base.files import write_atomically

    with write_atomically(path) as partial:
        partial.write_bytes(content)
    console.print(f"{path} is written.")


def _say_nothing(line: str) -> None:
    """The report of every process but the first."""


@contextmanager
def _faults_of_input() -> Iterator[None]:
    """What a user can act on as InputError: values that TomoRay refuses, and files that cannot be opened.

    Any other ValueError goes through as it is: it is a fault of the program, which is reported with its traceback.
    """
    try:
        yield
    except (InputError, OutputError):
        raise
    except ValueError as error:
        if not _is_refusal(error):
            raise
        raise InputError(str(error)) from error
    except OSError as error:
        if error.filename is None:
            raise
        raise InputError(f"Expected a file to read or write in {error.filename}, got: {error.strerror}.") from None


def _is_refusal(error: ValueError) -> bool:
    """True where a ``raise`` of TomoRay made the error, and so wrote its sentence for the user.

    What numpy, torch or Python itself raise, called from TomoRay or not, was not foreseen.
    """
    *_, last = traceback.extract_tb(error.__traceback__)
    return Path(last.filename).resolve().is_relative_to(LIBRARY) and (last.line or "").startswith("raise ")


def _given(context: typer.Context) -> list[str]:
    """The options that are not for a CONFIG and were typed, be it with their default value."""
    sources = {name: context.get_parameter_source(name) for name in IN_A_CONFIGURATION}
    return [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]


def _refuse_beside_a_configuration(given: Iterable[str]) -> None:
    """Raises InputError where options are ``given`` (by parameter) that a configuration has keys for."""
    keys = {f"--{name.replace('_', '-')}": IN_A_CONFIGURATION[name] for name in given}
    if keys:
        raise InputError(
            f"Expected a configuration with --data and --out alone beside it, got {', '.join(keys)} as well; leave out "
            + "; ".join(f"{option} and set {key}" for option, key in keys.items())
            + "."
        )


def _watched(case: str) -> tuple[str, Path, Path]:
    name, _, files = case.partition("=")
    paths = [Path(path) for path in files.split(",")]
    if not name or len(paths) != 2:
        raise InputError(f"Expected --watch NAME=CT,LABELS with two file paths, got {case!r}.")
    return name, paths[0], paths[1]
