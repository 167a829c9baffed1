from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.errors import InvalidRequest
from services.core.wire.passages import Passage
from services.retrieval.filters import LONGEST_TERM, clauses, impossible, passage_terms

scalars = st.one_of(
    st.text(),
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
)


def same(one, other) -> bool:
    """Equal as JSON values: booleans are no numbers, 2 is 2.0."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def passage(**fields) -> Passage:
    return Passage(id="p", document_id="d", text="t", **fields)


@given(key=st.text(min_size=1), stored=scalars, wanted=scalars)
def test_a_filter_matches_exactly_the_equal_value(key, stored, wanted):
    held = Passage.model_construct(id="p", document_id="d", text="t", metadata={f"m{key}": stored})
    (clause,) = clauses({f"m{key}": wanted})
    assert (not set(clause).isdisjoint(passage_terms(held))) is same(stored, wanted)


def test_fields_and_metadata_become_terms_and_an_absent_page_none():
    held = passage(title="T", page=2, metadata={"tags": ["x", "y", "x"], "n": 1.0})
    assert passage_terms(held) == [
        '["document_id","d"]',
        '["title","T"]',
        '["section",""]',
        '["page",2]',
        '["tags","x"]',
        '["tags","y"]',
        '["n",1]',
    ]
    assert '["page"' not in "".join(passage_terms(passage()))


def test_a_field_hides_a_metadata_key_of_its_name():
    assert '["title","meta"]' not in passage_terms(passage(title="T", metadata={"title": "meta"}))


def test_an_empty_list_is_impossible_and_no_filter_is_not():
    assert impossible(clauses({"a": []}))
    assert not impossible(clauses({"a": ["x"]}))
    assert clauses(None) == []


def test_a_long_value_is_kept_short_and_still_told_apart():
    one, other = (clauses({"note": "x" * 1000 + end})[0][0] for end in "ab")
    assert len(one) <= LONGEST_TERM
    assert one != other
    assert one in passage_terms(passage(metadata={"note": "x" * 1000 + "a"}))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**63, -(2**63) - 1])
def test_numbers_without_a_64_bit_form_are_refused_by_key(value):
    with pytest.raises(InvalidRequest, match="'size'"):
        clauses({"size": value})
