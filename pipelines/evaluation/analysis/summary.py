"""What a reader must know before the numbers, and each arm's quality and latency in one sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from pipelines.evaluation.analysis.catalogue import CORRECT, E2EL, METRICS
from pipelines.evaluation.analysis.comparisons import compare_arms
from pipelines.evaluation.analysis.scores import AnswerScores, cluster_name
from pipelines.evaluation.bundle.records import Bundle
from pipelines.evaluation.results import OVERALL, ArmOutcome, Delta, MetricResult, RatioResult
from pipelines.evaluation.statistics import Score, format_p

COARSE = 0.2
"""A sample that shows nothing under 20 points is called too small."""


def list_warnings(
    bundle: Bundle,
    marked: Sequence[AnswerScores],
    outcomes: Sequence[ArmOutcome],
    metrics: Sequence[MetricResult],
    *,
    baseline: str,
    seed: int,
) -> tuple[str, ...]:
    return (
        *_failures(marked, outcomes, baseline, seed),
        *_truncations(outcomes),
        *_left_out(bundle, marked),
        *_sample(metrics, baseline),
        *_conditions(bundle),
    )


def _failures(
    marked: Sequence[AnswerScores], outcomes: Sequence[ArmOutcome], baseline: str, seed: int
) -> Iterator[str]:
    """Every arm's, and what it would come to if they had not been asked."""
    for each in outcomes:
        if not each.failed:
            continue
        codes = ", ".join(f"{code} {count}" for code, count in each.failed.items())
        yield (
            f"{sum(each.failed.values())} of {each.asked} requests of {each.arm} failed ({codes}): they "
            "count as not correct, and have no latency"
        )
    failed = {mark.asked.id for mark in marked if mark.failed}
    if not failed:
        return
    metric = next(metric for metric in METRICS if metric.name == CORRECT)
    kept = [mark for mark in marked if mark.asked.id not in failed]
    for each in outcomes:
        if each.arm == baseline:
            continue
        left, right = _scores(kept, baseline), _scores(kept, each.arm)
        found = compare_arms(metric, left, right, seed)
        if found is not None:
            yield (
                f"without the {len(failed)} questions that have a failed request {each.arm} is "
                f"{100 * found.difference:+.1f} points from {baseline} in {CORRECT} "
                f"(n = {found.n}, p {format_p(found.p)}, not adjusted)"
            )


def _scores(marked: Sequence[AnswerScores], arm: str) -> list[Score]:
    return [
        Score(mark.asked.id, mark.metrics[CORRECT], cluster_name(mark.asked))
        for mark in marked
        if mark.answer.arm == arm and CORRECT in mark.metrics
    ]


def _truncations(outcomes: Sequence[ArmOutcome]) -> Iterator[str]:
    for each in outcomes:
        if each.truncated:
            yield (
                f"{each.truncated} of {each.asked} requests of {each.arm} ended at a limit without an "
                "answer: not correct, with an E2EL that the limit set, and no TTFO"
            )


def _left_out(bundle: Bundle, marked: Sequence[AnswerScores]) -> Iterator[str]:
    """Stages and models that were not there."""
    for arm in bundle.manifest.arms:
        missing = Counter(
            stage for mark in marked if mark.answer.arm == arm.name for stage in mark.reply.degraded
        )
        for stage, count in sorted(missing.items()):
            yield f"{count} answers of {arm.name} had to do without {stage}"
        unjudged = Counter(
            mark.reply.groundedness_missing
            for mark in marked
            if mark.answer.arm == arm.name and mark.reply.groundedness_missing
        )
        for reason, count in sorted(unjudged.items()):
            yield f"the groundedness of {count} answers of {arm.name} is missing: {reason}"
    missing = Counter(stage for context in bundle.contexts for stage in context.degraded)
    for stage, count in sorted(missing.items()):
        yield f"{count} contexts were found without {stage}"


def _sample(metrics: Sequence[MetricResult], baseline: str) -> Iterator[str]:
    overall = {each.metric: each for each in metrics if each.scope == OVERALL}
    if CORRECT not in overall:
        yield "no question has a known answer: nothing is said about which answers are right"
    for name in (CORRECT, E2EL):
        for delta in overall[name].deltas if name in overall else ():
            if delta.unpaired:
                yield (
                    f"{delta.unpaired} questions have {name} in one of {delta.arm} and {baseline} alone: "
                    "left out of their difference"
                )
    for delta in overall[CORRECT].deltas if CORRECT in overall else ():
        yield from _power(overall[CORRECT], delta, baseline)


def _power(correct: MetricResult, delta: Delta, baseline: str) -> Iterator[str]:
    rates = {rate.arm: rate.value for rate in correct.rates}
    if delta.difference == 0 and not delta.gained and not delta.lost and rates[delta.arm] in {0.0, 1.0}:
        which = "every question right" if rates[delta.arm] else "no question right"
        yield f"{delta.arm} and {baseline} have {which}: these questions do not tell them apart"
    if delta.smallest_detectable is None:
        yield f"n = {delta.n} is too small a sample to compare {delta.arm} with {baseline} in {CORRECT}"
    elif delta.smallest_detectable > COARSE:
        yield (
            f"n = {delta.n} is a small sample: between {delta.arm} and {baseline} no difference in "
            f"{CORRECT} under {100 * delta.smallest_detectable:.0f} points would show"
        )


def _conditions(bundle: Bundle) -> Iterator[str]:
    conditions = bundle.manifest.conditions
    if not conditions.serial and conditions.concurrency > 1:
        yield (
            f"up to {conditions.concurrency} requests ran at once: latencies include waiting for each other"
        )
    if not conditions.cold:
        yield ("prompts were not kept apart in prefix caches: an arm may have gained from another's")


ALPHA = 0.05


def list_verdicts(
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
