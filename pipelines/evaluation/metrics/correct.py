"""Whether an answer is right, and whether all twins of a riddle are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pipelines.evaluation.datasets.items import Item, Kind
from pipelines.evaluation.metric import AnswerInContext, Condition, answer_metric, twins_metric
from pipelines.evaluation.reading.expressions import expression_matches
from pipelines.evaluation.reading.numbers import number_matches
from pipelines.evaluation.reading.options import choice_matches
from pipelines.evaluation.reading.phrases import states_reference
from pipelines.evaluation.reading.text import find_stated_answer

KNOWN = Condition[Item](
    "questions with a reference answer, or without any answer",
    lambda item: bool(item.answers) or not item.answerable,
)


def _match_words(item: Item, answer: AnswerInContext) -> float:
    """A reference's words stand in the answer in a row (inclusion: RGB, Chen et al. 2024), not denied and not
    one of several. One that declines says none."""
    return states_reference(
        "" if answer.declined else find_stated_answer(answer.text), item.answers, item.question
    )


def _match_number(item: Item, answer: AnswerInContext) -> float:
    r"""The number of the announced answer (`\boxed{}`, `####`, "the answer is"), else one in bold, else that
    of the last sentence with one, is the reference's within 10⁻⁶, in the question's unit; number words,
    separators and scripts of many countries, fractions, powers, percent. What is denied ("not 42") is left
    out, and a bound or a range is no number (GSM8K, Cobbe et al. 2021; LM Evaluation Harness)."""
    return max(number_matches(answer.text, reference, item.question) for reference in item.answers)


def _match_option(item: Item, answer: AnswerInContext) -> float:
    """The option that the answer settles on (announced, lettered, or in its own words; not what it denies or
    gives a reason with; of several: none) is the right one (MMLU-Pro, Wang et al. 2024)."""
    if answer.declined:
        return 0.0
    return choice_matches(answer.text, item.options, item.right_option, item.question)


def _match_expression(item: Item, answer: AnswerInContext) -> float:
    """The answer comes to the same formula at several values of its variables, else to the same number or
    statement (CHAMP, Mao et al. 2024; Schwartz 1980)."""
    return max(expression_matches(answer.text, reference) for reference in item.answers)


MATCHERS: Mapping[Kind, Callable[[Item, AnswerInContext], float]] = {
    "exact": _match_words,
    "numeric": _match_number,
    "choice": _match_option,
    "expression": _match_expression,
}
"""How an answer is compared with its references, by the item's kind; others are read as expressions."""


@answer_metric(
    "correct", family="quality", order=10, higher_is_better=True, primary=True, title="right answers",
    items=(KNOWN,), zero_if_failed=True,
)  # fmt: skip
def correct(answer: AnswerInContext) -> float:
    """The answer is the right one, compared as the question's kind asks; where the question has no answer,
    the right one is to decline.

    An empty answer (a model that thought until its limit) is right nowhere: it declines nothing.
    """
    item = answer.item
    if not item.answerable:
        return float(answer.declined)
    if not answer.text and item.kind != "exact":
        return 0.0
    return MATCHERS.get(item.kind, _match_expression)(item, answer)


@twins_metric("pairs both right", of="correct", family="quality", order=20, higher_is_better=True)
def pairs_both_right(scores: Sequence[float]) -> float:
    """All questions of one group whose roles differ (the logic set's trap and control) are right in the same
    repeat."""
    return min(scores)
