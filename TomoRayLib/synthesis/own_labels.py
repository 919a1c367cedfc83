"""Labels of a CT that nobody has segmented: the network that finds them, and how they are marked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from TomoRayLib.anatomy.vertebra_naming import UNSURE
from TomoRayLib.base.notices import LABELS_NOTICE
from TomoRayLib.images.types import Volume
from TomoRayLib.networks.precision import fast_precision
from TomoRayLib.segmentation.ct_vertebrae import LABELS_BY_TOMORAY, SegmentedCT, segment_ct
from TomoRayLib.synthesis.inputs import SourceCT
from TomoRayLib.synthesis.model_run import choose_device
from TomoRayLib.weights import SegmenterEntry, find_segmenter, load_segmenter, read_segmenters

NO_VERTEBRA = "TomoRay found no vertebra in the CT. Check that it shows the spine, or give a segmentation."
JUDGED_BY_OWN_LABELS = (
    "No vertebra segmentation was given: the truth rests on labels by TomoRay, which a network found in the CT and "
    "nobody has checked. Scores measure against them; give a segmentation for scores to be quoted."
)
NUMBERING_UNSURE = (
    "Labels by TomoRay: which vertebra is which is unsure ({certainty:.0%}); all numbers may be too high or too low by "
    "one or more. Their shapes do not depend on it."
)


@dataclass(frozen=True)
class ChosenSegmenter:
    """The network that finds vertebrae in a CT, the device that it runs on ("cpu", "cuda:0") and its precision."""

    entry: SegmenterEntry
    device: str
    precision: torch.dtype

    def segment(self, ct: Volume) -> SegmentedCT:
        """Load the network, which is freed afterwards, and run ``segment_ct``."""
        return segment_ct(ct, load_segmenter(self.device, self.entry), self.precision)

    def provenance(self) -> dict[str, Any]:
        """Return which network made the labels, and on what, as JSON-like values."""
        return {
            "device": self.device,
            "precision": str(self.precision).removeprefix("torch."),
            "segmenter": {
                "id": self.entry.id,
                "weights_sha256": self.entry.sha256,
                "licence": self.entry.licence,
            },
        }


def choose_segmenter(device: str, precision: str) -> ChosenSegmenter:
    """Return the network with a device and a precision that are there, as ``model_run.choose_model`` does.

    Raises InputError if this version has no such network, and for a device that does not exist.
    """
    entry, chosen = find_segmenter(), choose_device(device)
    full = precision == "float32"
    return ChosenSegmenter(entry, chosen, torch.float32 if full else fast_precision(torch.device(chosen)))


def is_segmenter_there() -> bool:
    """Return whether this version comes with a network that finds vertebrae in a CT."""
    return bool(read_segmenters()[1])


def with_own_labels(source: SourceCT, segmenter: ChosenSegmenter) -> SourceCT:
    """Label a CT that has no labels; the result says so, in ``labels_by`` and in a warning.

    Args:
        source: A CT without labels.
        segmenter: The network.

    Returns:
        The CT with labels; without, if no vertebra was found, and a warning that tells it.
    """
    found = segmenter.segment(source.ct)
    warnings = (*source.warnings, *remarks_on(found))
    if found.is_empty:
        return replace(source, warnings=warnings)
    made_by = {**segmenter.provenance()["segmenter"], "certainty": round(found.certainty, 3)}
    return replace(
        source,
        labels=found.labels,
        labels_by=LABELS_BY_TOMORAY,
        segmenter=made_by,
        warnings=(*warnings, JUDGED_BY_OWN_LABELS),
    )


def labels_marking() -> dict[str, str]:
    """Return the fields of a volume's header that mark its labels as TomoRay's own."""
    return {"TomoRay.notice": LABELS_NOTICE, "TomoRay.labels": LABELS_BY_TOMORAY}


def remarks_on(found: SegmentedCT) -> tuple[str, ...]:
    """Return what speaks against found vertebrae, in sentences."""
    if found.is_empty:
        return (NO_VERTEBRA,)
    return (NUMBERING_UNSURE.format(certainty=found.certainty),) if found.numbering == UNSURE else ()
