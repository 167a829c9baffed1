"""What a judge's verdicts come to, and what they are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipelines.evaluation.analysis.correction import correct_preferences
from pipelines.evaluation.analysis.scores import AnswerScores, cluster_name
from pipelines.evaluation.bundle.records import AnswerPair, Bundle, pair_answers
from pipelines.evaluation.judge import Pair
from pipelines.evaluation.metrics.correct import correct
from pipelines.evaluation.metrics.groundedness import supported
from pipelines.evaluation.results import Counted, JudgedArm, JudgeResult
from pipelines.evaluation.statistics import (
    Difference,
    Score,
    adjust_together,
    compare,
    describe_difference,
    pair,
    share_interval,
)
from pipelines.evaluation.statistics.agreement import Winner, cohens_kappa

NAME = "the judge's preference"
"""What is compared, in a verdict's sentence."""
_VALUE: Mapping[Winner, float] = {"one": 0.0, "tie": 0.5, "other": 1.0}


@dataclass(frozen=True, slots=True)
class _JudgedPair:
    """Two answers and the judge's verdicts on them; `cluster` is that of their question."""

    answers: AnswerPair
    judged: Pair
    cluster: str


def summarise_judge(bundle: Bundle, scored: Sequence[AnswerScores], seed: int) -> JudgeResult | None:
    """The judge's results; None where nobody judged. `one` of a pair is the manifest's baseline, `other` the
    arm."""
    judge = bundle.manifest.judge
    if judge is None:
        return None
    answers = list(pair_answers(bundle))
    pairs = _read_verdicts(bundle, answers, judge.model.id)
    decided = [
        (str(one), str(other), pair.cluster)
        for pair in pairs
        for one, other in [pair.judged.winners]
        if one and other
    ]
    verdicts = [
        (winner, side, pair.cluster)
        for pair in pairs
        for winner, side in zip(pair.judged.winners, ("one", "other"), strict=True)
    ]
    scores = {answer.answer.key: answer.scores for answer in scored}
    by_correct = _pair_labels(pairs, scores, bundle.manifest.baseline, correct.name)
    by_supported = _pair_labels(pairs, scores, bundle.manifest.baseline, supported.name)
    return JudgeResult(
        judge=judge.model.id,
        model_id=judge.model.model_id,
        baseline=bundle.manifest.baseline,
        pairs=len(pairs),
        failed=sum(reply.error is not None for reply in bundle.verdicts),
        unread=_count([(winner is None, cluster) for winner, _, cluster in verdicts]),
        flips=_count([(one != other, cluster) for one, other, cluster in decided]),
        first_shown=_count(
            [(winner == side, cluster) for winner, side, cluster in verdicts if winner in {"one", "other"}]
        ),
        kappa=cohens_kappa([(one, other) for one, other, _ in decided]),
        with_correct=_count([(mine == label, cluster) for mine, label, cluster in by_correct]),
        kappa_correct=cohens_kappa([(mine, label) for mine, label, _ in by_correct]),
        with_supported=_count([(mine == label, cluster) for mine, label, cluster in by_supported]),
        kappa_supported=cohens_kappa([(mine, label) for mine, label, _ in by_supported]),
        arms=_compare_arms(bundle, answers, pairs, seed),
    )


def _read_verdicts(bundle: Bundle, answers: Sequence[AnswerPair], judge: str) -> list[_JudgedPair]:
    """The pairs that the judge was asked about, with its replies in both orders."""
    replies = {verdict.key: verdict.reply for verdict in bundle.verdicts}
    clusters = {question.id: cluster_name(question) or question.id for question in bundle.questions}
    return [
        _JudgedPair(
            answers=two,
            judged=Pair(
                judge=judge,
                one=bundle.manifest.baseline,
                other=two.arm,
                forward=replies[two.question, two.arm, two.repeat, "baseline"],
                backward=replies[two.question, two.arm, two.repeat, "arm"],
            ),
            cluster=clusters[two.question],
        )
        for two in answers
        if two.comparable
    ]


