"""For each arm, quality and latency in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.evaluation.analysis.catalogue import CORRECT, E2EL
from pipelines.evaluation.results import OVERALL, MetricResult, RatioResult

ALPHA = 0.05


def findings(
    metrics: Sequence[MetricResult], ratios: Sequence[RatioResult], arms: Sequence[str], baseline: str
) -> tuple[str, ...]:
    """In the order of `arms`; one without anything to compare is left out."""
    said = {
        delta.arm: delta
        for each in metrics
        if each.scope == OVERALL and each.metric == CORRECT
        for delta in each.deltas
    }
    factors = {each.arm: each for each in ratios if each.scope == OVERALL and each.metric == E2EL}
    found = []
    for arm in arms:
        quality, factor = said.get(arm), factors.get(arm)
        if quality is not None and factor is not None:
            joint = ", and" if quality.detectable else f"; {arm}"
            found.append(f"{quality.verdict.removesuffix('.')}{joint} {_latency(factor)}.")
        elif quality is not None:
            found.append(quality.verdict)
        elif factor is not None:
            found.append(f"{arm}, compared with {baseline}, {_latency(factor)}.")
    return tuple(found)


def _latency(found: RatioResult) -> str:
    """A part of a sentence whose subject is the arm."""
    facts = [f"n = {found.n}"]
    if found.low is not None and found.high is not None:
        facts.append(f"{1 - ALPHA:.0%} interval {_times(found.low)} to {_times(found.high)}")
    told = ", ".join(facts)
    if found.p_adjusted > ALPHA:
        return f"shows no detectable difference in E2EL ({_times(found.ratio)} times as long, {told})"
    return f"takes {_times(found.ratio)} times as long (E2EL, {told})"


def _times(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 2 else f"{ratio:.1f}"
