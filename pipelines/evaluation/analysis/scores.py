"""Each answer's scores, and which answers are looked at together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pipelines.context import freeze
from pipelines.evaluation.bundle.records import Answer, Bundle, Context, RunQuestion
from pipelines.evaluation.datasets.items import Item
from pipelines.evaluation.metric import (
    AnswerInContext,
    AnswerMetric,
    ContextMetric,
    TwinsMetric,
    list_metrics,
)
from pipelines.evaluation.results import OVERALL, SHARED
from pipelines.evaluation.statistics import Score
from services.core.errors import DeadlineExceeded
from services.core.wire.compare import ArmReply

Samples = dict[str, dict[str, list[Score]]]
"""Metric to arm to scores, a score for each answer."""


@dataclass(frozen=True, slots=True)
class AnswerScores:
    """One answer with its scores, metric to value. `declined` where it says that there is no answer."""

    question: RunQuestion
    context: Context
    answer: Answer
    scores: dict[str, float]
    declined: bool

    @property
    def reply(self) -> ArmReply:
        """The arm's reply."""
        return self.answer.reply

    @property
    def failed(self) -> bool:
        """Whether the request failed."""
        return self.reply.status == "failed"

    @property
    def empty(self) -> bool:
        """Whether nothing was answered: a failure, or thinking that never came to an answer."""
        return self.failed or not self.reply.content.strip()


@dataclass(frozen=True, slots=True)
class Scope:
    """The questions that are looked at together, under one name."""

    name: str
    questions: frozenset[str]


def score_answers(bundle: Bundle) -> list[AnswerScores]:
    """Score every answer of a bundle, in the bundle's order."""
    questions = {question.id: question for question in bundle.questions}
    contexts = {context.question: context for context in bundle.contexts}
    return [
        score_record(questions[answer.question], contexts[answer.question], answer)
        for answer in bundle.answers
    ]


def score_answer(answer: AnswerInContext) -> dict[str, float]:
    """The scores of one answer, metric to value: of every metric of answers that applies to it."""
    scores = ((metric.name, metric(answer)) for metric in _answer_metrics())
    return {name: value for name, value in scores if value is not None}


def score_text(item: Item, text: str) -> dict[str, float]:
    """The scores of a bare text as the whole answer to an item: without passages, times and tokens.

    `correct` is the one that answers "is it right?", and is left out where nobody knows.
    """
    reply = ArmReply(arm="text", status="answered", context_id="", content=text, finish_reason="stop")
    context = Context(question=item.id, grounds="none", context=freeze([]))
    return score_answer(AnswerInContext(item, context, reply))


def score_context(question: RunQuestion, context: Context) -> dict[str, float]:
    """The scores of a question's passages, metric to value."""
    metrics = [metric for metric in list_metrics() if isinstance(metric, ContextMetric)]
    scores = ((metric.name, metric.score(question.item, context)) for metric in metrics)
    return {name: value for name, value in scores if value is not None}


def list_scopes(questions: Sequence[RunQuestion]) -> list[Scope]:
    """All questions, each data set, and each type where a data set has several; in the bundle's order."""
    scopes = [Scope(OVERALL, frozenset(question.id for question in questions))]
    for dataset, own in _group_by(questions, lambda question: question.dataset).items():
        scopes.append(Scope(dataset, frozenset(question.id for question in own)))
        types = _group_by(own, lambda question: question.type)
        if len(types) > 1:
            scopes += [
                Scope(f"{dataset}/{kind}", frozenset(question.id for question in some))
                for kind, some in types.items()
            ]
    return scopes


def is_late(answer: Answer) -> bool:
    """Tell whether a request timed out after a known time: its latency is then at least that."""
    error = answer.reply.error
    late = answer.reply.status == "failed" and error is not None and error.code == DeadlineExceeded.code
    return late and bool(answer.elapsed)


def cluster_name(question: RunQuestion) -> str:
    """The name of what it shares with other questions; "" where it stands alone."""
    return question.cluster


def gather_samples(scope: Scope, scored: Sequence[AnswerScores], bundle: Bundle) -> Samples:
    """The scores of a scope's answers, twins and contexts."""
    samples: Samples = {}
    inside = [answer for answer in scored if answer.question.id in scope.questions]
    for answer in inside:
        for name, value in answer.scores.items():
            score = Score(answer.question.id, value, cluster_name(answer.question))
            samples.setdefault(name, {}).setdefault(answer.answer.arm, []).append(score)
    for metric in list_metrics():
        if isinstance(metric, TwinsMetric):
            samples[metric.name] = _score_twins(metric, scope, inside, bundle.questions)
    contexts = {context.question: context for context in bundle.contexts}
    for question in bundle.questions:
        if question.id in scope.questions:
            for name, value in score_context(question, contexts[question.id]).items():
                score = Score(question.id, value, cluster_name(question))
                samples.setdefault(name, {}).setdefault(SHARED, []).append(score)
    return samples


def find_twins(questions: Iterable[RunQuestion]) -> dict[str, list[RunQuestion]]:
    """Groups of questions that look alike and are answered otherwise: their items have different roles."""
    grouped = _group_by((question for question in questions if question.item.group), cluster_name)
    return {
        name: group
        for name, group in grouped.items()
        if len({question.item.meta.get("role", "") for question in group}) > 1
    }


def _answer_metrics() -> list[AnswerMetric]:
    return [metric for metric in list_metrics() if isinstance(metric, AnswerMetric)]


def score_record(question: RunQuestion, context: Context, answer: Answer) -> AnswerScores:
    """Score one recorded answer, a failed one too."""
    if answer.reply.status == "failed":
        lost = [metric for metric in _answer_metrics() if metric.zero_if_failed]
        scores = {metric.name: 0.0 for metric in lost if metric.applies_to(question.item)}
        if is_late(answer):
            bounded = [metric for metric in _answer_metrics() if metric.late_as_bound]
            scores |= {metric.name: 1e3 * (answer.elapsed or 0.0) for metric in bounded}
        return AnswerScores(question, context, answer, scores, declined=False)
    read = AnswerInContext(question.item, context, answer.reply)
    return AnswerScores(question, context, answer, score_answer(read), declined=read.declined)


def _score_twins(
    metric: TwinsMetric, scope: Scope, scored: Sequence[AnswerScores], questions: Sequence[RunQuestion]
) -> dict[str, list[Score]]:
    """A score for each group whose questions are all in the scope, all known in one repeat of an arm."""
    known = {answer.answer.key: answer.scores[metric.of] for answer in scored if metric.of in answer.scores}
    rounds = dict.fromkeys((answer.answer.arm, answer.answer.repeat) for answer in scored)
    scores: dict[str, list[Score]] = {}
    for name, group in find_twins(questions).items():
        if not all(question.id in scope.questions for question in group):
            continue
        for arm, repeat in rounds:
            keys = [(question.id, arm, repeat) for question in group]
            if all(key in known for key in keys):
                value = metric.score([known[key] for key in keys])
                scores.setdefault(arm, []).append(Score(name, value))
    return scores


def _group_by(
    questions: Iterable[RunQuestion], key: Callable[[RunQuestion], str]
) -> dict[str, list[RunQuestion]]:
    groups: dict[str, list[RunQuestion]] = {}
    for question in questions:
        groups.setdefault(key(question), []).append(question)
    return groups
