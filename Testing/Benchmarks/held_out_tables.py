"""Scores of several models on several people as Markdown and JSON: mean and SD by group, and person by person."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from held_out_people import is_test, is_validation
from held_out_scores import MEASURES, MODEL, TRUTH, Row, counted_case

from TomoRayLib.metrics.scores import MetricColumn
from TomoRayLib.metrics.statistics import Statistic, statistic
from TomoRayLib.metrics.table import BLANK, MEAN_ATLAS
from TomoRayLib.metrics.vertebra_pooling import PooledCounts, pool_counts
from TomoRayLib.report.vertebra_section import pooled_sentences
from TomoRayLib.training.data.roles import Role

NOT_TRAINED_ON, VALIDATION, TEST, TRAINED_ON = "not trained on", "chosen on", "never looked at", "trained on"
MEANING = {
    NOT_TRAINED_ON: "People that none of these models was trained on",
    VALIDATION: "Of these the validation people, whose mean models are chosen by",
    TEST: "Of these the test people, on whom nothing is ever trained or chosen",
    TRAINED_ON: "People that one of these models at least was trained on",
}
# In the README: what a reader can compare with other work, then what the mean of grey values cannot see.
SHORT = (
    *("cosine_similarity", "dice", "gain_db", "assd_mm", "hd95_mm", "mae_in_mask_hu"),
    *("found", "named", "named_up_to_shift", "gaps_in_mask", "endplate_rise_mm", "agreement_8_4_mm"),
)
PER_PERSON = (
    *("cosine_similarity", "dice", "gain_db", "assd_mm", "hd95_mm", "mae_in_mask_hu"),
    *("found", "named", "named_up_to_shift", "gaps_in_mask", "endplate_edges", "endplate_rise_mm"),
)
COLUMN = {column.key: column for column in MEASURES}


@dataclass(frozen=True)
class PersonScores:
    """One person's rows (model, blank, mean atlas, truth) and role for each model, by the model's name."""

    name: str
    title: str
    rows: Mapping[str, Mapping[str, Row]]
    roles: Mapping[str, Role]


def groups_of(scores: Sequence[PersonScores]) -> dict[str, list[PersonScores]]:
    """The people by what they were to the models; validation and test people are among those not trained on."""
    trained = [one for one in scores if Role.TRAINED_ON in one.roles.values()]
    unseen = [one for one in scores if one not in trained]
    groups = {
        NOT_TRAINED_ON: unseen,
        VALIDATION: [one for one in unseen if is_validation(one.name)],
        TEST: [one for one in unseen if is_test(one.name)],
        TRAINED_ON: trained,
    }
    return {name: members for name, members in groups.items() if members}


def rows_to_show(scores: Sequence[PersonScores]) -> list[tuple[str, str, str]]:
    """(title, model, row) of the columns of a summary: each model, then blank, mean atlas and the truth itself.

    The atlas is that of the first model; blank and truth are the same for all.
    """
    models = list(scores[0].rows)
    name = "TomoRay" if len(models) == 1 else "TomoRay {}"
    shown = [(name.format(model), model, MODEL) for model in models]
    return [*shown, ("blank", models[0], BLANK), ("mean atlas", models[0], MEAN_ATLAS), ("truth", models[0], TRUTH)]


def values_of(scores: Sequence[PersonScores], model: str, row: str, key: str) -> list[float]:
    """One value for each person, NaN where a row does not have it."""
    return [one.rows[model].get(row, {}).get(key, math.nan) for one in scores]


def summary_of(scores: Sequence[PersonScores], model: str, row: str, key: str) -> Statistic:
    """Mean, SD and the rest over people."""
    return statistic((value, one.name) for value, one in zip(values_of(scores, model, row, key), scores, strict=True))


def ahead_of_atlas(scores: Sequence[PersonScores], model: str, column: MetricColumn) -> tuple[int, int]:
    """(people on whom the model is better than the mean atlas, people on whom both have the score)."""
    sign = 1 if column.higher_is_better else -1
    own, atlas = (values_of(scores, model, row, column.key) for row in (MODEL, MEAN_ATLAS))
    pairs = [(a, b) for a, b in zip(own, atlas, strict=True) if not math.isnan(a) and not math.isnan(b)]
    return sum(sign * a > sign * b for a, b in pairs), len(pairs)


def summary_table(scores: Sequence[PersonScores], keys: Sequence[str], with_atlas_count: bool = True) -> str:
    """Markdown: a line a score, mean ± SD over people in a column each for models, baselines and truth.

    With ``with_atlas_count`` each model has a second column: on how many people it is ahead of the mean atlas.
    """
    shown = rows_to_show(scores)
    models = [model for _, model, row in shown if row == MODEL]
    head = ["", *(title for title, _, _ in shown)]
    if with_atlas_count:
        head += ["ahead of the atlas" if len(models) == 1 else f"{model}: ahead of the atlas" for model in models]
    lines = [head, ["---"] * len(head)]
    for key in keys:
        column = COLUMN[key]
        cells = [mean_and_sd(summary_of(scores, model, row, key), column) for _, model, row in shown]
        if with_atlas_count:
            ahead = [ahead_of_atlas(scores, model, column) for model in models]
            cells += [f"{count} of {n}" if n else "–" for count, n in ahead]
        lines.append([heading(column), *cells])
    return markdown(lines)


def pooled_by_model(scores: Sequence[PersonScores]) -> dict[str, PooledCounts]:
    """Vertebrae found and named over all people together, for each model that tells them apart."""
    pooled = {model: pool_counts(counted_case(one.rows[model][MODEL]) for one in scores) for model in scores[0].rows}
    return {model: counts for model, counts in pooled.items() if counts is not None}


def person_table(scores: Sequence[PersonScores], model: str) -> str:
    """Markdown: a line a person with its role, and below it the mean atlas on the same person."""
    keys = [COLUMN[key] for key in PER_PERSON]
    lines = [["person", f"to {model}", *(heading(column) for column in keys)]]
    lines.append(["---"] * len(lines[0]))
    for one in scores:
        for row, first in ((MODEL, [one.title, one.roles[model].value]), (MEAN_ATLAS, ["", "(mean atlas)"])):
            values = one.rows[model][row]
            lines.append([*first, *(column.format(values.get(column.key, math.nan)) for column in keys)])
    return markdown(lines)


def full_text(scores: Sequence[PersonScores]) -> str:
    """The page: a summary for each group of people, then each model person by person, then what the scores mean.

    Vertebrae are pooled within a group: people that a model was trained on must not raise the count of the others.
    """
    parts = []
    for group, members in groups_of(scores).items():
        names = ", ".join(one.title for one in members)
        parts.append(f"**{MEANING[group]}** (n = {len(members)}: {names}), mean ± SD:")
        parts.append(summary_table(members, list(COLUMN)))
        parts += [f"{model}: {pooled_sentences(counts)}" for model, counts in pooled_by_model(members).items()]
    for model in scores[0].rows:
        parts += [f"**{model}**, person by person:", person_table(scores, model)]
    parts.append("\n".join(f"* {heading(column)}: {column.meaning}" for column in MEASURES))
    return "\n\n".join(parts) + "\n"


def readme_text(scores: Sequence[PersonScores]) -> str:
    """The README's paragraph and table: people that no model here was trained on, the main scores that there are.

    People that a model was chosen on are named apart, because their scores flatter it.
    """
    members = groups_of(scores).get(NOT_TRAINED_ON, [])
    if not members:
        return "There is no person here that the model was not trained on.\n"
    chosen = [one for one in members if Role.CHOSEN_ON in one.roles.values()]
    unseen = [one for one in members if one not in chosen]
    named = "; ".join(
        f"{words} {', '.join(one.title for one in some)}"
        for words, some in (("never looked at:", unseen), ("looked at to choose the weights:", chosen))
        if some
    )
    models = [model for _, model, row in rows_to_show(members) if row == MODEL]
    keys = [key for key in SHORT if any(summary_of(members, model, MODEL, key).n for model in models)]
    text = f"Mean ± SD over {len(members)} real people whom it was not trained on ({named}):"
    return f"{text}\n\n{summary_table(members, keys)}\n"


def to_json(scores: Sequence[PersonScores]) -> dict[str, Any]:
    """``groups`` with statistics by model, row and score, and ``people`` with all values; infinity as "inf".

    A group's ``counting`` are the pooled counts of the models that tell vertebrae apart.
    """
    return {
        "measures": {column.key: {"title": heading(column), "meaning": column.meaning} for column in MEASURES},
        "groups": {
            group: {
                "people": [one.name for one in members],
                "rows": {
                    model: {
                        row: {key: summary_of(members, model, row, key).to_json_dict() for key in COLUMN}
                        for row in (MODEL, BLANK, MEAN_ATLAS, TRUTH)
                    }
                    for model in members[0].rows
                },
                "counting": {model: counts.to_json_dict() for model, counts in pooled_by_model(members).items()},
            }
            for group, members in groups_of(scores).items()
        },
        "people": [
            {
                "name": one.name,
                "roles": {model: role.value for model, role in one.roles.items()},
                "rows": {
                    model: {
                        row: {key: value if math.isfinite(value) else str(value) for key, value in values.items()}
                        for row, values in rows.items()
                    }
                    for model, rows in one.rows.items()
                },
            }
            for one in scores
        ],
    }


def heading(column: MetricColumn) -> str:
    """Title and unit: ``Endplate rise, mm``."""
    return f"{column.title}, {column.unit}" if column.unit else column.title


def mean_and_sd(s: Statistic, column: MetricColumn) -> str:
    """``0.701 ± 0.034``; the mean alone if there is no SD or all are the same, a dash without any value."""
    if s.n == 0:
        return "–"
    text = column.format(s.mean)
    return f"{text} ± {column.format(s.sd)}" if s.sd > 0 else text


def markdown(lines: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
