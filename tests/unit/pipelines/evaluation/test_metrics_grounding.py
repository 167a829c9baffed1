"""Citations, quotations, abstention, shape and rankings, each against cases worked out by hand."""

from __future__ import annotations

from math import log2

import pytest

from pipelines.evaluation.metrics.abstention import count_abstentions
from pipelines.evaluation.metrics.citations import score_citations, split_statements
from pipelines.evaluation.metrics.quotes import find_quotes, verbatim_share
from pipelines.evaluation.metrics.ranking import ndcg, precision, recall, reciprocal_rank
from pipelines.evaluation.metrics.shape import truncated, words
from pipelines.evaluation.reading.refusals import abstains
from pipelines.prompting import ABSTENTION
from tests.unit.pipelines.evaluation.runs import Said, answer_in_context

PASSAGES = ("Bricks are red.", "Air has weight.", "Water is wet.")


def holds(passages: str, statement: str) -> bool:
    """Supported where every word of the statement stands in the passages."""
    return set(statement.lower().strip(".").split()) <= set(passages.lower().replace(".", "").split())


def test_statements_lose_their_markers_and_keep_what_they_name() -> None:
    found = split_statements("Bricks are red [1][2]. Air has weight. [9, 2] Ok then water is wet [0].")
    assert [(each.text, each.cited) for each in found] == [
        ("Bricks are red .", (1, 2)),
        ("Air has weight.", (9, 2)),
        ("Ok then water is wet .", (0,)),
    ]


@pytest.mark.parametrize(
    ("answer", "recall_", "precision_", "validity"),
    [
        ("Bricks are red [1]. Air has weight [2].", 1.0, 1.0, 1.0),
        ("Bricks are red [1]. Air has weight.", 0.5, 1.0, 1.0),
        # wrong passage: not recalled, and the citation is not precise
        ("Bricks are red [2].", 0.0, 0.0, 1.0),
        # the third neither supports alone nor is needed: recalled, two of the three citations are not needed
        ("Bricks are red [1][3].", 1.0, 0.5, 1.0),
        # no such passage: not valid, and left out of precision, whose only citation is right
        ("Bricks are red [1][7].", 1.0, 1.0, 0.5),
        ("Bricks are red [7].", 0.0, None, 0.0),
        ("Bricks are red.", 0.0, None, None),
        ("", None, None, None),
    ],
)
def test_citation_scores(answer, recall_, precision_, validity) -> None:
    found = score_citations(answer, PASSAGES, holds)
    assert (found.recall, found.precision, found.validity) == (recall_, precision_, validity)


def test_passages_that_support_only_together_are_both_needed() -> None:
    """ALCE's example of partial support: neither alone, both together; none may be taken away."""
    found = score_citations("Bricks has weight [1][2].", PASSAGES, holds)
    assert (found.recall, found.precision) == (1.0, 1.0)
    with_a_third = score_citations("Bricks has weight [1][2][3].", PASSAGES, holds)
    assert (with_a_third.recall, with_a_third.precision) == (1.0, pytest.approx(2 / 3))


def test_quotes() -> None:
    answer = 'He said "air has  weight" and \u201cbricks are blue\u201d, in "irony".'
    assert find_quotes(answer) == ["air has  weight", "bricks are blue"]
    assert verbatim_share(answer, PASSAGES) == 0.5
    assert verbatim_share("No quotation here.", PASSAGES) is None
    assert verbatim_share('It says: "Air has weight."', PASSAGES) == 1.0


@pytest.mark.parametrize(
    "answer",
    [
        ABSTENTION,
        "I don't know.",
        "I don\u2019t know.",
        "The passages do not mention when she was born.",
        "Based on the passages, it is not possible to answer. There is not enough information.",
        "The question cannot be answered from the passages.",
        "We need the price of one ticket. Without it the total can't be determined.",
        "The value of x is not given.",
        "This is unanswerable.",
        "<think>It is 5.</think>I do not know.",
        "Unfortunately, the context does not explicitly state the year.",
        "No information about this is provided.",
        "None of the passages says so.",
        "I don't know. The passages are about dogs [1].",
        "I don't know. The documents are from 2020.",
        "The documents hold nothing about it.",
        "It is not known when she died.",
        "",
    ],
)
def test_abstentions(answer: str) -> None:
    assert abstains(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "She was born in 1950.",
        "He did not know the answer until 1950, when he found it.",
        "The length of the first side is not given, but it is 5 by symmetry.",
        "The passage does not state it directly. Therefore the total = 40.",
        "It is not mentioned in the first passage. The answer is Paris.",
        "The unknown x is 7.",
        "She was not known for acting.",
        "The passage does not state it directly. The town has 3 inns, and the total is 40.",
        "He cannot swim.",
        "Information theory was founded by Shannon.",
    ],
)
def test_answers_are_no_abstentions(answer: str) -> None:
    assert not abstains(answer)


def test_the_two_by_two_of_abstention() -> None:
    found = count_abstentions(
        [(True, False)] * 6 + [(True, True)] * 2 + [(False, False)] * 1 + [(False, True)] * 3
    )
    assert (found.answered, found.abstained) == (6, 2)
    assert (found.answered_unanswerable, found.abstained_unanswerable) == (1, 3)
    assert found.error_rate == 2 / 8
    assert found.hallucination_rate == 1 / 4
    assert found.precision == 3 / 5
    assert found.recall == 3 / 4
    assert found.accuracy == 9 / 12


def test_rates_of_nothing_are_none() -> None:
    found = count_abstentions([(True, False)])
    assert (found.hallucination_rate, found.recall, found.precision) == (None, None, None)


def test_length_and_truncation() -> None:
    assert words(answer_in_context(Said("<think>one two</think>three four five"))) == 3
    finished = [Said("x", finish=reason) for reason in ("stop", "length", "reasoning_truncated", None)]
    assert [truncated(answer_in_context(said)) for said in finished] == [0, 1, 1, 1]


def test_rankings() -> None:
    ranking = ["a", "b", "c", "d"]
    assert recall(ranking, {"b", "d", "x"}, 3) == 1 / 3
    assert precision(ranking, {"b", "d", "x"}, 4) == 0.5
    assert precision(ranking, {"b"}, 10) == 0.1
    assert reciprocal_rank(ranking, {"c", "d"}) == 1 / 3
    assert reciprocal_rank(ranking, {"x"}) == 0.0
    gained = 1 / log2(2) + 2 / log2(4)
    assert ndcg(ranking, {"a": 1, "c": 2}, 4) == pytest.approx(gained / (2 / log2(2) + 1 / log2(3)))
    assert ndcg(ranking, {}, 4) == 0.0
