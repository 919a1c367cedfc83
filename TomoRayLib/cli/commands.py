"""The ``tomoray`` command."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.table import Table

from TomoRayLib import __version__
from TomoRayLib.base.errors import InputError, OutputError
from TomoRayLib.cli.display import escaped
from TomoRayLib.cli.options import (
    Device,
    Geometry,
    Isocenter,
    Json,
    Model,
    Number,
    OptionalPath,
    OptionalText,
    Out,
    Sad,
    Sid,
    Size,
    Spacing,
    console,
    finish,
)
from TomoRayLib.cli.training import learning_curves, publish, sample_sheet, train
from TomoRayLib.geometry.presets import PRESETS
from TomoRayLib.jobs.events import Emit, ExitCode, Finished, Note
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.synthesis.acquisition import GeometryOptions

app = typer.Typer(
    name="tomoray",
    help="Synthetic CT of the spine from two radiographs. Research use only, not for diagnosis.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

VIEW_NAMES = {"ap": "ap", "lat": "lat", "lateral": "lat"}


@app.command()
def synthesize(
    out: Out,
    ap: Annotated[OptionalPath, typer.Option(help="AP radiograph: DICOM, NRRD, PNG, TIFF.")] = None,
    lateral: Annotated[OptionalPath, typer.Option(help="Lateral radiograph, source at the patient's left.")] = None,
    ct: Annotated[OptionalPath, typer.Option(help="CT in HU instead: both radiographs are rendered from it.")] = None,
    segmentation: Annotated[OptionalPath, typer.Option(help="Vertebra labels of the CT, VerSe numbering.")] = None,
    geometry: Geometry = None,
    sad: Sad = None,
    sid: Sid = None,
    pixel_spacing: Spacing = None,
    size: Size = None,
    isocenter: Isocenter = None,
    flip_ap: Annotated[
        bool, typer.Option("--flip-ap", help="Mirror the AP image: in it, the patient's left is at the LEFT.")
    ] = False,
    flip_lateral: Annotated[
        bool, typer.Option("--flip-lateral", help="Mirror the lateral image: in it, posterior is at the LEFT.")
    ] = False,
    invert: Annotated[bool, typer.Option("--invert", help="Exchange dark and bright: bone must be bright.")] = False,
    model: Model = None,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="auto (bfloat16 where the processor has it) or float32.")] = "auto",
    fov: Annotated[float, typer.Option(help="Edge of the synthetic CT in mm: 256 or 192.")] = 256.0,
    quantisation: Annotated[str, typer.Option(help="Lookup table: linear or equal_frequency.")] = "linear",
    report: Annotated[bool, typer.Option(help="Write report.html and overview.png.")] = True,
    json: Json = False,
) -> None:
    """Make a synthetic CT from two radiographs, or from a CT and compare with it."""

    def work(emit: Emit) -> None:
        from TomoRayLib.jobs.synthesis import run_synthesis

        job = SynthesisJob(
            out=str(out),
            ap=_text(ap),
            lateral=_text(lateral),
            ct=_text(ct),
            segmentation=_text(segmentation),
            geometry=_geometry(geometry, sad, sid, pixel_spacing, size, isocenter),
            flip_ap=flip_ap,
            flip_lateral=flip_lateral,
            invert=invert,
            model=model,
            device=device,
            precision=precision,
            fov_mm=fov,
            quantisation=quantisation,
            report=report,
        )
        run_synthesis(job, emit)

    finish(work, json)


@app.command()
def project(
    ct: Annotated[Path, typer.Argument(help="CT in HU.")],
    out: Out,
    views: Annotated[list[str], typer.Option(help="Which views: ap, lat.", metavar="ap lat")] = ["ap", "lat"],  # noqa: B006
    geometry: Geometry = None,
    sad: Sad = None,
    sid: Sid = None,
    pixel_spacing: Spacing = None,
    size: Size = None,
    isocenter: Isocenter = None,
    angle: Annotated[
        list[float],
        typer.Option(help="Gantry angle instead of the two views: 0 AP, 90 lateral, 180 PA. Once for each view."),
    ] = [],  # noqa: B006
    tilt: Annotated[
        Number, typer.Option(help="Degrees that the source is moved towards the head (below 0: feet).")
    ] = None,
    roll: Annotated[Number, typer.Option(help="Degrees that the detector is turned clockwise in its plane.")] = None,
    offset: Annotated[
        Optional[tuple[float, float]],  # noqa: UP045
        typer.Option(help="Detector's middle off the central ray in mm: DOWN RIGHT.", metavar="DOWN RIGHT"),
    ] = None,
    beam: Annotated[OptionalText, typer.Option(help="cone, parallel, or slot: EOS, parallel along the body.")] = None,
    matrix: Annotated[
        OptionalPath,
        typer.Option(help="Text file of 3 x 4 matrices, LPS mm to (column, row, 1) * w, instead; needs --size."),
    ] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Trace every ray (Siddon): slow, no resampling.")] = False,
    energy_kev: Annotated[
        Number, typer.Option(help="Photon energy, 30 to 150 keV; without it water has plastimatch's 0.022 / mm.")
    ] = None,
    kvp: Annotated[
        Number, typer.Option(help="Tube voltage, 40 to 150 kV, instead: a spectrum through water and bone.")
    ] = None,
    filtration: Annotated[float, typer.Option(help="Aluminium in the beam in mm, with --kvp.")] = 2.5,
    scatter: Annotated[float, typer.Option(help="Scatter-to-primary ratio.")] = 0.0,
    photons: Annotated[Number, typer.Option(help="Photons a pixel without the patient: adds Poisson noise.")] = None,
    electronic_noise: Annotated[float, typer.Option(help="Standard deviation in photons, with --photons.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0,
    transmission: Annotated[
        bool, typer.Option("--transmission", help="Write the share that arrives, bone dark, instead of -ln of it.")
    ] = False,
    json: Json = False,
) -> None:
    """Render digitally reconstructed radiographs of a CT, of any geometry: line integrals as NRRD, and PNGs."""

    def work(emit: Emit) -> None:
        from TomoRayLib.jobs.synthesis import run_projection
        from TomoRayLib.synthesis.rendering import Exposure, PoseOptions

        unknown = sorted(set(views) - set(VIEW_NAMES))
        names = tuple(dict.fromkeys(VIEW_NAMES[view] for view in views if view in VIEW_NAMES))
        if unknown:
            raise InputError(f"Expected the views ap and lat, got {unknown}; choose among these.")
        exposure = Exposure(
            energy_kev=energy_kev,
            kvp=kvp,
            aluminium_mm=filtration,
            scatter_to_primary=scatter,
            photons=photons,
            electronic_sd_photons=electronic_noise,
            as_transmission=transmission,
            seed=seed,
        )
        run_projection(
            str(ct),
            str(out),
            _geometry(geometry, sad, sid, pixel_spacing, size, isocenter),
            names,
            emit,
            poses=PoseOptions(tuple(angle), tilt, roll, offset, beam, _text(matrix)),
            exposure=exposure,
            method="rays" if exact else "auto",
        )

    finish(work, json)


@app.command()
def demo(
    out: Out = Path("output/demo"),
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not download: the case kept from before, else the phantom.")
    ] = False,
    cache: Annotated[OptionalPath, typer.Option(help="Where downloads are kept.", envvar="TOMORAY_CACHE")] = None,
    model: Model = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Run the main job on the public demonstration case LIDC-IDRI-0001, a real CT no model was trained on."""

    def work(emit: Emit) -> None:
        from TomoRayLib.images.files import write_volume
        from TomoRayLib.jobs.demonstration import default_cache, fetch_demonstration
        from TomoRayLib.jobs.synthesis import run_synthesis

        folder = cache or default_cache(dict(os.environ))
        case = fetch_demonstration(folder, offline, lambda text: emit(Note(text)))
        note = f"{case.name}. {case.source}. Licence {case.licence}. {case.citation}"
        with tempfile.TemporaryDirectory(prefix="tomoray-") as temporary:
            paths = [case.ct_path, case.labels_path]
            if case.is_phantom or None in paths:
                paths = [Path(temporary) / "phantom_ct.nrrd", Path(temporary) / "phantom_labels.nrrd"]
                for path, volume in zip(paths, (case.ct, case.labels), strict=True):
                    write_volume(str(path), volume)
            job = SynthesisJob(
                out=str(out),
                ct=str(paths[0]),
                segmentation=str(paths[1]),
                model=model,
                device=device,
                title=case.name,
                demonstration_note=note,
            )
            del case
            run_synthesis(job, emit)

    finish(work, json)


