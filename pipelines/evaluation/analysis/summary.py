"""What a reader must know before the numbers, and each arm's quality and latency in one sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from pipelines.evaluation.analysis.comparisons import compare_arms
from pipelines.evaluation.analysis.scores import AnswerScores, cluster_name, is_late
from pipelines.evaluation.bundle.records import Bundle
from pipelines.evaluation.grounding.calibration import calibration_id, keeps_outdated_evidence
from pipelines.evaluation.metric import AnswerInContext, primary_metric
from pipelines.evaluation.metrics.groundedness import judge_again
from pipelines.evaluation.results import OVERALL, ArmOutcome, Delta, MetricResult, RatioResult
from pipelines.evaluation.statistics import Score, format_p

ALPHA = 0.05
COARSE = 0.2
"""A sample that shows nothing under 20 points is called too small."""


def list_verdicts(
    metrics: Sequence[MetricResult], ratios: Sequence[RatioResult], arms: Sequence[str], baseline: str
) -> tuple[str, ...]:
    """One sentence for each arm, in the order of `arms`; one without anything to compare is left out."""
    quality, latency = primary_metric("quality"), primary_metric("latency")
    differences = {
        delta.arm: delta
        for result in metrics
        if result.scope == OVERALL and result.metric == quality.name
        for delta in result.deltas
    }
    factors = {
        ratio.arm: ratio for ratio in ratios if ratio.scope == OVERALL and ratio.metric == latency.name
    }
    verdicts = []
    for arm in arms:
        difference, factor = differences.get(arm), factors.get(arm)
        if difference is not None and factor is not None:
            joint = ", and" if difference.detectable else f"; {arm}"
            verdicts.append(
                f"{difference.verdict.removesuffix('.')}{joint} {_describe_factor(factor, latency.label)}."
            )
        elif difference is not None:
            verdicts.append(difference.verdict)
        elif factor is not None:
            verdicts.append(f"{arm}, compared with {baseline}, {_describe_factor(factor, latency.label)}.")
    return tuple(verdicts)


def list_warnings(
    bundle: Bundle,
    scored: Sequence[AnswerScores],
    outcomes: Sequence[ArmOutcome],
    metrics: Sequence[MetricResult],
    *,
    baseline: str,
    seed: int,
) -> tuple[str, ...]:
    """Failures, truncations, what was left out, a sample that is too small, unusual conditions."""
    return (
        *_warn_of_failures(scored, outcomes, baseline, seed),
        *_warn_of_truncations(outcomes),
        *_warn_of_missing_stages(bundle, scored),
        *_warn_of_the_sample(metrics, baseline),
        *_warn_of_conditions(bundle),
    )


def _describe_factor(ratio: RatioResult, label: str) -> str:
    """A part of a sentence whose subject is the arm."""
    facts = [f"n = {ratio.n}"]
    if ratio.low is not None and ratio.high is not None:
        facts.append(f"{1 - ALPHA:.0%} interval {_times(ratio.low)} to {_times(ratio.high)}")
    listed = ", ".join(facts)
    if ratio.p_report is None or ratio.p_report > ALPHA:
        return f"shows no detectable difference in {label} ({_times(ratio.ratio)} times as long, {listed})"
    return f"takes {_times(ratio.ratio)} times as long ({label}, {listed})"


def _times(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 2 else f"{ratio:.1f}"


def _warn_of_failures(
    scored: Sequence[AnswerScores], outcomes: Sequence[ArmOutcome], baseline: str, seed: int
) -> Iterator[str]:
    """Every arm's, and what it would come to if their questions had not been asked."""
    for outcome in outcomes:
        if not outcome.failed:
            continue
        codes = ", ".join(f"{code} {count}" for code, count in outcome.failed.items())
        yield (
            f"{sum(outcome.failed.values())} of {outcome.asked} requests of {outcome.arm} failed ({codes}): "
            "they count as not correct, and have no latency"
        )
        late = [
            answer.answer.elapsed or 0.0
            for answer in scored
            if answer.answer.arm == outcome.arm and is_late(answer.answer)
        ]
        if late:
            yield (
                f"{len(late)} of them timed out, after {min(late):.0f} s or more: their latency counts as "
                f"that, so that what is said of the latency of {outcome.arm} is a lower bound"
            )
    failed = {answer.question.id for answer in scored if answer.failed}
    if not failed:
        return
    quality = primary_metric("quality")
    kept = [answer for answer in scored if answer.question.id not in failed]
    for outcome in outcomes:
        if outcome.arm == baseline:
            continue
        left, right = (_scores_of(kept, arm, quality.name) for arm in (baseline, outcome.arm))
        difference = compare_arms(quality, left, right, seed)
        if difference is not None:
            yield (
                f"without the {len(failed)} questions that have a failed request {outcome.arm} is "
                f"{100 * difference.difference:+.1f} points from {baseline} in {quality.name} "
                f"(n = {difference.n}, p {format_p(difference.p)}, not adjusted)"
            )


