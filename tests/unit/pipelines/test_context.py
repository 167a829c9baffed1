"""Neighbour expansion: exact text, exact spans, one stretch where neighbourhoods touch."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from pipelines.citations import cite
from pipelines.context import join_neighbours, locate_citations
from services.core.wire.passages import Passage

TEXT = "Alpha is first. Beta is second.\n\nGamma is third. Delta is fourth.\nEpsilon is fifth."
SPANS = [(0, 15), (9, 31), (33, 48), (49, 65), (66, 83)]  # the second overlaps the first, gaps after it


def passage(index: int, document: str = "d", revision: str = "1") -> Passage:
    start, end = SPANS[index]
    return Passage(
        id=f"{document}{index}",
        document_id=document,
        text=TEXT[start:end],
        start=start,
        end=end,
        index=index,
        revision=revision,
        page=index + 1,
        section=f"s{index}",
    )


def around(indexes: Sequence[int], span: int, document: str = "d") -> dict[str, list[Passage]]:
    return {
        f"{document}{index}": [
            passage(other, document)
            for other in range(max(0, index - span), min(len(SPANS), index + span + 1))
        ]
        for index in indexes
    }


def test_a_passage_reads_as_the_document_does_around_it() -> None:
    (found,) = join_neighbours([passage(1)], around([1], 1))
    assert found.passage.id == "d1"
    assert (found.passage.start, found.passage.end) == (0, 48)
    assert found.passage.text == TEXT[0:48]
    assert (found.passage.page, found.passage.section) == (2, "s1")


@given(st.permutations(range(len(SPANS))), st.integers(0, 4), st.integers(1, len(SPANS)))
def test_every_character_is_where_the_span_says_once(order: Sequence[int], span: int, count: int) -> None:
    ranked = [passage(index) for index in order[:count]]
    found = join_neighbours(ranked, around(order[:count], span))
    covered: list[int] = []
    for each in found:
        text = each.passage.text
        assert len(text) == each.passage.end - each.passage.start
        assert text.split() == TEXT[each.passage.start : each.passage.end].split()
        indexes = [part.index for part in each.parts]
        assert indexes == list(range(indexes[0], indexes[-1] + 1))
        covered += indexes
    assert len(covered) == len(set(covered))
    assert set(order[:count]) <= set(covered)
    assert found[0].lead.id == ranked[0].id


def test_touching_neighbourhoods_are_one_stretch_at_the_better_rank() -> None:
    ranked = [passage(3), passage(0, "other"), passage(1)]
    found = join_neighbours(ranked, around([1, 3], 1) | around([0], 1, "other"))
    assert [each.passage.id for each in found] == ["d3", "other0"]
    assert found[0].passage.text.split() == TEXT.split()


def test_siblings_of_another_revision_or_beyond_a_gap_stay_out() -> None:
    siblings = [passage(0), passage(1, revision="2"), passage(2), passage(4)]
    (found,) = join_neighbours([passage(2)], {"d2": siblings})
    assert [part.id for part in found.parts] == ["d2"]


def test_without_known_neighbours_a_passage_stands_alone() -> None:
    (found,) = join_neighbours([passage(2)], {})
    assert found.passage == passage(2)


def test_a_citation_names_the_very_passage_that_its_span_is_in() -> None:
    found = join_neighbours([passage(2)], around([2], 1))
    (first,) = cite("Delta is fourth.", [each.passage for each in found])
    assert (first.passage_id, first.page) == ("d2", 3)
    (exact,) = locate_citations([first], found)
    assert (exact.passage_id, exact.page, exact.section, exact.marker) == ("d3", 4, "s3", 1)
    assert TEXT[exact.start : exact.end] == exact.quote == "Delta is fourth."
