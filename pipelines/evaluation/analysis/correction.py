"""Corrects p over the whole report, so that of an arm against itself hardly a report marks anything.

The primary metric of quality, which was named before any run, is the one claim at 5 %, over the arms (Holm).
All else together has 1 %: the primary metric of latency two fifths of it, the judge's preferences one fifth,
every other metric and ratio of all questions the rest, each by Holm. Splitting a level so is Bonferroni's,
and holds whatever depends on what: at most 6 % of reports mark something that is not there. The p here is on
the scale of 5 %, so that one threshold serves all. Other scopes are exploratory: nothing is marked there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pipelines.evaluation.metric import primary_metric
from pipelines.evaluation.statistics import Difference, holm

LATENCY_SHARE, REST_SHARE, JUDGE_SHARE = 0.08, 0.08, 0.04
"""Of the primary metric's 5 %."""

T = TypeVar("T")
Key = tuple[str, str]
"""Metric and arm."""


def correct_report(
    differences: Mapping[Key, Difference], ratios: Mapping[Key, float]
) -> tuple[dict[Key, float], dict[Key, float]]:
    """Correct the p of all differences and of all ratios, given as their p.

    Latency is tested by its ratio; the difference in milliseconds is marked only where the ratio is.
    """
    quality, latency = primary_metric("quality").name, primary_metric("latency").name
    by_difference = _correct({key: one.p for key, one in differences.items() if key[0] == quality}, 1.0)
    factors = {key: p for key, p in ratios.items() if key[0] == latency}
    by_ratio = _correct(factors, LATENCY_SHARE)
    times = {key: one.p for key, one in differences.items() if key[0] == latency}
    if factors:
        apart = {key: min(1.0, p * len(factors) / LATENCY_SHARE) for key, p in times.items()}
        by_difference |= {key: max(p, by_ratio.get(key, 1.0)) for key, p in apart.items()}
    else:
        by_difference |= _correct(times, LATENCY_SHARE)
    rest = {(True, key): one.p for key, one in differences.items() if key not in by_difference}
    rest |= {(False, key): p for key, p in ratios.items() if key not in by_ratio}
    for (is_difference, key), p in _correct(rest, REST_SHARE).items():
        (by_difference if is_difference else by_ratio)[key] = p
    return by_difference, by_ratio


def correct_preferences(preferences: Mapping[str, Difference]) -> dict[str, float]:
    """Correct the p of a judge's preferences, by arm."""
    return _correct({arm: one.p for arm, one in preferences.items()}, JUDGE_SHARE)


def _correct(found: Mapping[T, float], share: float) -> dict[T, float]:
    """Correct p by Holm's method at a share of the level."""
    return {key: min(1.0, p / share) for key, p in zip(found, holm(list(found.values())), strict=True)}
