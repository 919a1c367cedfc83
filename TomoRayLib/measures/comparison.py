"""The measures of a synthetic CT in one table: beside the true ones if there are some, and with their known errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from TomoRayLib.measures.definitions import DEFINITIONS, OF_CURVE
from TomoRayLib.measures.known_errors import KnownError
from TomoRayLib.measures.measure import NOT_MEASURABLE, Measure
from TomoRayLib.measures.spine import MeasuredSpine, spine_of
from TomoRayLib.measures.usual import Usual, UsualMeasures, place_of
from TomoRayLib.measures.vertebral_body import VertebralBody

NOT_FOUND = NOT_MEASURABLE.format(because="no vertebra of the synthetic CT lies in this place")
COLUMNS = (
    "key", "subject", "unit", "synthetic", "truth", "difference", "usual", "usual_sd", "bias", "low", "high", "n",
    "people", "reason",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class MeasureRow:
    """One measure: of the synthetic CT, of the real one if there is one, the kind's known error, and what is usual."""

    key: str
    subject: str
    synthetic: Measure | None
    truth: Measure | None = None
    error: KnownError | None = None
    usual: Usual | None = None

    @property
    def difference(self) -> float | None:
        """Synthetic minus true; None unless both are there."""
        pair = [one.value if one is not None else None for one in (self.synthetic, self.truth)]
        return None if pair[0] is None or pair[1] is None else pair[0] - pair[1]

    def to_json_dict(self) -> dict[str, Any]:
        """All of it for ``json.dump``."""
        definition, difference = DEFINITIONS[self.key], self.difference
        values: dict[str, Any] = {}
        for name, one in (("synthetic", self.synthetic), ("truth", self.truth)):
            values[name] = None if one is None or one.value is None else round(one.value, 4) + 0.0
            values[f"{name}_reason"] = one.reason if one is not None else None
        if self.synthetic is None:
            values["synthetic_reason"] = NOT_FOUND
        return {
            "key": self.key,
            "subject": self.subject,
            "title": definition.title,
            "unit": definition.unit,
            **values,
            "difference": None if difference is None else round(difference, 4) + 0.0,
            "usual": self.usual.to_json_dict() if self.usual is not None else None,
            "error": self.error.to_json_dict() if self.error is not None else None,
        }

    def to_csv_row(self) -> tuple[Any, ...]:
        """The cells of ``COLUMNS``; None for what there is not."""
        values = self.to_json_dict()
        error, usual = values["error"] or {}, values["usual"] or {}
        numbers = [values[name] for name in ("synthetic", "truth", "difference")]
        known = [error.get(name) for name in ("bias", "low", "high", "n", "people")]
        reason = values["synthetic_reason"] or values["truth_reason"]
        return (
            self.key,
            self.subject,
            DEFINITIONS[self.key].unit,
            *numbers,
            usual.get("mean"),
            usual.get("sd"),
            *known,
            reason,
        )


@dataclass(frozen=True, eq=False)
class KnownMeasures:
    """What is known before a case is measured: errors by kind of measure, and usual measures of other people."""

    errors: Mapping[str, KnownError] = field(default_factory=dict)
    usual: UsualMeasures = field(default_factory=dict)

    def row(self, key: str, subject: str, synthetic: Measure | None, truth: Measure | None = None) -> MeasureRow:
        """Return a row with what is known of its measure; the error only where pairs were compared."""
        error = self.errors.get(key)
        covered = error if error is not None and error.covers(subject) else None
        return MeasureRow(key, subject, synthetic, truth, covered, self.usual.get(place_of(key, subject)))


def measure_rows(
    synthetic: MeasuredSpine,
    known: KnownMeasures,
    truth: MeasuredSpine | None = None,
    places: Mapping[int, int] | None = None,
) -> tuple[MeasureRow, ...]:
    """List the measures of a synthetic CT.

    Args:
        synthetic: The spine of the synthetic CT.
        known: The known error of each kind of measure, and the usual measures of other people.
        truth: The true spine.
        places: Of each true vertebra that was found the number that the synthetic one in its place has. Vertebrae are
            compared by their place, so that a wrong count does not compare neighbours.

    Returns:
        The rows: single vertebrae, levels, the whole. With a truth they have the true names, and what spans a stretch
        is measured over the vertebrae that both have.
    """
    if truth is None:
        return tuple(known.row(one.key, one.subject, one) for one in synthetic.measures)
    own = synthetic.renamed({found_as: label for label, found_as in (places or {}).items()})
    single = [
        known.row(one.key, one.subject, own.of(one.key, one.subject), one)
        for one in truth.measures
        if one.key not in OF_CURVE
    ]
    return (*single, *_curve_rows(own, truth, known))


def _curve_rows(own: MeasuredSpine, truth: MeasuredSpine, known: KnownMeasures) -> tuple[MeasureRow, ...]:
    shared = [
        label
        for label, body in truth.bodies.items()
        if isinstance(body, VertebralBody) and isinstance(own.bodies.get(label), VertebralBody)
    ]
    pair = [spine_of({label: spine.bodies[label] for label in shared}) for spine in (truth, own)]
    of_truth, of_own = ([one for one in spine.measures if one.key in OF_CURVE] for spine in pair)
    rows = []
    for true in of_truth:
        same_kind = [one for one in of_own if one.key == true.key]
        named_alike = [one for one in same_kind if one.subject == true.subject]
        synthetic = next(iter(named_alike or same_kind), None)  # a Cobb angle may lie between other ends
        rows.append(known.row(true.key, true.subject, synthetic, true))
    return tuple(rows)


def measures_dict(
    rows: tuple[MeasureRow, ...], synthetic: MeasuredSpine, truth: MeasuredSpine | None
) -> dict[str, Any]:
    """Return ``definitions``, ``synthetic``, ``truth`` and ``rows`` for ``json.dump``."""
    return {
        "definitions": {key: one.to_json_dict() for key, one in DEFINITIONS.items()},
        "synthetic": synthetic.to_json_dict(),
        "truth": truth.to_json_dict() if truth is not None else None,
        "rows": [row.to_json_dict() for row in rows],
    }
