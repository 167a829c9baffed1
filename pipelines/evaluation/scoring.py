"""An item and an answer to it, scored: which metrics count for which kind of question."""

from __future__ import annotations

from pipelines.evaluation.datasets.items import Item
from pipelines.evaluation.metrics.overlap import exact_match, token_f1
from pipelines.evaluation.metrics.shape import answer_words
from pipelines.evaluation.reading.expressions import expression_matches
from pipelines.evaluation.reading.numbers import number_matches
from pipelines.evaluation.reading.options import choice_matches
from pipelines.evaluation.reading.refusals import abstains
from pipelines.evaluation.reading.text import contains_reference, stated_answer, strip_reasoning


def scores(item: Item, answer: str) -> dict[str, float]:
    """Metric to value. `correct` is the one that answers "is it right?", and is left out where nobody knows.

    An answer that abstains counts as the empty one: right where the question is not answerable, and wrong
    where it is, whatever its words share with a reference. An empty answer (a model that thought until its
    limit) is not correct anywhere: it refuses nothing.
    """
    said = strip_reasoning(answer)
    declined = abstains(said)
    found = {"abstained": float(declined and bool(said)), "words": float(answer_words(said))}
    if not item.answerable:
        return {**found, "correct": float(declined and bool(said))}
    if not item.answers:
        return found
    short = "" if declined else stated_answer(said)
    if item.kind == "exact":
        return {
            **found,
            "correct": contains_reference(short, item.answers),
            "exact match": exact_match(short, item.answers),
            "token F1": token_f1(short, item.answers),
        }
    return {**found, "correct": 0.0 if not said else _correct(item, said)}


def _correct(item: Item, said: str) -> float:
    match item.kind:
        case "numeric":
            return max(number_matches(said, answer) for answer in item.answers)
        case "choice":
            return choice_matches(said, item.options, item.right_option)
        case _:
            return max(expression_matches(said, answer) for answer in item.answers)
