"""How often an answer declines although it should not, and the other way round.

The 2x2 of answerable against answered as in SQuAD 2.0 (Rajpurkar et al. 2018) and NoMIRACL (Thakur et al.
2024), whose hallucination rate is answered among unanswerable, and error rate abstained among answerable.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pipelines.evaluation.metric import (
    NOT_EMPTY,
    REFERENCES,
    UNANSWERABLE,
    AnswerInContext,
    answer_metric,
)


@dataclass(frozen=True, slots=True)
class AbstentionCounts:
    """Counts of answerable against answered; a rate is None where nothing was counted."""

    answered: int
    abstained: int
    answered_unanswerable: int
    abstained_unanswerable: int

    @property
    def answerable(self) -> int:
        return self.answered + self.abstained

    @property
    def unanswerable(self) -> int:
        return self.answered_unanswerable + self.abstained_unanswerable

    @property
    def error_rate(self) -> float | None:
        """Abstained among the answerable: too cautious."""
        return _rate(self.abstained, self.answerable)

    @property
    def hallucination_rate(self) -> float | None:
        """Answered among the unanswerable: too bold."""
        return _rate(self.answered_unanswerable, self.unanswerable)

    @property
    def precision(self) -> float | None:
        """Of the abstentions, those that were right."""
        return _rate(self.abstained_unanswerable, self.abstained_unanswerable + self.abstained)

    @property
    def recall(self) -> float | None:
        """Of the unanswerable, those that were abstained from."""
        return _rate(self.abstained_unanswerable, self.unanswerable)

    @property
    def accuracy(self) -> float | None:
        """Answered where answerable or abstained where not; whether the answer is right is another metric."""
        return _rate(self.answered + self.abstained_unanswerable, self.answerable + self.unanswerable)


def count_abstentions(outcomes: Iterable[tuple[bool, bool]]) -> AbstentionCounts:
    """The 2x2 of (answerable, abstained) pairs."""
    counts = {(answerable, abstained): 0 for answerable in (True, False) for abstained in (True, False)}
    for outcome in outcomes:
        counts[outcome] += 1
    return AbstentionCounts(
        answered=counts[True, False],
        abstained=counts[True, True],
        answered_unanswerable=counts[False, False],
        abstained_unanswerable=counts[False, True],
    )


def _rate(part: int, whole: int) -> float | None:
    return part / whole if whole else None


@answer_metric("abstained", family="shape", order=5, higher_is_better=None, in_results=False)
def abstained(answer: AnswerInContext) -> float:
    """The answer declines: it says that nothing is known."""
    return float(answer.declined)


@answer_metric(
    "abstention error rate", family="quality", order=120, higher_is_better=False,
    items=(REFERENCES,), answers=(NOT_EMPTY,), source="NoMIRACL, Thakur et al. 2024",
)  # fmt: skip
def abstention_error(answer: AnswerInContext) -> float:
    """The answer declines although the question has an answer."""
    return float(answer.declined)


@answer_metric(
    "hallucination rate", family="quality", order=130, higher_is_better=False, items=(UNANSWERABLE,),
    answers=(NOT_EMPTY,), source="NoMIRACL, Thakur et al. 2024",
)  # fmt: skip
def hallucination(answer: AnswerInContext) -> float:
    """The question has no answer, and the answer does not decline."""
    return 1 - float(answer.declined)
