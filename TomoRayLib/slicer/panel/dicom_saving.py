"""Save as DICOM: the current case as a series and a Segmentation object in a folder of the user's choice."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

from TomoRayLib.slicer.extensions import installation
from TomoRayLib.slicer.panel.panel import Panel

FOLDER = "TomoRay_DICOM"  # in the folder that the user chooses


def _unused(folder: Path) -> Path:
    """The folder, or one with a number behind its name: the files of another case are never replaced."""
    numbered = (folder.with_name(f"{folder.name}_{number}") for number in count(2))
    return folder if not folder.exists() else next(one for one in numbered if not one.exists())


class DicomSaving:
    """Adds its button to those of the Compare section, which is enabled while there is a case.

    Args:
        ui: The widgets.
        panel: Has the current case, and says what was done.
        requirements: The file that names what DICOM output needs.
    """

    def __init__(self, ui: Any, panel: Panel, requirements: Path) -> None:
        self._panel, self._requirements = panel, requirements
        self.button = qt.QPushButton(_("Save as DICOM..."))
        self.button.toolTip = _(
            "Write the synthetic CT as a DICOM series and its vertebrae as a Segmentation object, marked SYNTHETIC and "
            "without a patient's name."
        )
        self.button.connect("clicked()", panel.guard(self.save))
        ui.compareButtons.layout().addWidget(self.button)

    def save(self) -> None:
        """Ask for a folder and, if highdicom is not there, whether to install it; then write the files, all or none."""
        from TomoRayLib.slicer.scene.dicom_export import export_dicom

        case = self._panel.compare.case
        if case is None:
            return
        chosen = qt.QFileDialog.getExistingDirectory(None, _("Folder for the DICOM files"), str(Path.home()))
        if not chosen:
            return
        installation.ensure_packages(self._requirements)
        folder = _unused(Path(chosen) / FOLDER)
        export_dicom(case, folder)
        done = _("DICOM files, marked SYNTHETIC and without a patient's name, were written to {folder}.")
        self._panel.say(done.format(folder=folder))
