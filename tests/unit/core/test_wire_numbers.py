"""Numbers in filters and metadata that no store can hold."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from services.core.wire.passages import Passage
from services.core.wire.retrieval import RetrievalRequest

TOO_LARGE = [2**63, -(2**63) - 1, 2**64, 10**30, 10**400, float("nan"), float("inf"), -float("inf")]


@pytest.mark.parametrize("number", TOO_LARGE)
@pytest.mark.parametrize(
    "shape", ['{"n": %s}', '{"n": {"gte": %s}}', '{"n": {"not": %s}}', '{"n": {"lt": %s}}']
)
def test_a_filter_with_a_number_that_cannot_be_stored_is_refused(number: float, shape: str) -> None:
    where = json.loads(shape % json.dumps(number))
    with pytest.raises(ValidationError, match=r"does not fit in 64 bits|not a number that can be stored"):
        RetrievalRequest(text="x", filter=where)


@pytest.mark.parametrize("number", TOO_LARGE)
def test_so_is_metadata(number: float) -> None:
    with pytest.raises(ValidationError):
        Passage(id="a", document_id="b", text="c", metadata={"n": number})


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 0, 1e300, True])
def test_numbers_that_fit_keep_their_type(number: float) -> None:
    where = RetrievalRequest(text="x", filter={"n": {"gte": number}, "m": number}).filter
    assert where == {"n": {"gte": number}, "m": number}
    assert where is not None
    assert type(where["m"]) is type(number)