def _count(seen: Sequence[tuple[bool, str]]) -> Counted:
    """How many of how many, with the interval by clusters: pairs of one question are not independent."""
    spread = (
        share_interval([float(hit) for hit, _ in seen], [cluster for _, cluster in seen]) if seen else None
    )
    low, high = spread or (None, None)
    return Counted(count=sum(hit for hit, _ in seen), n=len(seen), low=low, high=high)


def _pair_labels(
    pairs: Sequence[_JudgedPair],
    scores: Mapping[tuple[str, str, int], Mapping[str, float]],
    baseline: str,
    metric: str,
) -> list[tuple[Winner, Winner, str]]:
    """The judge's winner and the metric's, where both are known, and the question's cluster."""
    labels: list[tuple[Winner, Winner, str]] = []
    for pair_ in pairs:
        two, winner = pair_.answers, pair_.judged.winner
        one = scores[two.question, baseline, two.repeat].get(metric)
        other = scores[two.question, two.arm, two.repeat].get(metric)
        if winner is None or one is None or other is None:
            continue
        label: Winner = "tie" if one == other else "one" if one > other else "other"
        labels.append((winner, label, pair_.cluster))
    return labels


def _compare_arms(
    bundle: Bundle, answers: Sequence[AnswerPair], pairs: Sequence[_JudgedPair], seed: int
) -> tuple[JudgedArm, ...]:
    questions = {question.id: question for question in bundle.questions}
    baseline = bundle.manifest.baseline
    differences: dict[str, Difference] = {}
    winners: dict[str, list[Winner | None]] = {}
    for arm in (arm.name for arm in bundle.manifest.arms[1:]):
        own = [(judged.answers, judged.judged.winner) for judged in pairs if judged.answers.arm == arm]
        winners[arm] = [winner for _, winner in own]
        known = [(two, winner) for two, winner in own if winner is not None]
        known += [(two, "tie") for two in answers if two.arm == arm and two.alike]
        values = [
            (two.question, _VALUE[winner], cluster_name(questions[two.question])) for two, winner in known
        ]
        if values:
            left = [Score(name, 1 - value, group) for name, value, group in values]
            right = [Score(name, value, group) for name, value, group in values]
            differences[arm] = compare(NAME, pair(left, right), seed=seed)
    adjusted = dict(zip(differences, adjust_together(list(differences.values())), strict=True))
    marked = correct_preferences(differences)
    return tuple(
        _describe_arm(
            arm,
            baseline,
            [two for two in answers if two.arm == arm],
            own,
            None if arm not in adjusted else (adjusted[arm], marked[arm]),
        )
        for arm, own in winners.items()
    )


def _describe_arm(
    arm: str,
    baseline: str,
    answers: Sequence[AnswerPair],
    winners: Sequence[Winner | None],
    corrected: tuple[Difference, float] | None,
) -> JudgedArm:
    """An arm's row; `corrected` is its difference with its p over the whole report."""
    counts = JudgedArm(
        arm=arm,
        won=winners.count("other"),
        lost=winners.count("one"),
        tied=winners.count("tie"),
        unsettled=winners.count(None),
        alike=sum(two.alike for two in answers),
        left_out=sum(two.empty for two in answers),
        n=0,
        clusters=0,
        difference=None,
        low=None,
        high=None,
        p_adjusted=None,
        smallest_detectable=None,
        better=None,
        verdict="",
    )
    if corrected is None:
        return counts
    difference, p_report = corrected
    graded = replace(difference, discordant=None, p_adjusted=p_report)
    return counts.model_copy(
        update={
            "n": difference.n,
            "clusters": difference.clusters,
            "difference": difference.difference,
            "low": difference.low,
            "high": difference.high,
            "p_adjusted": difference.p_adjusted,
            "p_report": p_report,
            "smallest_detectable": difference.smallest_detectable,
            "better": graded.better,
            "verdict": describe_difference(graded, baseline=baseline, candidate=arm),
        }
    )
