"""What people's marks of some answers say about all of them, and about the scorer on this very run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pipelines.evaluation.analysis.scores import AnswerScores
from pipelines.evaluation.bundle.labels import Aspect, find_marks, hash_labels
from pipelines.evaluation.bundle.records import Bundle
from pipelines.evaluation.labelled import LabelledEstimate, LabelResult, ScorerError
from pipelines.evaluation.statistics import share_interval
from pipelines.evaluation.statistics.ppi import LEAST_LABELS, label_powered_mean

ASPECTS: tuple[Aspect, ...] = ("correct", "supported")
Marks = Mapping[tuple[str, str, int], Mapping[Aspect, float]]


def estimate_labels(bundle: Bundle, scored: Sequence[AnswerScores], baseline: str) -> LabelResult | None:
    """Estimate from a bundle's marks; None where nothing was marked.

    Each arm's rate, and each arm's difference to the baseline over questions of which both answers are
    marked, from `LEAST_LABELS` marks on.
    """
    if not bundle.labels:
        return None
    marks = find_marks(bundle, bundle.labels)
    first = [answer for answer in scored if answer.answer.repeat == 0]
    arms = [arm.name for arm in bundle.manifest.arms]
    estimates: list[LabelledEstimate] = []
    errors: list[ScorerError] = []
    for aspect in ASPECTS:
        known = {
            (answer.question.id, answer.answer.arm): answer for answer in first if aspect in answer.scores
        }
        for arm in arms:
            own = [answer for (_, name), answer in known.items() if name == arm]
            errors += _count_errors(aspect, arm, own, marks)
            estimates += _estimate_rate(aspect, arm, own, marks)
        for arm in arms:
            if arm != baseline:
                estimates += _estimate_difference(aspect, arm, baseline, known, marks)
    return LabelResult(
        sha256=hash_labels(bundle.labels),
        marked=sum(bool(own) for own in marks.values()),
        needed=LEAST_LABELS,
        estimates=tuple(estimates),
        errors=tuple(errors),
    )


def _find_mark(marks: Marks, answer: AnswerScores, aspect: Aspect) -> float | None:
    return marks.get(answer.answer.key, {}).get(aspect)


def _count_errors(
    aspect: Aspect, arm: str, answers: Sequence[AnswerScores], marks: Marks
) -> Iterator[ScorerError]:
    """Count where the scorer and people differ; an answer is supported for the scorer where all its claims
    are."""
    told = [(answer, mark) for answer in answers if (mark := _find_mark(marks, answer, aspect)) is not None]
    if not told:
        return
    wrong = [float((answer.scores[aspect] >= 1) != (mark >= 1)) for answer, mark in told]
    spread = share_interval(wrong, [answer.question.cluster for answer, _ in told]) or (None, None)
    yield ScorerError(
        metric=aspect,
        arm=arm,
        wrong=int(sum(wrong)),
        n=len(wrong),
        low=spread[0],
        high=spread[1],
        too_good=sum(answer.scores[aspect] >= 1 > mark for answer, mark in told),
    )


def _estimate_rate(
    aspect: Aspect, arm: str, answers: Sequence[AnswerScores], marks: Marks
) -> Iterator[LabelledEstimate]:
    yield from _estimate(
        aspect,
        arm,
        "",
        scores=[answer.scores[aspect] for answer in answers],
        labels=[_find_mark(marks, answer, aspect) for answer in answers],
        clusters=[answer.question.cluster for answer in answers],
        ends=(0.0, 1.0),
    )


def _estimate_difference(
    aspect: Aspect,
    arm: str,
    baseline: str,
    known: Mapping[tuple[str, str], AnswerScores],
    marks: Marks,
) -> Iterator[LabelledEstimate]:
    both = [
        (known[question, baseline], answer)
        for (question, name), answer in known.items()
        if name == arm and (question, baseline) in known
    ]
    labels: list[float | None] = []
    for base, own in both:
        left, right = (_find_mark(marks, answer, aspect) for answer in (base, own))
        labels.append(None if left is None or right is None else right - left)
    yield from _estimate(
        aspect,
        arm,
        baseline,
        scores=[own.scores[aspect] - base.scores[aspect] for base, own in both],
        labels=labels,
        clusters=[own.question.cluster for _, own in both],
        ends=(-1.0, 1.0),
    )


def _estimate(
    aspect: Aspect,
    arm: str,
    against: str,
    *,
    scores: Sequence[float],
    labels: Sequence[float | None],
    clusters: Sequence[str],
    ends: tuple[float, float],
) -> Iterator[LabelledEstimate]:
    mean = label_powered_mean(scores, labels, clusters)
    if mean is not None:
        low, high = ends
        yield LabelledEstimate(
            metric=aspect,
            arm=arm,
            against=against,
            n=mean.n,
            labelled=mean.labelled,
            scored=mean.scored,
            value=max(low, min(high, mean.value)),
            low=max(low, mean.low),
            high=min(high, mean.high),
            weight=mean.weight,
        )
