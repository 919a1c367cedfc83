"""From a CT, or a study with scouts, to the radiographs of a synthesis that is compared with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from TomoRayLib.anatomy.numberings import AUTO
from TomoRayLib.images.dicom.scouts import ScoutStudy, read_scout_study
from TomoRayLib.images.dicom.series import volume_of_files
from TomoRayLib.synthesis.inputs import Inputs, SourceCT, labelled_ct, project_ct, read_ct
from TomoRayLib.synthesis.settings import GeometryOptions

if TYPE_CHECKING:
    from TomoRayLib.synthesis.own_labels import ChosenSegmenter


@dataclass(frozen=True)
class Source:
    """A CT with its labels, and the scouts of its study if these are its radiographs."""

    ct: SourceCT
    study: ScoutStudy | None = None

    def labelled_by(self, segmenter: ChosenSegmenter) -> Source:
        """Return the same with labels by TomoRay. The CT must have none."""
        from TomoRayLib.synthesis.own_labels import with_own_labels  # here, as it loads PyTorch

        return replace(self, ct=with_own_labels(self.ct, segmenter))

    def radiographs(self, geometry: GeometryOptions) -> Inputs:
        """Return both radiographs: the scouts, or rendered from the CT.

        Raises InputError for a view that misses the CT, and for settings that contradict the scouts' headers.
        """
        if self.study is not None:
            from TomoRayLib.synthesis.scout_views import scout_inputs  # here, as it loads PyTorch

            return scout_inputs(self.study, self.ct, geometry)
        return project_ct(self.ct, geometry)


def read_source(path: Path, segmentation: Path | None, labels: str = AUTO, *, is_study: bool = False) -> Source:
    """Read a CT, or the CT and the scouts of a study.

    Args:
        path: File or folder of the CT, or the study's folder.
        segmentation: Its label map, or a folder of masks named after vertebrae; None without one.
        labels: The numbering of the label map, one of ``LABEL_CHOICES``.
        is_study: Whether ``path`` is a study.

    Returns:
        CT, labels on its grid, and scouts.

    Raises:
        InputError: As ``read_ct`` and ``read_scout_study``.
    """
    mask = None if segmentation is None else str(segmentation)
    if not is_study:
        return Source(read_ct(str(path), mask, labels))
    study = read_scout_study(path)
    return Source(labelled_ct(volume_of_files(study.ct, path), path.name, mask, labels), study)
