from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.sse import Event, SseParser, format_event

CASES = [
    (b"data: a\n\n", [Event(b"a")]),
    (b"data: a\ndata: b\n\n", [Event(b"a\nb")]),
    (b"event: error\ndata: {}\n\n", [Event(b"{}", "error")]),
    (b": keep-alive\n\ndata:a\n\n", [Event(b"a")]),
    (b"data: a\r\n\r\ndata: b\r\n\r\n", [Event(b"a"), Event(b"b")]),
    (b"id: 1\nretry: 5\ndata: a\n\n", [Event(b"a")]),
    ("data: grün\n\n".encode(), [Event("grün".encode())]),
    (b"event: ping\n\n", []),
]


@pytest.mark.parametrize(("wire", "expected"), CASES)
def test_every_split_gives_the_same_events(wire: bytes, expected: list[Event]) -> None:
    for cut in range(len(wire) + 1):
        parser = SseParser()
        assert parser.feed(wire[:cut]) + parser.feed(wire[cut:]) == expected
        assert not parser.pending


def test_byte_by_byte() -> None:
    wire = b"".join(case for case, _ in CASES)
    parser = SseParser()
    events = [event for index in range(len(wire)) for event in parser.feed(wire[index : index + 1])]
    assert events == [event for _, expected in CASES for event in expected]


def test_a_cut_event_is_pending() -> None:
    parser = SseParser()
    assert parser.feed(b"data: a\n\ndata: b") == [Event(b"a")]
    assert parser.pending


@given(
    st.lists(st.binary().map(lambda raw: raw.replace(b"\n", b" ").replace(b"\r", b" ")), max_size=5),
    st.data(),
)
def test_format_then_parse(payloads: list[bytes], data: st.DataObject) -> None:
    wire = b"".join(format_event(payload, "x") for payload in payloads)
    cut = data.draw(st.integers(0, len(wire)))
    parser = SseParser()
    assert parser.feed(wire[:cut]) + parser.feed(wire[cut:]) == [Event(payload, "x") for payload in payloads]
