"""Bad input and bad luck at the panel: each ends in a sentence with a remedy, never in an error on the console."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from support import panel_driver as drive
from support.broken_environments import Environment
from support.slicer_data import add_radiograph, add_volume, oblique_case
from support.tiny_model import worker_code

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="signals and executables of POSIX")


REAL_WORKER = """
import sys
from TomoRayLib.worker import main
sys.exit(main([sys.argv[-1]]))
"""


def said_after_a_run(panel) -> str:
    drive.click(panel.ui.synthesizeButton)
    said = drive.wait_for_end(panel)
    assert panel.ui.synthesizeButton.text == "Synthesize"
    assert not panel.ui.progressBar.visible
    assert drive.temporary_folders() == []
    return said


# Nodes that cannot be what they are chosen as


def test_names_of_files_in_messages_are_no_markup(panel) -> None:
    """Qt takes a text that begins with a tag for HTML, unless it is told that it is none."""
    import qt

    for label in (panel.ui.statusLabel, panel.ui.acquisitionLabel):
        assert label.textFormat == qt.Qt.PlainText


def test_every_button_on_an_empty_scene_does_nothing_or_says_why(panel) -> None:
    panel.panel.synthesize_or_cancel()
    assert "Choose the AP radiograph." in drive.status(panel)
    panel.panel.sources.render_radiographs()
    assert "Choose the AP radiograph." in drive.status(panel)
    panel.panel.sources.segment_vertebrae()
    assert drive.status(panel) == "Choose the CT."
    panel.panel.compare.open_report()
    assert panel.panel.compare.export_scores() is None


def test_a_volume_under_a_warp_is_refused_with_the_way_out(ready) -> None:
    import slicer
    import vtk

    warp = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "breathing")
    field = vtk.vtkThinPlateSplineTransform()
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    for corner in np.ndindex(2, 2, 2):
        point = np.array(corner) * 100.0
        source.InsertNextPoint(point)
        target.InsertNextPoint(np.add(point, (5.0 * corner[0] * corner[1], 0, 0)))
    field.SetSourceLandmarks(source)
    field.SetTargetLandmarks(target)
    field.SetBasisToR()
    warp.SetAndObserveTransformToParent(field)
    ready.ui.ctSelector.currentNode().SetAndObserveTransformNodeID(warp.GetID())
    drive.settle()
    said = drive.status(ready)
    assert "CT is under the non-linear transform breathing" in said
    assert "Harden" in said or "harden" in said
    assert not ready.ui.synthesizeButton.enabled
    assert ready.ui.synthesizeButton.toolTip == said


def test_colour_and_4d_volumes_are_not_offered_or_refused(panel) -> None:
    import slicer
    import vtk

    colour = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "photograph")
    image = vtk.vtkImageData()
    image.SetDimensions(70, 80, 1)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    colour.SetAndObserveImageData(image)
    grey_in_name_only = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "three values")
    grey_in_name_only.SetAndObserveImageData(image)
    series = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "4D CT")
    for selector in (panel.ui.apSelector, panel.ui.ctSelector):
        selector.setCurrentNode(colour)
        assert selector.currentNode() is not colour
        selector.setCurrentNode(series)
        assert selector.currentNode() is not series
    drive.choose_radiographs(panel, grey_in_name_only, None)
    assert "three values has 3 values in each" in drive.status(panel)


def test_ct_and_radiograph_exchanged(panel) -> None:
    ct, _labels = oblique_case()
    volume = add_volume(ct, "CT")
    picture = add_radiograph(np.ones((80, 90)), "AP", (1.4, 1.4))
    drive.choose_radiographs(panel, volume, picture)
    assert "CT has 72 slices" in drive.status(panel)
    drive.choose_ct(panel, picture)
    assert "AP" in drive.status(panel)
    assert "choose Two radiographs" in drive.status(panel)


@pytest.mark.slow
def test_the_segmentation_of_another_patient(ready) -> None:
    """Its vertebrae lie half a metre away from this CT."""
    import slicer
    import vtk

    move = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "another patient")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 600.0)
    move.SetMatrixTransformToParent(matrix)
    ready.ui.segmentationSelector.currentNode().SetAndObserveTransformNodeID(move.GetID())
    drive.settle()
    said = said_after_a_run(ready)
    assert "has no vertebra inside the CT CT" in said
    assert "another patient" in said


def test_a_ct_of_fractions_is_no_ct(panel) -> None:
    ct, _labels = oblique_case()
    from TomoRayLib.images.types import Volume

    scaled = Volume((ct.voxels.astype(np.float32) + 1000) / 4000, ct.grid)
    drive.choose_ct(panel, add_volume(scaled, "normalised"))
    said = said_after_a_run(panel)
    assert "HU" in said


# The worker in trouble


@posix_only
def test_a_worker_that_is_killed(ready) -> None:
    drive.click(ready.ui.synthesizeButton)
    (worker,) = psutil.Process().children()
    os.kill(worker.pid, signal.SIGKILL)
    said = drive.wait_for_end(ready)
    assert said.startswith("The worker was terminated by the operating system")
    assert "Close other programs" in said
    assert drive.node_names() == {"CT", "vertebrae"}
    assert drive.temporary_folders() == []


@posix_only
def test_a_worker_that_is_killed_behind_slicers_launcher(ready, a_python_slicer) -> None:
    """PythonSlicer is a launcher: if its child is killed it says so and ends with code 1 itself."""
    a_python_slicer(
        """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-m", "TomoRayLib.worker", sys.argv[-1]], stdin=0)
