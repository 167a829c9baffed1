"""The evidence of a run that stopped by itself, ready to read: its criteria, and how the bounds narrowed."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.evaluation.report.figures.svg import Table
from pipelines.evaluation.report.units import NOTHING, format_interval, format_points
from pipelines.evaluation.swap.records import CriterionResult, SequentialResult


@dataclass(frozen=True, slots=True)
class EvidenceSection:
    """The criteria and the steps as tables, over so many questions in so many clusters."""

    questions: int
    clusters: int
    criteria: Table
    steps: Table


def describe_evidence(found: SequentialResult | None) -> EvidenceSection | None:
    """Make the section; None where the run's size was planned."""
    if found is None:
        return None
    return EvidenceSection(
        questions=found.questions,
        clusters=found.clusters,
        criteria=Table(
            head=("Asked", "Measured", "95 % confidence sequence", "e-value for", "against", "n", "Outcome"),
            rows=tuple(map(_criterion_row, found.criteria)),
        ),
        steps=Table(
            head=("Questions", "95 % confidence sequence of the difference, points"),
            rows=tuple(
                (str(step.questions), format_interval(step.low, step.high, "", signed=True))
                for step in found.steps
            ),
        ),
    )


def _criterion_row(criterion: CriterionResult) -> tuple[str, ...]:
    where = "" if criterion.scope == "overall" else f" in {criterion.scope}"
    asked = "" if criterion.asked == "must_not_be_worse" else f" {criterion.limit:g}"
    bounds = NOTHING
    if criterion.low is not None and criterion.high is not None:
        bounds = f"{criterion.low:.3g} to {criterion.high:.3g}"
    if criterion.asked == "margin" and criterion.value is not None:
        measured = f"{format_points(criterion.value)} points"
    else:
        measured = NOTHING if criterion.value is None else f"{criterion.value:.3g}"
    outcome = {"pass": "holds", "fail": "does not hold", "undecided": "open"}[criterion.outcome]
    return (
        f"{criterion.metric}{where}: {criterion.asked}{asked}",
        measured,
        bounds,
        f"{criterion.holds:.3g}",
        f"{criterion.fails:.3g}",
        str(criterion.n),
        outcome,
    )
