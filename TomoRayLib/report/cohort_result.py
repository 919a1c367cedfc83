"""The result of scoring a cohort, before it becomes tables and a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from TomoRayLib.measures.agreement import Pair
from TomoRayLib.measures.definitions import DEFINITIONS
from TomoRayLib.measures.usual import UsualMeasures
from TomoRayLib.metrics.paired import PairedTest, paired_tests
from TomoRayLib.metrics.published import MARGINS, TABLE_2, Equivalence, equivalence
from TomoRayLib.metrics.scores import COLUMN_OF_KEY
from TomoRayLib.metrics.statistics import (
    CaseScore,
    Summary,
    by_person,
    methods_of,
    summarise,
)
from TomoRayLib.metrics.vertebra_pooling import PooledCounts, pool_counts
from TomoRayLib.report.tables import NAME_OF_ROW
from TomoRayLib.weights import load_usual_measures


@dataclass(frozen=True)
class CohortResult:
    """Everything a cohort's tables show.

    Args:
        title: Of the page.
        scores: The scored cases.
        failed: (case, reason) of those without a score, of all methods or of one.
        left_out: (file, reason) of files that are no case.
        settings: How the scores were made, JSON-like.
        remarks: Sentences for the page's head.
        pages: Name of each case's own page, relative to the cohort's.
        case_remarks: (case, sentence) of what may be wrong with a scored case: its labels, its CT, a prediction.
        refused: (case, reason) of those that are not scored because a method knows them, or because they are copies.
    """

    title: str
    scores: tuple[CaseScore, ...]
    failed: tuple[tuple[str, str], ...]
    left_out: tuple[tuple[str, str], ...]
    settings: Mapping[str, Any]
    remarks: tuple[str, ...] = ()
    pages: Mapping[str, str] | None = None
    case_remarks: tuple[tuple[str, str], ...] = ()
    refused: tuple[tuple[str, str], ...] = ()

    @cached_property
    def summarised(self) -> tuple[CaseScore, ...]:
        """The scores that means are made of: those of people that no method has seen, against given segmentations; if
        there are none of these, the best there are."""
        unseen = tuple(score for score in self.scores if score.known is None) or self.scores
        return tuple(score for score in unseen if score.labels_by is None) or unseen

    @cached_property
    def methods(self) -> tuple[str, ...]:
        """The rows of methods, without the baselines."""
        return methods_of(self.summarised)

    @cached_property
    def summary(self) -> Summary:
        """Statistics of all groups and rows."""
        return summarise(self.summarised)

    @cached_property
    def tests(self) -> tuple[PairedTest, ...]:
        """All methods with each other and with the mean atlas, person by person."""
        better = {key: column.higher_is_better for key, column in COLUMN_OF_KEY.items()}
        return paired_tests(self.summarised, better)

    @cached_property
    def equivalences(self) -> dict[str, tuple[Equivalence, ...]]:
        """Each method against the paper's cohorts."""
        return {
            method: tuple(
                equivalence(key, by_person(self.summarised, method, key), cohort)
                for cohort in TABLE_2
                for key in MARGINS
            )
            for method in self.methods
        }

    @property
    def unscored(self) -> int:
        """How many cases have no score at all, those that were refused left out."""
        return len({name for name, _ in self.failed} - {score.name for score in self.scores})

    def counted_of(self, method: str) -> PooledCounts | None:
        """Vertebrae that a method found and named, over the cases that means are made of; None if none is counted."""
        return pool_counts(score.counted.get(method) for score in self.summarised if method in score.rows)

    def counting_dict(self) -> dict[str, Any]:
        """The same of all methods as ``counting`` among JSON-like values; nothing if no case is counted."""
        counted = {method: self.counted_of(method) for method in self.methods}
        found = {method: one.to_json_dict() for method, one in counted.items() if one is not None}
        return {"counting": found} if found else {}

    @cached_property
    def usual(self) -> UsualMeasures:
        """The usual measures of other people that come with the models."""
        return load_usual_measures()

    def measured_of(self, method: str) -> dict[str, list[Pair]]:
        """A method's measures beside the true ones, by kind, over the cases that means are made of."""
        found: dict[str, list[Pair]] = {}
        for score in self.summarised:
            for one in score.measures.get(method, ()):
                if one["synthetic"] is not None:
                    pair = Pair(score.subject, one["subject"], one["truth"], one["synthetic"])
                    found.setdefault(one["key"], []).append(pair)
        return {key: found[key] for key in DEFINITIONS if key in found}

    @property
    def marked_sentences(self) -> tuple[str, ...]:
        """How many cases are scored against labels by TomoRay, or known to a method, and whether means hold them."""
        own = [score for score in self.scores if score.labels_by is not None]
        seen = [score for score in self.scores if score.known is not None]
        sentences = []
        if own:
            words = f"{len(own)} of {len(self.scores)} cases have no segmentation and are scored against "
            words += f"{own[0].labels_by}, which nobody has checked"
            in_means = any(score in self.summarised for score in own)
            sentences.append(f"{words}." if in_means else f"{words}: they are in cases.csv alone, and in no mean.")
        if seen:
            words = f"{len(seen)} of {len(self.scores)} scored cases show people that a method was trained or chosen on"
            in_means = any(score in self.summarised for score in seen)
            sentences.append(
                f"{words}: these figures say nothing about anybody else." if in_means else f"{words}: in no mean."
            )
        return tuple(sentences)


def shown_row(row: str) -> str:
    """Return how a row is called: ``Blank volume`` for ``blank``; methods have their own names."""
    return NAME_OF_ROW.get(row, row)