@app.command()
def evaluate(
    folder: Annotated[
        Path,
        typer.Argument(help="Cases: VerSe, CTSpine1K or TotalSegmentator layout, or pairs of CT and segmentation."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the tables.")],
    cases: Annotated[OptionalPath, typer.Option(help="Text file of case names, one a line: only these.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep what is scored in the folder with the same model and settings.")
    ] = False,
    include_gl: Annotated[
        bool, typer.Option("--include-gl", help="Also VerSe's sub-gl images, which are CC BY-NC-ND.")
    ] = False,
    model: Model = None,
    geometry: Geometry = None,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="auto (bfloat16 where the processor has it) or float32.")] = "auto",
    fov: Annotated[float, typer.Option(help="Edge of the synthetic CT in mm: 256 or 192.")] = 256.0,
    quantisation: Annotated[str, typer.Option(help="Lookup table: linear or equal_frequency.")] = "linear",
    json: Json = False,
) -> None:
    """Score a cohort of CTs with vertebra segmentations: a table of every case, and mean, SD, median, IQR, n."""

    def work(emit: Emit) -> None:
        from TomoRayLib.jobs.evaluation import EvaluationJob, run_evaluation

        job = EvaluationJob(
            folder=str(folder),
            out=str(out),
            cases=_text(cases),
            include_gl=include_gl,
            resume=resume,
            model=model,
            device=device,
            precision=precision,
            fov_mm=fov,
            quantisation=quantisation,
            geometry=_geometry(geometry, None, None, None, None, None),
        )
        run_evaluation(job, emit)

    finish(work, json, "the cases scored so far are kept, --resume goes on from them")


