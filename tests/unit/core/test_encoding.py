from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from services.core.errors import ServiceError
from services.core.wire.encoding import decode, pack
from services.core.wire.retrieval import CountReply


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b"{}", b'{"count": "many"}', b"\xc1", b"\x80"])
def test_a_reply_that_does_not_fit_is_the_peers_failure(body: bytes) -> None:
    with pytest.raises(ServiceError, match="retrieval sent a reply") as raised:
        decode(TypeAdapter(CountReply), body, "retrieval")
    assert raised.value.service == "retrieval"


@pytest.mark.parametrize("body", [b'{"count": 3, "more": 1}', pack({"count": 3, "more": 1})])
def test_a_reply_that_fits(body: bytes) -> None:
    assert decode(TypeAdapter(CountReply), body, "retrieval").count == 3
