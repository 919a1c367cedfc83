"""How a result was made, as DICOM objects state it: software, network, time, and what to be warned of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydicom.dataset import Dataset

from TomoRayLib.anatomy.vertebra_naming import UNSURE
from TomoRayLib.base.notices import NOTICE

# dcm2niix tells a maker by two letters: TomoRay would be a Toshiba (findings/dcm2niix-manufacturer.sh).
MANUFACTURER = "The TomoRay project"
CT_SERIES_NUMBER, SEGMENTATION_SERIES_NUMBER = 9001, 9002  # behind a study's own series
NO_SERIAL_NUMBER = "none"
_MADE_FROM = {"study": "the two scouts of a CT", "ct": "two radiographs rendered from a CT"}  # by input


@dataclass(frozen=True)
class Making:
    """The making of one result.

    Args:
        software_version: TomoRay's.
        model_id: The network's id.
        weights_sha256: Hash of its weights.
        made_at: Local time.
        made_from: What the network was given, such as "two radiographs".
        numbering_unsure: True if all vertebrae may be named one or more too high or too low; None if the network does
            not count them.
        numbered_from: The vertebra ("L1") that a person named and all others are numbered from; None: the network's
            own numbers.
    """

    software_version: str
    model_id: str
    weights_sha256: str
    made_at: datetime
    made_from: str = "two radiographs"
    numbering_unsure: bool | None = None
    numbered_from: str | None = None

    @property
    def derivation(self) -> str:
        """Derivation Description (0008,2111)."""
        return (
            f"{NOTICE}. Made by the network {self.model_id} (weights sha256 {self.weights_sha256}) of TomoRay "
            f"{self.software_version} from {self.made_from}: not acquired by a scanner. Vertebrae alone; all else has "
            "the lowest value of the bone window."
        )

    def equipment(self) -> Dataset:
        """General Equipment (PS3.3 C.7.5.1) and the times of a series and its instances."""
        attributes = Dataset()
        attributes.Manufacturer = MANUFACTURER
        attributes.ManufacturerModelName = self.model_id[:64]
        attributes.DeviceSerialNumber = NO_SERIAL_NUMBER
        attributes.SoftwareVersions = f"TomoRay {self.software_version}"[:64]
        date, time = self.made_at.strftime("%Y%m%d"), self.made_at.strftime("%H%M%S")
        for what in ("Series", "Content", "InstanceCreation"):
            setattr(attributes, f"{what}Date", date)
            setattr(attributes, f"{what}Time", time)
        return attributes


def making_of(provenance: Mapping[str, Any]) -> Making:
    """Return the making of a result as its provenance tells it, ``provenance.json`` of its folder.

    Raises KeyError or ValueError for one without software, model or time.
    """
    inputs, named = provenance.get("inputs", {}), provenance.get("named_by_you")
    source = next((words for name, words in _MADE_FROM.items() if name in inputs), "two radiographs")
    return Making(
        software_version=provenance["tomoray"],
        model_id=provenance["model"]["id"],
        weights_sha256=provenance["model"]["weights_sha256"],
        made_at=datetime.fromisoformat(provenance["made_at"]).astimezone(),
        made_from=source,
        numbering_unsure=provenance["numbering"] == UNSURE if "numbering" in provenance else None,
        numbered_from=named["name"] if named else None,
    )
