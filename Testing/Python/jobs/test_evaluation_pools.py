"""One cohort on one process, on local workers and on a cluster: equal tables, whatever dies on the way."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from distributed import Client

from support.command_line import tomoray
from support.dask_clusters import Cluster, a_cluster
from support.labelled_cts import written

# Shapes that are no copies of each other: 4, 2 and 1 vertebrae.
COHORT = {"sub-a": (20, 21, 22, 23), "sub-b": (20, 21), "sub-c": (20,)}


@pytest.fixture(scope="module")
def a_cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three cases that can be scored and a damaged one."""
    folder = tmp_path_factory.mktemp("cohort")
    for name, labels in COHORT.items():
        written(folder / f"{name}_ct.nii.gz", folder / f"{name}_seg.nii.gz", labels)
    written(folder / "sub-d_ct.nii.gz", folder / "sub-d_seg.nii.gz")
    content = (folder / "sub-d_ct.nii.gz").read_bytes()
    (folder / "sub-d_ct.nii.gz").write_bytes(content[: len(content) // 2])
    return folder


pytestmark = pytest.mark.usefixtures("small_network")


def evaluate(folder: Path, out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return tomoray("evaluate", str(folder), "--out", str(out), "--no-segment", "--precision", "float32", *more)


def tables(out: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(out.glob("*.csv"))}


@pytest.fixture(scope="module")
def of_one_process(a_cohort: Path, tiny_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("one") / "out"
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("TOMORAY_MODELS", str(tiny_models))
        result = evaluate(a_cohort, out, "--workers", "1")
    assert result.returncode == 0, result.stderr
    return out


def wait_until(condition: Callable[[], object], otherwise: str) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, otherwise
        time.sleep(0.01)


def run_disturbed(
    disturb: Callable[[Cluster, Path, subprocess.Popen[bytes]], bool],
    cohort: Path,
    folder: Path,
    models: Path,
    workers: int,
) -> tuple[Path, subprocess.Popen[bytes], str]:
    """Evaluate on a cluster that ``disturb`` does something to; again, up to five times, while it says that the run was
    quicker. Returns results folder, ended process and what it said."""
    for number in range(5):
        out = folder / f"out-{number}"
        with a_cluster(folder, workers=workers, environment={"TOMORAY_MODELS": str(models)}) as running:
            command = [sys.executable, "-m", "TomoRayLib.cli", "evaluate", str(cohort), "--out", str(out)]
            command += ["--no-segment", "--precision", "float32", "--scheduler", running.address]
            told = folder / f"told-{number}"
            with told.open("wb") as stream:
                process = subprocess.Popen([*command, "--json"], stderr=stream, stdout=stream)
            try:
                was_in_time = disturb(running, out, process)
                process.wait(timeout=120)
            finally:
                process.kill()
        if was_in_time:
            return out, process, told.read_text(encoding="utf-8")
    raise AssertionError("each of five runs was done before it was disturbed")


@pytest.mark.parametrize("workers", [2, 4])
def test_local_workers_give_the_same_tables_to_the_last_digit(
    a_cohort: Path, of_one_process: Path, tmp_path: Path, workers: int
) -> None:
    result = evaluate(a_cohort, tmp_path / "out", "--workers", str(workers), "--memory", "3")
    assert result.returncode == 0, result.stderr
    said = " ".join(result.stderr.split())
    assert f"{workers} workers on this machine, 1 thread and at most 3.0 GB of memory each" in said
    assert tables(tmp_path / "out") == tables(of_one_process)
    assert "sub-d" in tables(of_one_process)["not_scored.csv"]


def test_a_cluster_whose_worker_dies_gives_the_same_tables(
    a_cohort: Path, of_one_process: Path, tmp_path: Path, tiny_models: Path
) -> None:
    """The worker is killed as soon as it has begun."""

    def kill(running: Cluster, out: Path, process: subprocess.Popen[bytes]) -> bool:
        with Client(running.address, timeout="60s") as client:
            wait_until(
                lambda: (
                    [bool(tasks) for tasks in client.processing().values()] == [True, True]
                    or process.poll() is not None
                ),
                "the workers do not have a case each",
            )
        running.workers[0].kill()
        return process.poll() is None

    out, process, told = run_disturbed(kill, a_cohort, tmp_path, tiny_models, workers=2)
    assert process.returncode == 0, told
    assert tables(out) == tables(of_one_process)


def test_a_lost_scheduler_is_told_the_done_is_in_the_tables_and_resume_goes_on(
    a_cohort: Path, of_one_process: Path, tmp_path: Path, tiny_models: Path
) -> None:
    def kill(running: Cluster, out: Path, process: subprocess.Popen[bytes]) -> bool:
        wait_until(lambda: list((out / "cases").glob("*.json")), "no case was done")
        running.scheduler.kill()
        process.wait(timeout=120)
        return len(list((out / "cases").glob("*.json"))) < len(list((of_one_process / "cases").glob("*.json")))

    out, process, told = run_disturbed(kill, a_cohort, tmp_path, tiny_models, workers=1)
    assert process.returncode == 2, told
    last = json.loads(told.splitlines()[-1])
    assert "is gone after" in last["message"]
    assert "resume" in last["message"]
    with (out / "cases.csv").open(newline="", encoding="utf-8") as stream:
        done = {line["case"] for line in csv.DictReader(stream)}
    assert done
    assert done <= set(COHORT)
    result = evaluate(a_cohort, out, "--workers", "1", "--resume")
    assert result.returncode == 0, result.stderr
    assert tables(out) == tables(of_one_process)


def test_stages_that_runs_share_are_made_once(a_cohort: Path, of_one_process: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shutil.copytree(of_one_process / "stages", shared)
    result = evaluate(a_cohort, tmp_path / "out", "--workers", "1", "--stages", str(shared))
    assert result.returncode == 0, result.stderr
    assert "3 cases were computed before" in " ".join(result.stderr.split())
    assert not (tmp_path / "out" / "stages").exists()
    assert tables(tmp_path / "out") == tables(of_one_process)


def test_two_models_predictions_and_an_earlier_run_are_compared(
    a_cohort: Path, of_one_process: Path, tmp_path: Path
) -> None:
    """TomoRay's own results as another method's, one of them of no case; and the run from before."""
    theirs = tmp_path / "theirs"
    for name in ("sub-a", "sub-b"):
        result = tomoray(
            "synthesize", "--ct", str(a_cohort / f"{name}_ct.nii.gz"), "--segmentation",
            str(a_cohort / f"{name}_seg.nii.gz"), "--out", str(theirs / name), "--no-report", "--precision", "float32",
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
    shutil.copytree(theirs / "sub-a", theirs / "nobody")
    (theirs / "predictions.toml").write_text('like = "tomoray"\nname = "theirs"\n')
    out = tmp_path / "out"
    more = ("--workers", "1", "--predictions", str(theirs), "--model", "geolift-s", "--against", str(of_one_process))
    result = evaluate(a_cohort, out, *more, "--strict")
    assert result.returncode == 5, result.stderr
    with (out / "cases.csv").open(newline="", encoding="utf-8") as stream:
        lines = {(line["case"], line["row"]): line for line in csv.DictReader(stream)}
    for name in ("sub-a", "sub-b"):
        mine, other = lines[name, "tomoray"], lines[name, "theirs"]
        assert float(other["dice"]) == pytest.approx(float(mine["dice"]), abs=1e-6)
        assert float(other["cosine_similarity"]) == pytest.approx(float(mine["cosine_similarity"]), abs=1e-3)
        assert lines[name, "tomoray (out)"]["dice"] == mine["dice"]
    assert ("sub-c", "theirs") not in lines
    with (out / "not_scored.csv").open(newline="", encoding="utf-8") as stream:
        reasons = {line["name"]: line["reason"] for line in csv.DictReader(stream)}
    assert reasons["sub-c"].startswith("theirs: Expected the prediction of theirs")
    assert "1 predictions belong to no case" in " ".join(result.stderr.split())
    tests = json.loads((out / "summary.json").read_text(encoding="utf-8"))["tests"]
    assert {(one["first"], one["second"]) for one in tests} >= {("tomoray", "theirs"), ("theirs", "mean_atlas")}


def test_people_that_a_model_knows_are_refused_by_name_and_by_shape(a_cohort: Path, tmp_path: Path) -> None:
    """sub-verse014 is in the registry of the small model, too; a copy in the cohort is told as well."""
    folder = tmp_path / "cohort"
    folder.mkdir()
    for kind in ("ct", "seg"):
        shutil.copy(a_cohort / f"sub-b_{kind}.nii.gz", folder / f"sub-verse014_{kind}.nii.gz")
        shutil.copy(a_cohort / f"sub-a_{kind}.nii.gz", folder / f"first_{kind}.nii.gz")
        shutil.copy(a_cohort / f"sub-a_{kind}.nii.gz", folder / f"second_{kind}.nii.gz")
    result = evaluate(folder, tmp_path / "out", "--workers", "1")
    assert result.returncode == 0, result.stderr
    with (tmp_path / "out" / "not_scored.csv").open(newline="", encoding="utf-8") as stream:
        lines = list(csv.DictReader(stream))
    reasons = {line["name"]: line["reason"] for line in lines}
    assert {line["what"] for line in lines} == {"refused"}
    assert reasons["sub-verse014"].startswith("geolift-s was trained on this person: ")
    assert "same labelled spine as first" in reasons["second"]
    assert "1 case scored, 0 failed, 2 not scored on purpose" in " ".join(result.stdout.split())
    result = evaluate(folder, tmp_path / "out", "--workers", "1", "--include-seen", "--resume")
    assert "1 of 2 scored cases show people that a method was trained or chosen on" in " ".join(result.stderr.split())
    with (tmp_path / "out" / "cases.csv").open(newline="", encoding="utf-8") as stream:
        known = {line["case"]: line["known"] for line in csv.DictReader(stream)}
    assert known == {"first": "", "sub-verse014": "geolift-s was trained on this person"}
    assert json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))["n_cases"] == 1
    before = {path: path.read_bytes() for path in sorted((tmp_path / "out").rglob("*")) if path.is_file()}
    names = tmp_path / "names.txt"
    names.write_text("sub-verse014\n", encoding="utf-8")
    result = evaluate(folder, tmp_path / "out", "--workers", "1", "--cases", str(names))
    assert result.returncode == 2
    assert "are left as they were" in " ".join(result.stderr.split())
    assert {path: path.read_bytes() for path in sorted((tmp_path / "out").rglob("*")) if path.is_file()} == before


def test_a_full_disk_leaves_the_tables_of_what_is_done(a_cohort: Path, of_one_process: Path, tmp_path: Path) -> None:
    """A file system of its own that holds the reserve and little else."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=56m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a file system of its own cannot be mounted here")
    try:
        with (place / "filler").open("wb") as filler:
            filler.truncate()
        # The check asks for 50 MB; all but the reserve is taken as soon as that is held.
        code = (
            "import sys, pathlib\n"
            "from TomoRayLib.cli import start\n"
            "from TomoRayLib.jobs import evaluation\n"
            "place = pathlib.Path(sys.argv.pop(1))\n"
            "class Filling(evaluation.DiskReserve):\n"
            "    def __init__(self, *given):\n"
            "        super().__init__(*given)\n"
            "        with (place / 'filler').open('wb', buffering=0) as file:\n"
            "            try:\n"
            "                while True: file.write(b'x' * 65536)\n"
            "            except OSError: pass\n"
            "evaluation.DiskReserve = Filling\n"
            "start.run()\n"
        )
        command = [sys.executable, "-c", code, str(place), "evaluate", str(a_cohort), "--out", str(place / "out")]
        command += ["--no-segment", "--precision", "float32", "--workers", "1"]
        result = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, timeout=300)
        assert result.returncode == 0, result.stderr
        assert "full disk" in " ".join(result.stderr.split())
        assert tables(place / "out") == tables(of_one_process)
    finally:
        subprocess.run(["umount", str(place)], check=True)
