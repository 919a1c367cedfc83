"""The measures of a synthetic CT in one table: beside the true ones if there are some, and with their known errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from TomoRayLib.anatomy.vertebrae import NAME_OF_LABEL
from TomoRayLib.measures.definitions import DEFINITIONS, OF_CURVE
from TomoRayLib.measures.known_errors import KnownError
from TomoRayLib.measures.measure import NOT_MEASURABLE, Measure, lines_for_json, not_measurable, subject_renamed
from TomoRayLib.measures.spine import MeasuredSpine, spine_of
from TomoRayLib.measures.usual import Usual, UsualMeasures
from TomoRayLib.measures.vertebral_body import VertebralBody

NOT_FOUND = NOT_MEASURABLE.format(because="no vertebra of the synthetic CT lies in this place")
TOO_FEW_IN_PLACE = "the synthetic CT does not have all of these vertebrae in their places"
COLUMNS = (
    "key", "subject", "counted_as", "unit", "synthetic", "truth", "difference", "usual", "usual_sd", "bias", "low",
    "high", "n", "people", "of_use", "synthetic_reason", "truth_reason",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class MeasureRow:
    """One measure: of the synthetic CT, of the real one if there is one, the kind's known error, and what is usual.

    ``counted_as`` is the subject by the synthetic CT's own count, None if it is ``subject``.
    """

    key: str
    subject: str
    synthetic: Measure | None
    truth: Measure | None = None
    error: KnownError | None = None
    usual: Usual | None = None
    counted_as: str | None = None

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
            values[f"{name}_lines_mm"] = lines_for_json(one.lines_mm) if one is not None else []
        if self.synthetic is None:
            values["synthetic_reason"] = NOT_FOUND
        return {
            "key": self.key,
            "subject": self.subject,
            "synthetic_subject": self.counted_as or self.subject,
            "title": definition.title,
            "unit": definition.unit,
            **values,
            "difference": None if difference is None else round(difference, 4) + 0.0,
            "usual": self.usual.to_json_dict() if self.usual is not None else None,
            "error": self.error.to_json_dict() if self.error is not None else None,
        }

    def to_csv_row(self) -> tuple[Any, ...]:
        """The cells of ``COLUMNS``; None for what there is not."""
        return csv_cells(self.to_json_dict())


def csv_cells(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the cells of ``COLUMNS`` of a row of ``measures.json``; None for what there is not."""
    error, usual = row["error"] or {}, row["usual"] or {}
    numbers = [row[name] for name in ("synthetic", "truth", "difference")]
    known = [error.get(name) for name in ("bias", "low", "high", "n", "people")]
    said = (row["key"], row["subject"], row["synthetic_subject"], row["unit"])
    reasons = (row["synthetic_reason"], row["truth_reason"])
    return (*said, *numbers, usual.get("mean"), usual.get("sd"), *known, error.get("usable", False), *reasons)


@dataclass(frozen=True, eq=False)
class KnownMeasures:
    """What is known before a case is measured: errors by kind of measure, and usual measures of other people."""

    errors: Mapping[str, KnownError] = field(default_factory=dict)
    usual: UsualMeasures = field(default_factory=dict)

    def row(
        self,
        key: str,
        subject: str,
        synthetic: Measure | None,
        truth: Measure | None = None,
        counted_as: str | None = None,
    ) -> MeasureRow:
        """Return a row with what is known of its measure; the error only where pairs were compared."""
        error = self.errors.get(key)
        covered = error if error is not None and error.covers(subject) else None
        usual = self.usual.get((key, subject))
        return MeasureRow(key, subject, synthetic, truth, covered, usual, counted_as)


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
        is measured over the vertebrae that both have, or over the true ones alone if these are too few.
    """
    if truth is None:
        return tuple(known.row(one.key, one.subject, one) for one in synthetic.measures)
    own = synthetic.renamed({found_as: label for label, found_as in (places or {}).items()})
    counted = {NAME_OF_LABEL[label]: NAME_OF_LABEL[found_as] for label, found_as in (places or {}).items()}
    pairs = [
        *((own.of(one.key, one.subject), one) for one in truth.measures if one.key not in OF_CURVE),
        *_curve_pairs(own, truth),
    ]
    return tuple(
        known.row(true.key, true.subject, one, true, subject_renamed(one.subject if one else true.subject, counted))
        for one, true in pairs
    )


def _curve_pairs(own: MeasuredSpine, truth: MeasuredSpine) -> list[tuple[Measure | None, Measure]]:
    """Synthetic and true measures of the stretch that both spines have, and the true ones of a longer one."""
    shared = [
        label
        for label, body in truth.bodies.items()
        if isinstance(body, VertebralBody) and isinstance(own.bodies.get(label), VertebralBody)
    ]
    both = [spine_of({label: spine.bodies[label] for label in shared}) for spine in (truth, own)]
    of_truth, of_own = ([one for one in spine.measures if one.key in OF_CURVE] for spine in both)
    pairs: list[tuple[Measure | None, Measure]] = []
    for true in of_truth:
        same_kind = [one for one in of_own if one.key == true.key]
        named_alike = [one for one in same_kind if one.subject == true.subject]
        synthetic = next(iter(named_alike or same_kind), None)  # a Cobb angle may lie between other ends
        if true.value is not None or not _has(truth, true.key):
            pairs.append((synthetic, true))
    paired = {(true.key, true.subject) for _, true in pairs}
    longer = [one for one in truth.measures if one.key in OF_CURVE and one.value is not None]
    return [*pairs, *((_too_few(one), one) for one in longer if (one.key, one.subject) not in paired)]


def _has(truth: MeasuredSpine, key: str) -> bool:
    """True if the whole true spine has a measure of this kind."""
    return any(one.key == key and one.value is not None for one in truth.measures)


def _too_few(true: Measure) -> Measure:
    return not_measurable(true.key, true.subject, TOO_FEW_IN_PLACE)


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
