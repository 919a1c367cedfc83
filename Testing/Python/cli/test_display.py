"""What the terminal shows at a job's end."""

from __future__ import annotations

import pytest
from rich.console import Console

from TomoRayLib.cli.display import Display, measures_text
from TomoRayLib.jobs.events import ExitCode, Failed, Finished
from TomoRayLib.metrics.vertebra_pooling import PooledCounts
from TomoRayLib.report.vertebra_section import pooled_sentences

RESULT = {"synthetic": True, "files": [], "metrics": None, "seconds": 1.0}
VERTEBRAE = [{"number": 19, "name": "T12"}, {"number": 20, "name": "L1"}]


@pytest.mark.parametrize(
    ("numbering", "line"),
    [
        ({"numbering": "sure", "numbering_certainty": 0.97}, "Vertebrae: T12 L1 (count sure, 97 %)\n"),
        ({"numbering": "unsure", "numbering_certainty": 0.41}, "Vertebrae: T12 L1 (count unsure, 41 %)\n"),
        (
            {"numbering": "sure", "numbering_certainty": 1.0, "named_by_you": {"name": "L1"}},
            "Vertebrae: T12 L1 (count named by you)\n",
        ),
    ],
)
def test_vertebrae_are_named_with_how_sure_their_count_is(
    numbering: dict[str, object], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    display = Display(Console())
    display(Finished({**RESULT, "vertebrae": VERTEBRAE, **numbering}))
    display.close()
    assert line in capsys.readouterr().out


def test_a_model_that_does_not_count_names_none(capsys: pytest.CaptureFixture[str]) -> None:
    display = Display(Console())
    display(Finished(RESULT))
    display.close()
    shown = capsys.readouterr().out
    assert "1.0 s" in shown
    assert "Vertebrae" not in shown


@pytest.mark.parametrize(
    ("failed", "line"),
    [
        (Failed("Interrupted; [nothing] was written.", ExitCode.INTERRUPTED), "Interrupted; [nothing] was written.\n"),
        (Failed("Terminated; nothing was written.", ExitCode.TERMINATED), "Terminated; nothing was written.\n"),
        (Failed("Expected a CT.", ExitCode.INPUT), "Error Expected a CT.\n"),
    ],
)
def test_what_the_user_asked_for_is_no_error(failed: Failed, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    display = Display(Console())
    display(failed)
    display.close()
    assert capsys.readouterr().out == line


def test_a_cohort_has_its_pooled_counts_in_one_unbroken_line(capsys: pytest.CaptureFixture[str]) -> None:
    counts = PooledCounts(41, 40, 25, 39, extra=0, cases=6, cases_unsure=4, cases_not_counted=1)
    display = Display(Console())
    display(Finished({**RESULT, "counting": {"tomoray": counts.to_json_dict()}}))
    display.close()
    assert f"{pooled_sentences(counts)}\n" in capsys.readouterr().out


def test_measures_of_use_are_told_with_their_errors_and_the_others_counted() -> None:
    of_use = [
        {"title": "Spine length", "subject": "T6-T12", "synthetic": 171.04, "unit": "mm", "low": -3.4, "high": 3.41}
    ]
    said = measures_text({"of_use": of_use, "too_uncertain": 44})
    assert "spine length T6-T12 171.0 mm (error -3.4 to +3.4)" in said
    assert "44 others are too uncertain" in said
    assert measures_text({"of_use": [], "too_uncertain": 3}).startswith("Measures: all 3 are too uncertain")
