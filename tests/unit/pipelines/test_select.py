"""Selecting sentences: what bears on the question stays, with what it needs, at the places where it stands."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.citations import cite
from pipelines.context import context_id
from pipelines.prompting import number_passages
from pipelines.select import Selected, SelectName, select, split_sentences
from services.core.wire.passages import Passage

PUMP = (
    "The hall was built in 1971. The pump P-17 moves 40 cubic metres an hour. It must be oiled every week. "
    "Visitors enter by the north door. The canteen opens at noon."
)
BEES = "Bees turn nectar into honey. They live in hives."


def choose(
    question: str,
    *texts: str,
    mode: SelectName = "sentences",
    cosines: Sequence[Sequence[float | None]] | None = None,
) -> Selected:
    passages = [
        Passage(id=str(place), document_id="d", title="d.md", text=text, start=100, end=100 + len(text))
        for place, text in enumerate(texts)
    ]
    return select(question, passages, split_sentences(passages), cosines, mode)


def test_the_sentence_that_answers_stays_and_the_rest_is_counted() -> None:
    made = choose("How much does the pump P-17 move in an hour?", PUMP, BEES)
    (passage,) = made.passages
    assert "40 cubic metres" in passage.shown
    assert "canteen" not in passage.shown
    assert passage.text == PUMP
    assert made.selection is not None
    assert [left.id for left in made.selection.left_out] == ["1"]
    assert made.selection.words < made.selection.words_found == len(f"{PUMP} {BEES}".split())


def test_a_sentence_that_leans_on_others_brings_them() -> None:
    text = f"{' '.join(f'Filler {number} says nothing.' for number in range(9))} The pump is red. It is old. It is oiled weekly."
    (passage,) = choose("What must be oiled weekly?", text).passages
    assert passage.shown == "... The pump is red. It is old. It is oiled weekly."


def test_a_table_keeps_its_head_and_a_section_its_heading() -> None:
    rows = "\n".join(f"| PPR-{number} | {number} Nm |" for number in range(9000, 9030))
    (passage,) = choose(
        "What is the torque of PPR-9017?", f"# Torques\n\n| Part | Torque |\n|---|---|\n{rows}"
    ).passages
    assert passage.shown.startswith("# Torques")
    assert "| Part | Torque |\n|---|---|" in passage.shown
    assert "| PPR-9017 | 9017 Nm |" in passage.shown
    assert passage.shown.count("PPR-") < 5


def test_a_list_keeps_the_line_it_hangs_on_and_that_line_its_list() -> None:
    steps = "Unrelated words open this page.\n\nTo reset the valve:\n- close the tap\n- press the red button\n- wait"
    (passage,) = choose("How do I reset the valve?", steps).passages
    assert passage.shown.endswith("To reset the valve:\n- close the tap\n- press the red button\n- wait")
    (passage,) = choose("Which button is red?", steps).passages
    assert "To reset the valve:" in passage.shown


def test_without_a_shared_word_nothing_is_left_out() -> None:
    made = choose("蜂蜜は何から作られますか", PUMP, BEES)
    assert [passage.kept for passage in made.passages] == [None, None]
    assert made.selection is None


def test_vectors_find_what_shares_no_word() -> None:
    cosines = [[0.0, 0.1, 0.0, 0.0, 0.0], [0.9, 0.1]]
    made = choose("Which insects live by sweet food of the hall?", PUMP, BEES, cosines=cosines)
    assert "nectar" in " ".join(passage.shown for passage in made.passages)
    assert made.selection is not None
    assert made.selection.by == "words and token vectors"


def test_whole_passages_stay_whole_and_off_leaves_all() -> None:
    made = choose("What do bees turn into honey?", PUMP, BEES, mode="passages")
    assert [(passage.id, passage.kept) for passage in made.passages] == [("1", None)]
    assert len(choose("What do bees make?", PUMP, BEES, mode="off").passages) == 2


@given(
    st.lists(
        st.sampled_from(["Alpha beta.", "It gamma.", "Delta is 4.\n", "- item\n", "Epsilon."]), min_size=1
    )
)
def test_what_is_kept_are_whole_sentences_in_order(parts: Sequence[str]) -> None:
    text = " ".join(parts)
    for passage in choose("What are alpha and delta?", text).passages:
        units = {(unit.start, unit.end) for unit in split_sentences([passage])[0]}
        starts, ends = {start for start, _ in units}, {end for _, end in units}
        last = -1
        for start, end in passage.kept or []:
            assert start in starts
            assert end in ends
            assert last < start < end
            last = end


def test_a_citation_quotes_only_what_the_model_saw_at_its_place_in_the_document() -> None:
    (passage,) = choose("How much does the pump P-17 move in an hour?", PUMP).passages
    (citation,) = cite("The pump moves 40 cubic metres an hour.", [passage])
    assert PUMP[citation.start - 100 : citation.end - 100] == citation.quote
    assert cite("The canteen opens at noon.", [passage]) == []
    assert cite("The canteen opens at noon.", [passage.model_copy(update={"kept": None})])


def test_the_prompt_and_the_contexts_id_have_what_is_kept() -> None:
    (passage,) = choose("How much does the pump P-17 move in an hour?", PUMP).passages
    whole = passage.model_copy(update={"kept": None})
    assert "canteen" not in number_passages([passage])
    assert "canteen" in number_passages([whole])
    assert context_id([passage]) != context_id([whole])
    again = Passage.model_validate_json(passage.model_dump_json())
    assert context_id([again]) == context_id([passage])


@pytest.mark.parametrize(
    ("kept", "shown"),
    [
        ([(0, 4)], "One. ..."),
        ([(5, 9)], "... Two. ..."),
        ([(0, 4), (10, 16)], "One. ... Three."),
        ([(0, 9), (10, 16)], "One. Two. Three."),
    ],
)
def test_gaps_are_seen(kept: list[tuple[int, int]], shown: str) -> None:
    assert Passage(id="1", document_id="d", text="One. Two. Three.", kept=kept).shown == shown
