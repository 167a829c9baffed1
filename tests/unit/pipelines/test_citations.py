from __future__ import annotations

import pytest

from pipelines.citations import attribute, cite, match
from services.core.wire.passages import Passage

POUND = "The pound is 453.59237 grams. It has 16 ounces."
ICE = "Ice floats on water because it is less dense. Its density is 917 kilograms per cubic metre."


def passage(text: str, identifier: str, start: int = 0) -> Passage:
    return Passage(
        id=identifier,
        document_id=f"doc-{identifier}",
        title=f"{identifier}.md",
        text=text,
        start=start,
        end=start + len(text),
    )


PASSAGES = [passage(POUND, "a", 100), passage(ICE, "b", 500)]


def test_a_marker_is_the_models_citation() -> None:
    [citation] = cite("A pound is 453.59237 grams [1].", PASSAGES)
    assert (citation.method, citation.marker, citation.passage_id) == ("model", 1, "a")
    assert citation.quote == "The pound is 453.59237 grams."
    assert (citation.start, citation.end) == (100, 129)


@pytest.mark.parametrize("marks", ["[2]", "[2].", "[2]\n", "[2] [2]"])
def test_a_marker_after_the_full_stop_is_that_sentences(marks: str) -> None:
    answer = f"A pound is 453.59237 grams. {marks} Ice floats on water. [1]"
    pound, ice = cite(answer, PASSAGES)
    assert [(one.method, one.marker) for one in (pound, ice)] == [("model", 2), ("model", 1)]
    assert answer[ice.start_index : ice.index] == "Ice floats on water. [1]"


def test_a_marker_that_begins_an_answer_is_that_of_its_sentence() -> None:
    answer = "[2] Ice floats on water. [1] The pound has 16 ounces."
    assert [one.marker for one in cite(answer, PASSAGES)] == [2, 1]


def test_the_quote_is_the_passage_at_the_span() -> None:
    for citation in cite("Ice has a density of 917 kilograms per cubic metre. It floats on water.", PASSAGES):
        source = PASSAGES[citation.marker - 1]
        assert source.text[citation.start - source.start : citation.end - source.start] == citation.quote


def test_a_sentence_without_marker_is_attributed_by_its_words() -> None:
    [citation] = cite("The density of ice is 917 kilograms per cubic metre.", PASSAGES)
    assert (citation.method, citation.passage_id, citation.support) == ("attributed", "b", 1.0)


def test_a_wrong_number_is_attributed_to_nothing() -> None:
    assert cite("The density of ice is 999 kilograms per cubic metre.", PASSAGES) == []


def test_an_unrelated_sentence_is_attributed_to_nothing() -> None:
    assert attribute("France won the world cup.", PASSAGES) is None


def test_markers_that_name_no_passage_are_left_out() -> None:
    assert [one.marker for one in cite("Ice floats on water [3][0][2, 1][2].", PASSAGES)] == [2, 1]
    assert cite("Ice floats on water [7].", PASSAGES)[0].method == "attributed"


def test_the_index_is_where_the_sentence_ends() -> None:
    answer = "A pound is 453.59237 grams. Ice floats on water."
    assert [answer[: citation.index] for citation in cite(answer, PASSAGES)] == [answer[:27], answer]


def test_support_is_the_share_of_content_words() -> None:
    assert match("ice floats everywhere always", Passage(id="1", document_id="d", text=ICE)).support == 0.5


def test_nothing_to_cite() -> None:
    assert cite("", PASSAGES) == []
    assert cite("Ice floats.", []) == []
    assert cite("...", PASSAGES) == []


def test_the_quote_prefers_the_row_with_the_number() -> None:
    table = "| material | density in kg per cubic metre |\n|---|---|\n| air | 1.2 |\n| ice (at 0 °C) | 917 |"
    [citation] = cite("The density of ice is 917 kg per cubic metre.", [passage(table, "t")])
    assert citation.quote == "| ice (at 0 °C) | 917 |"