if child.wait() < 0:
    print(f"error: [{sys.executable}] exit abnormally - Report the problem.", file=sys.stderr)
    sys.exit(1)
sys.exit(child.returncode)
"""
    )
    drive.click(ready.ui.synthesizeButton)
    (launcher,) = psutil.Process().children()
    drive.host().wait_until(launcher.children, 20)
    os.kill(launcher.children()[0].pid, signal.SIGKILL)
    assert drive.wait_for_end(ready).startswith("The worker was terminated by the operating system")


@posix_only
def test_a_worker_that_crashes_leaves_its_log(ready, a_python_slicer) -> None:
    a_python_slicer("import sys; print('libcudnn is not what it was', file=sys.stderr); sys.exit(77)")
    said = said_after_a_run(ready)
    assert "exit code 77" in said
    assert "log under Advanced" in said
    assert "libcudnn is not what it was" in ready.ui.logText.plainText


@posix_only
def test_torch_is_missing(ready, a_python_slicer, tmp_path: Path) -> None:
    """The real worker in a Python without torch."""
    environment = Environment(tmp_path / "without torch", own=("safetensors",))
    a_python_slicer(REAL_WORKER, environment.python)
    said = said_after_a_run(ready)
    assert said.startswith("PyTorch is not installed in Slicer.")
    assert "Install the extension PyTorch" in said


@posix_only
@pytest.mark.slow
@pytest.mark.parametrize("device", ["auto", "cuda:0"])
def test_too_little_gpu_memory_offers_the_cpu_and_the_cpu_does_it(
    ready, a_python_slicer, tiny_models, slicer_host, device: str
) -> None:
    """The worker ends as PyTorch does on a full GPU unless it is asked for the CPU; then it is the real one."""
    a_python_slicer(
        """
import json, sys
if json.load(open(sys.argv[-1]))["device"] != "cpu":
    from TomoRayLib.worker import print_event, run_guarded
    def work(): raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    sys.exit(run_guarded(work, print_event))
"""
        + worker_code(tiny_models)
    )
    ready.ui.advancedSection.collapsed = False
    ready.panel.parameters.device = device
    import qt

    slicer_host.dialogs.answer(qt.QMessageBox.No)
    said = said_after_a_run(ready)
    assert said.startswith("The GPU has too little free memory")
    assert "Choose CPU under Advanced" in said
    slicer_host.dialogs.answer(qt.QMessageBox.Yes)
    assert said_after_a_run(ready).startswith("Done")
    assert "on the CPU instead?" in slicer_host.dialogs[-1].text
    assert ready.panel.parameters.device == "cpu"


@posix_only
@pytest.mark.parametrize(
    ("raised", "said_first"),
    [
        ("CUDA error: no kernel image is available for execution on the device", "This PyTorch has no code for"),
        ("The NVIDIA driver on your system is too old (found version 11040)", "The GPU's driver is missing, too old"),
        ("CUDA error: device-side assert triggered", "The GPU has failed."),
        ("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", "The GPU has failed."),
    ],
)
def test_every_error_of_a_gpu_offers_the_cpu(ready, a_python_slicer, slicer_host, raised: str, said_first: str) -> None:
    import qt

    a_python_slicer(
        f"""