def _scores_of(scored: Sequence[AnswerScores], arm: str, metric: str) -> list[Score]:
    return [
        Score(answer.question.id, answer.scores[metric], cluster_name(answer.question))
        for answer in scored
        if answer.answer.arm == arm and metric in answer.scores
    ]


def _warn_of_truncations(outcomes: Sequence[ArmOutcome]) -> Iterator[str]:
    for outcome in outcomes:
        if outcome.truncated:
            yield (
                f"{outcome.truncated} of {outcome.asked} requests of {outcome.arm} ended at a limit without "
                "an answer: not correct, with an E2EL that the limit set, and no TTFO"
            )


def _warn_of_missing_stages(bundle: Bundle, scored: Sequence[AnswerScores]) -> Iterator[str]:
    """Stages and models that were not there."""
    for arm in bundle.manifest.arms:
        replies = [answer.reply for answer in scored if answer.answer.arm == arm.name]
        missing = Counter(stage for reply in replies for stage in reply.degraded)
        for stage, count in sorted(missing.items()):
            yield f"{count} answers of {arm.name} had to do without {stage}"
        unjudged = Counter(reply.groundedness_missing for reply in replies if reply.groundedness_missing)
        for reason, count in sorted(unjudged.items()):
            yield f"the groundedness of {count} answers of {arm.name} is missing: {reason}"
        yield from _warn_of_groundedness(
            arm.name, [answer for answer in scored if answer.answer.arm == arm.name]
        )
    missing = Counter(stage for context in bundle.contexts for stage in context.degraded)
    for stage, count in sorted(missing.items()):
        yield f"{count} contexts were found without {stage}"


def _warn_of_groundedness(arm: str, scored: Sequence[AnswerScores]) -> Iterator[str]:
    """Answers that an earlier scorer judged, and claims whose language no scorer here is fitted for."""
    records = [answer.reply.groundedness for answer in scored if answer.reply.groundedness]
    earlier = Counter(record.calibration for record in records if keeps_outdated_evidence(record))
    for scorer, count in sorted(earlier.items()):
        yield (
            f"the groundedness of {count} answers of {arm} was recorded by the earlier scorer {scorer}: "
            f"it is judged anew from their passages, by {calibration_id()}"
        )
    apart = sum(
        judged.answer.not_judged
        for answer in scored
        if (judged := judge_again(AnswerInContext(answer.question.item, answer.context, answer.reply)))
    )
    if apart:
        yield f"{apart} claims of {arm} are in a language that groundedness is not calibrated for: not judged"


def _warn_of_the_sample(metrics: Sequence[MetricResult], baseline: str) -> Iterator[str]:
    quality, latency = primary_metric("quality").name, primary_metric("latency").name
    overall = {result.metric: result for result in metrics if result.scope == OVERALL}
    if quality not in overall:
        yield "no question has a known answer: nothing is said about which answers are right"
    for name in (quality, latency):
        for delta in overall[name].deltas if name in overall else ():
            if delta.unpaired:
                yield (
                    f"{delta.unpaired} questions have {name} in one of {delta.arm} and {baseline} alone: "
                    "left out of their difference"
                )
    apart = {
        result.metric: sum(delta.unpaired for delta in result.deltas)
        for result in overall.values()
        if result.metric not in {quality, latency} and any(delta.unpaired for delta in result.deltas)
    }
    if apart:
        listed = ", ".join(f"{name} ({count})" for name, count in apart.items())
        yield (
            f"scored in one arm alone, and left out of the difference: {listed} questions. Their arms' rates "
            "are of different questions"
        )
    for delta in overall[quality].deltas if quality in overall else ():
        yield from _warn_of_power(overall[quality], delta, baseline)


def _warn_of_power(quality: MetricResult, delta: Delta, baseline: str) -> Iterator[str]:
    rates = {rate.arm: rate.value for rate in quality.rates}
    if delta.difference == 0 and not delta.gained and not delta.lost and rates[delta.arm] in {0.0, 1.0}:
        which = "every question right" if rates[delta.arm] else "no question right"
        yield f"{delta.arm} and {baseline} have {which}: these questions do not tell them apart"
    if delta.smallest_detectable is None:
        yield (
            f"n = {delta.n} is too small a sample to compare {delta.arm} with {baseline} in {quality.metric}"
        )
    elif delta.smallest_detectable > COARSE:
        yield (
            f"n = {delta.n} is a small sample: between {delta.arm} and {baseline} no difference in "
            f"{quality.metric} under {100 * delta.smallest_detectable:.0f} points would show"
        )


def _warn_of_conditions(bundle: Bundle) -> Iterator[str]:
    conditions = bundle.manifest.conditions
    if not conditions.serial and conditions.concurrency > 1:
        yield (
            f"up to {conditions.concurrency} requests ran at once: latencies include waiting for each other"
        )
    if not conditions.cold:
        yield "prompts were not kept apart in prefix caches: an arm may have gained from another's"