@app.command()
def models(json: Json = False) -> None:
    """List the models, with licence and data."""

    def work(emit: Emit) -> None:
        from TomoRayLib.networks.registry import read_registry

        default, entries = read_registry()
        if json:
            emit(Finished({"default": default, "models": sorted(entries)}))
            return
        table = Table("model", "default", "field of view", "licence", "data")
        for entry in entries.values():
            data = "\n".join(f"{item['name']}: {item['use']}" for item in entry.data)
            table.add_row(entry.id, "*" if entry.id == default else "", f"{entry.fov_mm:.0f} mm", entry.licence, data)
        Console().print(table)

    finish(work, json)


app.command()(train)
app.command()(publish)
app.command(name="sample-sheet")(sample_sheet)
app.command(name="learning-curves")(learning_curves)


def _version(shown: bool) -> None:
    if shown:
        typer.echo(f"tomoray {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _geometry(
    geometry: str | None,
    sad: float | None,
    sid: float | None,
    pixel_spacing: tuple[float, float] | None,
    size: tuple[int, int] | None,
    isocenter: tuple[float, float, float] | None,
) -> GeometryOptions:
    preset = geometry if geometry in PRESETS else None
    return GeometryOptions(
        preset=preset,
        file=None if preset else geometry,
        sad_mm=sad,
        sid_mm=sid,
        pixel_spacing_mm=pixel_spacing,
        size=size,
        isocenter_mm=isocenter,
    )


def _spread(arguments: list[str]) -> list[str]:
    """``--views ap lat`` as ``--views ap --views lat``: an option that takes one name or both."""
    result: list[str] = []
    begun = without_name = False
    for word in arguments:
        if word == "--views":
            begun = without_name = True
        elif begun and word in VIEW_NAMES:
            result += ["--views", word]
            without_name = False
        else:
            result += ["--views", word] if without_name else [word]
            begun, without_name = word.startswith("--views="), False
    return [*result, "--views"] if without_name else result


def main() -> None:
    """Entry point of the ``tomoray`` command."""
    try:
        app(args=_spread(sys.argv[1:]), prog_name="tomoray")
    except (InputError, OutputError) as error:
        console.print(f"[bold red]Error[/] {escaped(str(error))}", highlight=False)
        sys.exit(ExitCode.INPUT)
