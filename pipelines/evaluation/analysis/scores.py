"""Each answer's metrics, and which answers are looked at together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pipelines.evaluation.analysis.catalogue import CORRECT, LOST_BY_FAILING, PAIRS
from pipelines.evaluation.analysis.latencies import latencies
from pipelines.evaluation.analysis.support import (
    citation_metrics,
    groundedness_metrics,
    quotation_metrics,
    supported_by_record,
    supported_by_words,
)
from pipelines.evaluation.bundle.records import Answer, Bundle, Context, RunQuestion
from pipelines.evaluation.datasets.items import Item
from pipelines.evaluation.metrics.ranking import recall, reciprocal_rank
from pipelines.evaluation.metrics.shape import truncated
from pipelines.evaluation.results import OVERALL, SHARED
from pipelines.evaluation.scoring import scores
from pipelines.evaluation.statistics import Score
from services.core.wire.compare import ArmReply


@dataclass(frozen=True, slots=True)
class AnswerScores:
    """One answer with its metrics by name. `declined` where it says that there is no answer."""

    asked: RunQuestion
    context: Context
    answer: Answer
    metrics: dict[str, float]

    @property
    def reply(self) -> ArmReply:
        return self.answer.reply

    @property
    def failed(self) -> bool:
        return self.reply.status == "failed"

    @property
    def empty(self) -> bool:
        """Nothing was answered: a failure, or thinking that never came to an answer."""
        return self.failed or not self.reply.content.strip()

    @property
    def declined(self) -> bool:
        return not self.empty and self.metrics["abstained"] > 0


def score_answers(bundle: Bundle) -> list[AnswerScores]:
    """In the bundle's order."""
    asked = {each.id: each for each in bundle.questions}
    contexts = {each.question: each for each in bundle.contexts}
    return [
        AnswerScores(asked[each.question], contexts[each.question], each, _metrics(asked, contexts, each))
        for each in bundle.answers
    ]


def score_context(asked: RunQuestion, context: Context) -> dict[str, float]:
    """What retrieval found of a question's relevant passages; nothing where it did not search, or nobody
    knows.

    Recall at k, k being the number of passages that the context holds, and the reciprocal rank.
    """
    if context.grounds != "retrieved" or not asked.item.relevant:
        return {}
    ranking = context.relevant_found
    return {
        "context recall": recall(ranking, asked.item.relevant, len(ranking)),
        "reciprocal rank": reciprocal_rank(ranking, asked.item.relevant),
    }


def _metrics(asked: dict[str, RunQuestion], contexts: dict[str, Context], answer: Answer) -> dict[str, float]:
    item, context, reply = asked[answer.question].item, contexts[answer.question], answer.reply
    if reply.status == "failed":
        lost = scores(item, "")
        return {name: 0.0 for name in LOST_BY_FAILING if name in lost}
    found = scores(item, reply.content)
    found |= latencies(reply, context)
    found["truncated"] = float(truncated(reply.finish_reason))
    if not reply.content.strip():
        return found
    return found | _abstention(item, found) | _support(reply, context, declined=found["abstained"] > 0)


def _abstention(item: Item, found: dict[str, float]) -> dict[str, float]:
    if not item.answerable:
        return {"hallucination rate": 1 - found["abstained"]}
    return {"abstention error rate": found["abstained"]} if item.answers else {}


def _support(reply: ArmReply, context: Context, *, declined: bool) -> dict[str, float]:
    """Of an answer that declines nothing: one that does has nothing to support. Citations only where the
    prompt asked for them."""
    passages = [passage.text for passage in context.context.passages]
    if declined or not passages:
        return {}
    found = quotation_metrics(reply.content, passages)
    if reply.groundedness is not None:
        found |= groundedness_metrics(reply.groundedness)
    if "cite" in reply.prompt.split("-"):
        record = reply.groundedness
        supports = supported_by_words if record is None else supported_by_record(record)
        found |= citation_metrics(reply.content, passages, supports)
    return found


Samples = dict[str, dict[str, list[Score]]]
"""Metric to arm to scores, a score for each answer."""


@dataclass(frozen=True, slots=True)
class Scope:
    name: str
    questions: frozenset[str]


def list_scopes(questions: Sequence[RunQuestion]) -> list[Scope]:
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


def cluster_name(asked: RunQuestion) -> str:
    """The name of what it shares with other questions; "" where it stands alone."""
    return f"{asked.dataset}/{asked.item.group}" if asked.item.group else ""


def gather_samples(scope: Scope, marked: Sequence[AnswerScores], bundle: Bundle) -> Samples:
    found: Samples = {}
    inside = [mark for mark in marked if mark.asked.id in scope.questions]
    for mark in inside:
        for name, value in mark.metrics.items():
            score = Score(mark.asked.id, value, cluster_name(mark.asked))
            found.setdefault(name, {}).setdefault(mark.answer.arm, []).append(score)
    found[PAIRS] = _pairs(scope, inside, bundle.questions)
    contexts = {each.question: each for each in bundle.contexts}
    for asked in bundle.questions:
        if asked.id in scope.questions:
            for name, value in score_context(asked, contexts[asked.id]).items():
                score = Score(asked.id, value, cluster_name(asked))
                found.setdefault(name, {}).setdefault(SHARED, []).append(score)
    return found


def find_twins(questions: Iterable[RunQuestion]) -> dict[str, list[RunQuestion]]:
    """Groups of questions that look alike and are answered otherwise: their items have different roles."""
    grouped = _by((each for each in questions if each.item.group), cluster_name)
    return {
        name: group
        for name, group in grouped.items()
        if len({each.item.meta.get("role", "") for each in group}) > 1
    }


def _pairs(
    scope: Scope, marked: Sequence[AnswerScores], questions: Sequence[RunQuestion]
) -> dict[str, list[Score]]:
    """1 where all twins of a group are right in the same repeat; the group is then what is counted."""
    right: dict[tuple[str, str, int], float] = {}
    for mark in marked:
        if CORRECT in mark.metrics:
            right[mark.answer.key] = mark.metrics[CORRECT]
    rounds = dict.fromkeys((mark.answer.arm, mark.answer.repeat) for mark in marked)
    found: dict[str, list[Score]] = {}
    for name, group in find_twins(questions).items():
        if not all(each.id in scope.questions for each in group):
            continue
        for arm, repeat in rounds:
            each_right = [right.get((each.id, arm, repeat)) for each in group]
            known = [value for value in each_right if value is not None]
            if len(known) == len(group):
                found.setdefault(arm, []).append(Score(name, min(known)))
    return found


def _by(questions: Iterable[RunQuestion], key: Callable[[RunQuestion], str]) -> dict[str, list[RunQuestion]]:
    found: dict[str, list[RunQuestion]] = {}
    for each in questions:
        found.setdefault(key(each), []).append(each)
    return found
