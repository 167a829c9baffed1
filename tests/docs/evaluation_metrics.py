"""The tables of docs/evaluation/metrics.md, made from the metrics' declarations; run as a script, this writes them."""

from __future__ import annotations

from pathlib import Path

from pipelines.evaluation.metric import (
    FAMILIES,
    AnswerMetric,
    ContextMetric,
    Metric,
    TwinsMetric,
    list_metrics,
)
from pipelines.evaluation.metrics.correct import MATCHERS
from pipelines.evaluation.results import LEVELS

PAGE = Path(__file__).parents[2] / "docs" / "evaluation" / "metrics.md"
METRICS = ("<!-- metrics -->\n", "<!-- /metrics -->\n")
KINDS = ("<!-- kinds -->\n", "<!-- /kinds -->\n")


def metrics_table() -> str:
    """A Markdown table: every metric by family, and what its declaration says."""
    lines = ["| metric | what it is | better | counts for | also | source |", "|---|---|---|---|---|---|"]
    for family, title in FAMILIES.items():
        lines.append(f"| **{title}** | | | | | |")
        lines += [row(metric) for metric in list_metrics() if metric.family == family]
    return "\n".join(lines) + "\n"


def row(metric: Metric) -> str:
    unit = f", {metric.unit}" if metric.unit else ""
    better = {True: "higher", False: "lower", None: ""}[metric.higher_is_better]
    cells = (
        f"`{metric.name}`{unit}",
        metric.description,
        better,
        counts_for(metric),
        also(metric),
        metric.source,
    )
    return f"| {' | '.join(cells)} |"


def counts_for(metric: Metric) -> str:
    if isinstance(metric, ContextMetric):
        return "questions that were searched for and whose relevant passages are known"
    if isinstance(metric, TwinsMetric):
        return f"groups of twins, by `{metric.of}`"
    assert isinstance(metric, AnswerMetric)
    words = [condition.words for condition in (*metric.items, *metric.answers)]
    late = ["requests that timed out with the time until then"] if metric.late_as_bound else []
    return "; ".join([*words, *late]) + ("; failed requests as 0" if metric.zero_if_failed else "")


def also(metric: Metric) -> str:
    levels = ", ".join(f"p{100 * level:.0f}" for level in LEVELS)
    notes = [
        "primary" if metric.primary else "",
        "as a ratio" if metric.as_ratio else "",
        {"all": levels, "positive": f"{levels} of those above 0", "none": ""}[metric.percentiles],
        "as a curve" if metric.curve else "",
        "" if metric.in_results else "of each answer alone",
    ]
    return "; ".join(note for note in notes if note)


def kinds_table() -> str:
    """A Markdown table: when an answer is `correct`, by the kind of its question."""
    lines = ["| kind | `correct` where |", "|---|---|"]
    lines += [
        f"| `{kind}` | {' '.join((matcher.__doc__ or '').split())} |" for kind, matcher in MATCHERS.items()
    ]
    return "\n".join(lines) + "\n"


def rendered(page: str) -> str:
    """The page with the tables of now."""
    for (begin, end), table in ((METRICS, metrics_table()), (KINDS, kinds_table())):
        before, rest = page.split(begin)
        page = f"{before}{begin}{table}{end}{rest.split(end)[1]}"
    return page


def main() -> None:
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
