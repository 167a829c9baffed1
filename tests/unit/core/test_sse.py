from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.sse import Event, EventTooLarge, SseParser, format_event, is_keepalive

CASES = [
    (b"data: a\n\n", [Event(b"a")]),
    (b"data: a\ndata: b\n\n", [Event(b"a\nb")]),
    (b"event: error\ndata: {}\n\n", [Event(b"{}", "error")]),
    (b": keep-alive\n\ndata:a\n\n", [Event(b"a")]),
    (b"data: a\r\n\r\ndata: b\r\n\r\n", [Event(b"a"), Event(b"b")]),
    (b"id: 1\nretry: 5\ndata: a\n\n", [Event(b"a")]),
    ("data: grün\n\n".encode(), [Event("grün".encode())]),
    (b"event: ping\n\n", []),
    (b"data:\n\ndata: \n\ndata\n\n", []),
    (b"data: a\ndata:\n\n", [Event(b"a\n")]),
    (b"data: a\r\rdata: b\r\n\r\n", [Event(b"a"), Event(b"b")]),
    (b"\xef\xbb\xbfdata: a\n\n", [Event(b"a")]),
    (b"event: x\n\ndata: a\n\n", [Event(b"a")]),
]


@pytest.mark.parametrize(("wire", "expected"), CASES)
def test_every_split_gives_the_same_events(wire: bytes, expected: list[Event]) -> None:
    for cut in range(len(wire) + 1):
        parser = SseParser()
        assert parser.feed(wire[:cut]) + parser.feed(wire[cut:]) == expected
        assert not parser.pending


def test_byte_by_byte() -> None:
    wire = b"".join(case.removeprefix(b"\xef\xbb\xbf") for case, _ in CASES)
    parser = SseParser()
    events = [event for index in range(len(wire)) for event in parser.feed(wire[index : index + 1])]
    assert events == [event for _, expected in CASES for event in expected]


def test_a_cut_event_is_pending() -> None:
    parser = SseParser()
    assert parser.feed(b"data: a\n\ndata: b") == [Event(b"a")]
    assert parser.pending


@given(
    st.lists(
        st.binary(min_size=1).map(lambda raw: raw.replace(b"\n", b" ").replace(b"\r", b" ")), max_size=5
    ),
    st.data(),
)
def test_format_then_parse(payloads: list[bytes], data: st.DataObject) -> None:
    wire = b"".join(format_event(payload, "x") for payload in payloads)
    cut = data.draw(st.integers(0, len(wire)))
    parser = SseParser()
    assert parser.feed(wire[:cut]) + parser.feed(wire[cut:]) == [Event(payload, "x") for payload in payloads]


def test_single_bytes_cost_as_much_as_their_number() -> None:
    """Ten times the bytes are not a hundred times the work."""
    parser = SseParser()
    start = time.process_time()
    for _ in range(500_000):
        parser.feed(b"x")
    assert time.process_time() - start < 10
    assert parser.pending


@pytest.mark.parametrize("piece", [b"x" * 100, b"data: x\n", b"event: x\n", b": x"])
def test_an_event_has_a_limit(piece: bytes) -> None:
    parser = SseParser(limit=10_000)
    with pytest.raises(EventTooLarge):
        [parser.feed(piece) for _ in range(10_000)]


def test_the_limit_is_for_one_event() -> None:
    parser = SseParser(limit=100)
    assert sum(len(parser.feed(b"data: 123456789\n\n: comment\n")) for _ in range(100)) == 100


@pytest.mark.parametrize(
    ("wire", "last", "pending"),
    [
        (b"data: [DONE]", b"[DONE]", False),
        (b"data: [DONE]\n", b"[DONE]", False),
        (b'data: {"a": 1}', b'{"a": 1}', False),
        (b'data: {"a": 1}\r', b'{"a": 1}', False),
        (b'data: {"a": 1', None, True),
        (b"data: 2", None, True),
        (b"data: [DON", None, True),
        (b"da", None, True),
        (b"data:", None, True),
        (b": bye", None, False),
        (b"\n", None, False),
        (b"", None, False),
    ],
)
def test_what_ends_with_the_stream(wire: bytes, last: bytes | None, pending: bool) -> None:
    parser = SseParser()
    assert parser.feed(b"data: a\n\n" + wire) == [Event(b"a")]
    event = parser.close()
    assert (event.data if event else None) == last
    assert parser.pending is pending


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (Event(b"[DONE]"), False),
        (Event(b"{}"), False),
        (Event(b"1"), False),
        (Event(b"pong of the champion"), False),
        (Event(b"x" * 1000), False),
        (Event(b"  "), True),
        (Event(b"[ping]"), True),
        (Event(b'"Heartbeat"'), True),
        (Event(b": OPENROUTER PROCESSING"), True),
        (Event(b"{}", "ping"), True),
        (Event(b"{}", "keep-alive"), True),
        (Event(b"{}", "delta"), False),
    ],
)
def test_what_only_keeps_a_connection_open(event: Event, expected: bool) -> None:
    assert is_keepalive(event) is expected


@given(
    st.lists(
        st.sampled_from([b"\r", b"\n", b"\r\n", b"data:", b"data: ", b"event: ", b":", b"x", b"\xef\xbb\xbf"])
    ),
    st.data(),
)
def test_any_bytes_in_any_pieces_give_the_same_events(parts: list[bytes], data: st.DataObject) -> None:
    wire = b"".join(parts)
    whole = SseParser()
    expected = (whole.feed(wire), whole.close(), whole.pending)
    parser, events, rest = SseParser(), [], wire
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        events += parser.feed(rest[:size])
        rest = rest[size:]
    assert (events, parser.close(), parser.pending) == expected
