"""The section of people's marks, ready to read: the scorer's errors on this run, and the corrected rates."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.evaluation.labelled import LabelResult
from pipelines.evaluation.report.figures.svg import Table
from pipelines.evaluation.report.units import format_interval, format_points, format_share


@dataclass(frozen=True, slots=True)
class LabelSection:
    """Two tables: how often the scorer is wrong, and what people would say of all answers; the second is None
    below the marks that it needs."""

    marked: int
    needed: int
    errors: Table
    estimates: Table | None


def describe_labels(labels: LabelResult | None) -> LabelSection | None:
    """Make the section; None where nothing was marked."""
    if labels is None:
        return None
    estimates = None
    if labels.estimates:
        estimates = Table(
            head=("Metric", "Arm", "As people mark", "95 % interval", "By the scorer alone", "Marked", "Of"),
            rows=tuple(
                (
                    estimate.metric,
                    f"{estimate.arm} against {estimate.against}" if estimate.against else estimate.arm,
                    format_points(estimate.value) if estimate.against else format_share(estimate.value),
                    format_interval(estimate.low, estimate.high, "", signed=bool(estimate.against)),
                    format_points(estimate.scored) if estimate.against else format_share(estimate.scored),
                    str(estimate.labelled),
                    str(estimate.n),
                )
                for estimate in labels.estimates
            ),
        )
    return LabelSection(
        marked=labels.marked,
        needed=labels.needed,
        errors=Table(
            head=("Metric", "Arm", "Scorer wrong", "95 % interval", "Let pass, and people did not", "Marked"),
            rows=tuple(
                (
                    error.metric,
                    error.arm,
                    format_share(error.wrong / error.n),
                    format_interval(error.low, error.high, ""),
                    str(error.too_good),
                    str(error.n),
                )
                for error in labels.errors
            ),
        ),
        estimates=estimates,
    )