import sys
from TomoRayLib.worker import print_event, run_guarded
def work(): raise RuntimeError({raised!r})
sys.exit(run_guarded(work, print_event))
"""
    )
    slicer_host.dialogs.answer(qt.QMessageBox.No)
    said = said_after_a_run(ready)
    assert said.startswith(said_first)
    assert "Choose CPU under Advanced" in said
    assert "on the CPU instead?" in slicer_host.dialogs[-1].text
    assert raised in ready.ui.logText.plainText
    assert not ready.ui.repairButton.visible


# The disk in trouble


def test_a_temporary_folder_that_cannot_be_used(ready, slicer_host, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "temp").write_text("a file where the folder should be")
    monkeypatch.setattr(slicer_host.app, "_folder", tmp_path)
    drive.click(ready.ui.synthesizeButton)
    said = drive.wait_for_end(ready)
    assert said.startswith("The temporary folder cannot be used")
    assert "another temporary folder" in said


@pytest.fixture
def a_small_disk(tmp_path: Path):
    """A file system of 420 MB of its own, mounted; skips if that is not allowed."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=420M", "tmpfs", str(place)], capture_output=True, check=False
        )
        if sys.platform == "linux"
        else None
    )
    if mounted is None or mounted.returncode != 0:
        pytest.skip("no right to mount a small file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=False)


def fill(place: Path, leave_mb: int) -> None:
    """Write into a file system until only so much is free."""
    free = os.statvfs(place)
    size = free.f_bavail * free.f_frsize - leave_mb * 2**20
    (place / "someone else's").write_bytes(bytes(size))


def test_a_disk_without_room_is_noticed_before_the_run(ready, slicer_host, a_small_disk: Path, monkeypatch) -> None:
    fill(a_small_disk, 100)
    monkeypatch.setattr(slicer_host.app, "_folder", a_small_disk)
    said = said_after_a_run(ready)
    assert "MB free, but this needs" in said
    assert "another temporary folder in Slicer's settings" in said


@pytest.mark.slow
def test_a_disk_that_fills_up_during_the_run(
    ready, slicer_host, a_small_disk: Path, monkeypatch, request: pytest.FixtureRequest
) -> None:
    before = drive.node_names()
    monkeypatch.setattr(slicer_host.app, "_folder", a_small_disk)
    drive.click(ready.ui.synthesizeButton)
    drive.wait_for_stage(ready, "Synthesizing")
    fill(a_small_disk, 0)
    said = drive.wait_for_end(ready)
    assert "space" in said.lower()
    assert "Traceback" not in said
    assert drive.node_names() == before
    assert drive.temporary_folders() == []
    (a_small_disk / "someone else's").unlink()
    request.getfixturevalue("tiny_worker")
    assert said_after_a_run(ready).startswith("Done")


def test_scores_into_a_place_that_cannot_be_written(panel, slicer_host, tmp_path: Path) -> None:
    """The export says it in the panel, and writes nothing."""
    from support.results_folders import write_results
    from TomoRayLib.slicer.scene.case_nodes import add_case

    case = add_case(write_results(tmp_path / "results"), "case")
    panel.panel.parameters.currentCase = case.synthetic
    drive.settle()
    (tmp_path / "file").write_text("not a folder")
    slicer_host.dialogs.answer_file(tmp_path / "file" / "scores.csv")
    drive.click(panel.ui.exportButton)
    assert str(tmp_path / "file") in drive.status(panel)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "not a folder"


def test_a_result_that_was_deleted_is_no_longer_shown(panel, slicer_host, tmp_path: Path) -> None:
    import slicer

    from support.results_folders import write_results
    from TomoRayLib.slicer.scene.case_nodes import add_case

    case = add_case(write_results(tmp_path / "results"), "case")
    panel.panel.parameters.currentCase = case.synthetic
    drive.settle()
    assert panel.ui.compareSection.enabled
    slicer.mrmlScene.RemoveNode(case.truth_surface)  # a part of it: the rest stays usable
    drive.settle()
    assert panel.ui.compareSection.enabled
    assert not panel.ui.truthSlider.enabled
    slicer.mrmlScene.RemoveNode(case.synthetic)
    drive.settle()
    assert not panel.ui.compareSection.enabled
    assert not panel.ui.metricsTable.visible
