"""The result of one case before it is written, and what it says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from TomoRayLib.anatomy.vertebra_decoding import LEAST_CERTAINTY
from TomoRayLib.base.memory import peak_memory_mb
from TomoRayLib.images.types import Volume
from TomoRayLib.jobs.job import SynthesisJob
from TomoRayLib.jobs.progress import Stages
from TomoRayLib.jobs.provenance import provenance_of
from TomoRayLib.metrics.table import MetricsTable
from TomoRayLib.synthesis.comparison import Comparison
from TomoRayLib.synthesis.inputs import Inputs
from TomoRayLib.synthesis.model_run import ChosenModel, SyntheticCT
from TomoRayLib.synthesis.reprojection import Reprojection
from TomoRayLib.synthesis.spread import Sureness
from TomoRayLib.synthesis.suggestions import Suggestion
from TomoRayLib.synthesis.truth import GroundTruth

if TYPE_CHECKING:
    from TomoRayLib.images.case_surfaces import CaseSurfaces
    from TomoRayLib.synthesis.measured_case import CaseMeasures


@dataclass(frozen=True)
class Judgement:
    """What the synthetic spine of two radiographs says of itself.

    Args:
        certainty: ``result_checks.ResultMeasures.certainty``, of the whole result.
        doubts: What speaks against it, in words.
        suggestion: What was probably meant instead.
    """

    certainty: float
    doubts: tuple[str, ...] = ()
    suggestion: Suggestion | None = None


@dataclass(frozen=True)
class CaseResult:
    """Everything a case gives, before it is written, and how it was made."""

    job: SynthesisJob
    model: ChosenModel
    inputs: Inputs
    synthetic: SyntheticCT
    comparison: Comparison | None
    warnings: tuple[str, ...]
    judgement: Judgement | None = None
    reprojections: tuple[Reprojection, Reprojection] | None = None
    sureness: Sureness | None = None
    surfaces: CaseSurfaces | None = None
    measures: CaseMeasures | None = None

    @property
    def is_empty(self) -> bool:
        """True if no voxel of the synthetic CT is bone."""
        return not bool(self.synthetic.mask.any())

    @property
    def truth(self) -> GroundTruth | None:
        return self.comparison.truth if self.comparison else None

    @property
    def metrics(self) -> MetricsTable | None:
        return self.comparison.metrics if self.comparison else None

    @cached_property
    def hu(self) -> Volume:
        """The synthetic CT in HU, which pictures and files share."""
        return self.synthetic.hu()

    @cached_property
    def true_vertebrae(self) -> Volume | None:
        """The labels of the true vertebrae, which pictures and files share; None without a truth."""
        return self.truth.vertebrae() if self.truth is not None else None

    @property
    def title(self) -> str:
        """The job's title, else the names of its files."""
        names = [_shown_name(Path(path)) for path in self._input_paths() if path]
        return self.job.title or " and ".join(names)

    def _input_paths(self) -> tuple[str | None, ...]:
        return (self.job.study, self.job.ct, self.job.ap, self.job.lateral)

    @property
    def labels_by(self) -> str | None:
        """Whose labels the truth rests on if no segmentation was given; None with one, and without a truth."""
        return self.inputs.source.labels_by if self.inputs.source is not None and self.truth is not None else None

    @property
    def labels_unsure(self) -> bool:
        """True if the truth's labels are TomoRay's own, and their numbering is unsure."""
        source = self.inputs.source
        own = source.segmenter if source is not None else None
        return own is not None and float(own.get("certainty", 0.0)) < LEAST_CERTAINTY

    def metrics_dict(self) -> dict[str, Any] | None:
        """The scores as JSON-like values, with whose labels they measure against (null: a given segmentation).

        A model that counts vertebrae has ``counting`` in addition: what it found of the true ones.
        """
        if self.metrics is None:
            return None
        matched = self.comparison.matched if self.comparison else None
        counting = {"counting": {**matched.to_json_dict(), **self.spine_dict()}} if matched is not None else {}
        return {**self.metrics.to_json_dict(), "labels_by": self.labels_by, **counting}

    @cached_property
    def measures_dict(self) -> dict[str, Any] | None:
        """The content of ``measures.json``, which report and file share; None without measures."""
        spine = self.synthetic.spine
        return self.measures.to_json_dict(spine) if self.measures is not None and spine is not None else None

    def provenance(self) -> dict[str, Any]:
        """How the result was made, as JSON-like values, without its cost."""
        notes = (*self.warnings, *self.inputs.notes)
        made = provenance_of(self.job, self.model, self.inputs.views, self.synthetic.grid, notes)
        source = self.inputs.source
        own = {"labels_by": self.labels_by, "segmenter": source.segmenter} if source is not None else {}
        return {**made, **own, **self.judgement_dict(), **self.sureness_dict(), **self.spine_dict()}

    def sureness_dict(self) -> dict[str, Any]:
        """How sure the bone mask is as ``uncertainty``; nothing if that was not asked for."""
        return {"uncertainty": self.sureness.to_json_dict()} if self.sureness is not None else {}

    def spine_dict(self) -> dict[str, Any]:
        """The vertebrae found and how sure their numbers are; nothing of a model that does not count them."""
        spine = self.synthetic.spine
        return spine.to_json_dict() if spine is not None else {}

    def measures_of_use(self) -> dict[str, Any]:
        """The measures that are of use, and how many others there are, as ``measures``; nothing if none were taken."""
        if self.measures is None:
            return {}
        rows = [row.to_json_dict() for row in self.measures.rows if row.synthetic and row.synthetic.value is not None]
        kept = ("title", "subject", "synthetic", "unit")
        of_use = [
            {**{name: row[name] for name in kept}, "low": row["error"]["low"], "high": row["error"]["high"]}
            for row in rows
            if row["error"] is not None and row["error"]["usable"]
        ]
        return {"measures": {"of_use": of_use, "too_uncertain": len(rows) - len(of_use)}}

    def judgement_dict(self) -> dict[str, Any]:
        """Whether the result is empty, how certain it is, what speaks against it, what was probably meant, and how well
        it fits its radiographs."""
        judged = self.judgement
        suggestion = judged.suggestion if judged else None
        return {
            "empty": self.is_empty,
            "certainty": round(judged.certainty, 3) if judged else None,
            "doubts": list(judged.doubts) if judged else [],
            "suggestion": suggestion.to_json_dict(self.job.arrangement) if suggestion else None,
            "agreement": dict(zip(("ap", "lateral"), self.agreements, strict=True)),
        }

    @property
    def agreements(self) -> tuple[float | None, float | None]:
        """How well the reprojected bone fits AP and lateral, -1 to 1; None where it is not in the picture."""
        ap, lateral = (one.agreement for one in self.reprojections) if self.reprojections else (None, None)
        return (None if ap is None else round(ap, 3), None if lateral is None else round(lateral, 3))


def _shown_name(path: Path) -> str:
    """A file's name without its endings, a folder's whole."""
    return path.resolve().name if path.is_dir() else path.name.split(".")[0]


def cost_of(stages: Stages) -> dict[str, Any]:
    """Seconds of each stage so far, and the peak memory of this process."""
    return {"seconds": dict(stages.seconds), "peak_memory_mb": peak_memory_mb()}
