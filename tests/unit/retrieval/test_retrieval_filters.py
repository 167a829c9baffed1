from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.errors import InvalidRequest
from services.core.wire.passages import Passage
from services.retrieval.filters import LONGEST_TERM, TermFilter, list_terms, parse_filter

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


def matches(where, **fields) -> bool:
    held, todo = set(list_terms(passage(**fields))), parse_filter(where)
    return held.isdisjoint(todo.none_of) and all(not held.isdisjoint(terms) for terms in todo.all_of)


@given(key=st.text(min_size=1), stored=scalars, value=scalars)
def test_a_filter_matches_exactly_the_equal_value(key, stored, value):
    held = Passage.model_construct(id="p", document_id="d", text="t", metadata={f"m{key}": stored})
    (terms,) = parse_filter({f"m{key}": value}).all_of
    assert (not set(terms).isdisjoint(list_terms(held))) is same(stored, value)


def test_fields_and_metadata_become_terms_and_an_absent_page_none():
    held = passage(title="T", page=2, metadata={"tags": ["x", "y", "x"], "n": 1.0})
    terms = [term for term in list_terms(held) if '"#"' not in term]
    assert terms == [
        '["document_id","d"]',
        '["title","T"]',
        '["section",""]',
        '["page",2]',
        '["tags","x"]',
        '["tags","y"]',
        '["n",1]',
    ]
    assert '["page"' not in "".join(list_terms(passage()))


def test_a_field_hides_a_metadata_key_of_its_name():
    assert '["title","meta"]' not in list_terms(passage(title="T", metadata={"title": "meta"}))


def test_an_empty_list_is_impossible_and_no_filter_is_not():
    assert parse_filter({"a": []}).impossible
    assert parse_filter({"a": {"gt": 3, "lt": 3}}).impossible
    assert not parse_filter({"a": ["x"]}).impossible
    assert parse_filter(None) == parse_filter({}) == TermFilter()
    assert not parse_filter(None)


def test_a_long_value_is_kept_short_and_still_told_apart():
    one, other = (parse_filter({"note": "x" * 1000 + end}).all_of[0][0] for end in "ab")
    assert len(one) <= LONGEST_TERM
    assert one != other
    assert one in list_terms(passage(metadata={"note": "x" * 1000 + "a"}))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**63, -(2**63) - 1])
def test_numbers_without_a_64_bit_form_are_refused_by_key(value):
    with pytest.raises(InvalidRequest, match="'size'"):
        parse_filter({"size": value})


numbers = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**53), 2**53))


@given(stored=numbers, low=numbers, high=numbers)
def test_a_range_matches_exactly_the_numbers_within_it(stored, low, high):
    fields = {"metadata": {"n": stored}}
    assert matches({"n": {"gte": low, "lte": high}}, **fields) is (low <= stored <= high)
    assert matches({"n": {"gt": low, "lt": high}}, **fields) is (low < stored < high)
    assert matches({"n": {"gte": low}}, **fields) is (stored >= low)
    assert matches({"n": {"lt": high}}, **fields) is (stored < high)
    assert not matches({"n": {"gte": low}}, metadata={"n": str(stored), "m": stored})
    assert len(parse_filter({"n": {"gt": low, "lt": high}}).all_of[0]) <= 2 * 15 * 16


def test_a_negation_matches_other_values_and_absent_keys():
    assert matches({"n": {"not": 1}}, metadata={"n": 2})
    assert matches({"n": {"not": 1}}, metadata={"n": True})
    assert matches({"n": {"not": ["a", "b"]}})
    assert not matches({"n": {"not": ["a", "b"]}}, metadata={"n": ["b", "c"]})


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ({"year": {}}, "'year' has no condition"),
        ({"year": {"gte": "2020"}}, "'year': gte takes a number"),
        ({"year": {"lt": True}}, "'year': lt takes a number"),
        ({"year": {"lt": float("inf")}}, "'year': lt takes a number"),
    ],
)
def test_a_condition_that_means_nothing_is_refused_by_key(where, says):
    with pytest.raises(InvalidRequest, match=says):
        parse_filter(where)


@pytest.mark.parametrize(
    ("where", "days"),
    [
        ({"gte": "2026-03-31"}, ["2026-03-31", "2026-04-01T08:00:00+02:00"]),
        ({"gt": "2026-03-31", "lt": "2026-04-01T06:00:01Z"}, ["2026-04-01T08:00:00+02:00"]),
        ({"lt": "2026-03-31"}, ["1969-12-31", "2025-12-24 18:00"]),
        ({"lte": "2025-12-24T18:00:00"}, ["1969-12-31", "2025-12-24 18:00"]),
    ],
)
def test_a_range_of_dates_matches_days_and_moments_in_it(where, days):
    stored = [
        "1969-12-31",
        "2025-12-24 18:00",
        "2026-03-31",
        "2026-04-01T08:00:00+02:00",
        "soon",
        "2026-13-01",
    ]
    assert [day for day in stored if matches({"date": where}, metadata={"date": day})] == days
    assert not matches({"date": where}, metadata={"date": 1774915200})


def test_ranges_of_dates_and_of_numbers_do_not_mix():
    assert not matches({"n": {"gte": 0}}, metadata={"n": "2026-03-31"})
    with pytest.raises(InvalidRequest, match="or dates such as"):
        parse_filter({"n": {"gte": "2026-03-31", "lt": 5}})
    with pytest.raises(InvalidRequest, match="takes a number"):
        parse_filter({"n": {"gte": "2026-13-31"}})
