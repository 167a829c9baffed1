"""What a judge's verdicts come to, and what they are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pipelines.evaluation.analysis.catalogue import CORRECT
from pipelines.evaluation.analysis.scores import AnswerScores, cluster_name
from pipelines.evaluation.bundle.records import AnswerPair, Bundle, pair_answers
from pipelines.evaluation.judge import Pair
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

SUPPORTED = "supported"
SAID = "the judge's preference"
_VALUE: Mapping[Winner, float] = {"one": 0.0, "tie": 0.5, "other": 1.0}


def summarise_judge(bundle: Bundle, marked: Sequence[AnswerScores], seed: int) -> JudgeResult | None:
    """None where nobody judged. `one` of a pair is the manifest's baseline, `other` the arm."""
    judge = bundle.manifest.judge
    if judge is None:
        return None
    replies = {each.key: each.reply for each in bundle.verdicts}
    clusters = {each.id: cluster_name(each) or each.id for each in bundle.questions}
    every = list(pair_answers(bundle))
    pairs = [
        (
            match,
            Pair(
                judge=judge.model.id,
                one=bundle.manifest.baseline,
                other=match.arm,
                forward=replies[match.question, match.arm, match.repeat, "baseline"],
                backward=replies[match.question, match.arm, match.repeat, "arm"],
            ),
        )
        for match in every
        if match.asked
    ]
    names = [clusters[match.question] for match, _ in pairs]
    winners = [each.winners for _, each in pairs]
    both = [(one == other, name) for (one, other), name in zip(winners, names, strict=True) if one and other]
    shown = [
        (said == at, name)
        for each, name in zip(winners, names, strict=True)
        for said, at in zip(each, ("one", "other"), strict=True)
        if said in {"one", "other"}
    ]
    unread = [(said is None, name) for each, name in zip(winners, names, strict=True) for said in each]
    scores = {mark.answer.key: mark.metrics for mark in marked}
    right = _labelled(pairs, scores, bundle.manifest.baseline, CORRECT)
    supported = _labelled(pairs, scores, bundle.manifest.baseline, SUPPORTED)
    return JudgeResult(
        judge=judge.model.id,
        model_id=judge.model.model_id,
        baseline=bundle.manifest.baseline,
        pairs=len(pairs),
        failed=sum(each.error is not None for each in bundle.verdicts),
        unread=_counted(unread),
        flips=_counted([(not same, name) for same, name in both]),
        first_shown=_counted(shown),
        kappa=cohens_kappa([(str(one), str(other)) for one, other in winners if one and other]),
        with_correct=_counted([(one == other, clusters[name]) for one, other, name in right]),
        kappa_correct=cohens_kappa([(one, other) for one, other, _ in right]),
        with_supported=_counted([(one == other, clusters[name]) for one, other, name in supported]),
        kappa_supported=cohens_kappa([(one, other) for one, other, _ in supported]),
        arms=_arms(bundle, every, pairs, seed),
    )


def _counted(seen: Sequence[tuple[bool, str]]) -> Counted:
    """How many of how many, with the interval by clusters: pairs of one question are not independent."""
    found = share_interval([float(each) for each, _ in seen], [name for _, name in seen]) if seen else None
    low, high = found or (None, None)
    return Counted(count=sum(each for each, _ in seen), n=len(seen), low=low, high=high)


def _labelled(
    pairs: Sequence[tuple[AnswerPair, Pair]],
    scores: Mapping[tuple[str, str, int], Mapping[str, float]],
    baseline: str,
    metric: str,
) -> list[tuple[Winner, Winner, str]]:
    """The judge's winner and the metric's, where both are known, and the question."""
    found: list[tuple[Winner, Winner, str]] = []
    for match, each in pairs:
        one = scores[match.question, baseline, match.repeat].get(metric)
        other = scores[match.question, match.arm, match.repeat].get(metric)
        if each.winner is None or one is None or other is None:
            continue
        label: Winner = "tie" if one == other else "one" if one > other else "other"
        found.append((each.winner, label, match.question))
    return found


def _arms(
    bundle: Bundle, every: Sequence[AnswerPair], pairs: Sequence[tuple[AnswerPair, Pair]], seed: int
) -> tuple[JudgedArm, ...]:
    asked = {each.id: each for each in bundle.questions}
    baseline = bundle.manifest.baseline
    compared: dict[str, Difference] = {}
    settled: dict[str, list[Winner | None]] = {}
    for arm in (each.name for each in bundle.manifest.arms[1:]):
        mine = [(match, each.winner) for match, each in pairs if match.arm == arm]
        settled[arm] = [winner for _, winner in mine]
        known = [(match, winner) for match, winner in mine if winner is not None]
        known += [(match, "tie") for match in every if match.arm == arm and match.alike]
        values = [
            (match.question, _VALUE[winner], cluster_name(asked[match.question])) for match, winner in known
        ]
        if values:
            left = [Score(name, 1 - value, group) for name, value, group in values]
            right = [Score(name, value, group) for name, value, group in values]
            compared[arm] = compare(SAID, pair(left, right), seed=seed)
    adjusted = dict(zip(compared, adjust_together(list(compared.values())), strict=True))
    return tuple(
        _arm(arm, baseline, [each for each in every if each.arm == arm], winners, adjusted.get(arm))
        for arm, winners in settled.items()
    )


def _arm(
    arm: str,
    baseline: str,
    every: Sequence[AnswerPair],
    winners: Sequence[Winner | None],
    found: Difference | None,
) -> JudgedArm:
    return JudgedArm(
        arm=arm,
        won=winners.count("other"),
        lost=winners.count("one"),
        tied=winners.count("tie"),
        unsettled=winners.count(None),
        alike=sum(each.alike for each in every),
        left_out=sum(each.empty for each in every),
        n=0 if found is None else found.n,
        clusters=0 if found is None else found.clusters,
        difference=None if found is None else found.difference,
        low=None if found is None else found.low,
        high=None if found is None else found.high,
        p_adjusted=None if found is None else found.p_adjusted,
        smallest_detectable=None if found is None else found.smallest_detectable,
        better=None if found is None else found.better,
        verdict=""
        if found is None
        else describe_difference(replace(found, discordant=None), baseline=baseline, candidate=arm),
    )
