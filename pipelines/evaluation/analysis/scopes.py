"""Which questions are looked at together, and which of them are not independent of each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pipelines.evaluation.analysis.catalogue import CORRECT, PAIRS
from pipelines.evaluation.analysis.marks import Mark, context_metrics
from pipelines.evaluation.bundle.records import Asked, Bundle
from pipelines.evaluation.results import OVERALL, SHARED
from pipelines.evaluation.statistics import Score

Samples = dict[str, dict[str, list[Score]]]
"""Metric to arm to scores, a score for each answer."""


@dataclass(frozen=True, slots=True)
class Scope:
    name: str
    questions: frozenset[str]


def scopes(questions: Sequence[Asked]) -> list[Scope]:
    """All questions, each data set, and each type where a data set has several; in the bundle's order."""
    found = [Scope(OVERALL, frozenset(each.id for each in questions))]
    for dataset, own in _by(questions, lambda each: each.dataset).items():
        found.append(Scope(dataset, frozenset(each.id for each in own)))
        types = _by(own, lambda each: each.type)
        if len(types) > 1:
            found += [
                Scope(f"{dataset}/{kind}", frozenset(each.id for each in some))
                for kind, some in types.items()
            ]
    return found


def cluster(asked: Asked) -> str:
    """The name of what it shares with other questions; "" where it stands alone."""
    return f"{asked.dataset}/{asked.item.group}" if asked.item.group else ""


def samples(scope: Scope, marked: Sequence[Mark], bundle: Bundle) -> Samples:
    found: Samples = {}
    inside = [mark for mark in marked if mark.asked.id in scope.questions]
    for mark in inside:
        for name, value in mark.metrics.items():
            score = Score(mark.asked.id, value, cluster(mark.asked))
            found.setdefault(name, {}).setdefault(mark.answer.arm, []).append(score)
    found[PAIRS] = _pairs(scope, inside, bundle.questions)
    contexts = {each.question: each for each in bundle.contexts}
    for asked in bundle.questions:
        if asked.id in scope.questions:
            for name, value in context_metrics(asked, contexts[asked.id]).items():
                score = Score(asked.id, value, cluster(asked))
                found.setdefault(name, {}).setdefault(SHARED, []).append(score)
    return found


def twins(questions: Iterable[Asked]) -> dict[str, list[Asked]]:
    """Groups of questions that look alike and are answered otherwise: their items have different roles."""
    grouped = _by((each for each in questions if each.item.group), cluster)
    return {
        name: group
        for name, group in grouped.items()
        if len({each.item.meta.get("role", "") for each in group}) > 1
    }


def _pairs(scope: Scope, marked: Sequence[Mark], questions: Sequence[Asked]) -> dict[str, list[Score]]:
    """1 where all twins of a group are right in the same repeat; the group is then what is counted."""
    right: dict[tuple[str, str, int], float] = {}
    for mark in marked:
        if CORRECT in mark.metrics:
            right[mark.answer.key] = mark.metrics[CORRECT]
    rounds = dict.fromkeys((mark.answer.arm, mark.answer.repeat) for mark in marked)
    found: dict[str, list[Score]] = {}
    for name, group in twins(questions).items():
        if not all(each.id in scope.questions for each in group):
            continue
        for arm, repeat in rounds:
            each_right = [right.get((each.id, arm, repeat)) for each in group]
            known = [value for value in each_right if value is not None]
            if len(known) == len(group):
                found.setdefault(arm, []).append(Score(name, min(known)))
    return found


def _by(questions: Iterable[Asked], key: Callable[[Asked], str]) -> dict[str, list[Asked]]:
    found: dict[str, list[Asked]] = {}
    for each in questions:
        found.setdefault(key(each), []).append(each)
    return found
