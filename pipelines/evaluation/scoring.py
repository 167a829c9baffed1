"""An item and an answer to it, scored: which metrics count for which kind of question."""

from __future__ import annotations

from pipelines.evaluation.datasets.items import Item
from pipelines.evaluation.metrics.abstention import abstains
from pipelines.evaluation.metrics.choice import choice_match
from pipelines.evaluation.metrics.expression import expression_match
from pipelines.evaluation.metrics.final import given, without_reasoning
from pipelines.evaluation.metrics.numeric import numeric_match
from pipelines.evaluation.metrics.overlap import exact_match, inclusion, token_f1
from pipelines.evaluation.metrics.shape import answer_words


def scores(item: Item, answer: str) -> dict[str, float]:
    """Metric to value. `correct` is the one that answers "is it right?", and is left out where nobody knows.

    An answer that abstains counts as the empty one: right where the question is not answerable, and wrong
    where it is, whatever its words share with a reference. An empty answer (a model that thought until its
    limit) is not correct anywhere: it refuses nothing.
    """
    said = without_reasoning(answer)
    declined = abstains(said)
    found = {"abstained": float(declined and bool(said)), "words": float(answer_words(said))}
    if not item.answerable:
        return {**found, "correct": float(declined and bool(said))}
    if not item.answers:
        return found
    short = "" if declined else given(said)
    if item.kind == "exact":
        return {
            **found,
            "correct": inclusion(short, item.answers),
            "exact match": exact_match(short, item.answers),
            "token F1": token_f1(short, item.answers),
        }
    return {**found, "correct": 0.0 if not said else _correct(item, said)}


def _correct(item: Item, said: str) -> float:
    match item.kind:
        case "numeric":
            return max(numeric_match(said, answer) for answer in item.answers)
        case "choice":
            return choice_match(said, item.options, item.right_option)
        case _:
            return max(expression_match(said, answer) for answer in item.answers)
