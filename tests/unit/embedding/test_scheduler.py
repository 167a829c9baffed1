from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.embedding.backends.openvino.scheduler import Part, Scheduler, Ticket
from services.embedding.batching import padded

LENGTHS = st.lists(st.integers(2, 256), min_size=1, max_size=60)
LIMIT = 512


def scheduler_of(*requests: list[int], limit: int = LIMIT) -> tuple[Scheduler, list[Ticket]]:
    scheduler = Scheduler(limit)
    tickets = [Ticket(lengths) for lengths in requests]
    for ticket in tickets:
        scheduler.add(ticket)
    return scheduler, tickets


def drain(scheduler: Scheduler) -> list[list[Part]]:
    passes = []
    while chosen := scheduler.next():
        passes.append(chosen)
    return passes


def width(parts: list[Part]) -> int:
    return max(padded(ticket.lengths[one]) for ticket, positions in parts for one in positions)


def count(parts: list[Part]) -> int:
    return sum(len(positions) for _, positions in parts)


@given(st.lists(LENGTHS, min_size=1, max_size=6), st.integers(1, 2048))
def test_every_text_is_in_one_pass_within_the_bound(requests: list[list[int]], limit: int) -> None:
    scheduler, tickets = scheduler_of(*requests, limit=limit)
    passes = drain(scheduler)
    for ticket in tickets:
        seen = [one for parts in passes for owner, positions in parts if owner is ticket for one in positions]
        assert sorted(seen) == list(range(len(ticket.lengths)))
    assert all(count(parts) == 1 or count(parts) * width(parts) <= limit for parts in passes)
    assert scheduler.tokens == scheduler.texts == 0


def test_sorting_saves_padding() -> None:
    lengths = [16, 256] * 32
    scheduler, _ = scheduler_of(lengths)
    assert sum(count(parts) * width(parts) for parts in drain(scheduler)) <= sum(lengths) * 1.05


def test_a_query_goes_before_a_large_request() -> None:
    scheduler, (large, query) = scheduler_of([100] * 60, [12])
    assert scheduler.next() == [(query, [0])]
    assert [ticket for ticket, _ in scheduler.next()] == [large]


def test_queries_of_several_requests_share_a_pass() -> None:
    scheduler, tickets = scheduler_of(*[[12]] * 5)
    assert [ticket for ticket, _ in scheduler.next()] == tickets
    assert scheduler.next() == []


def test_what_padding_would_make_dearer_does_not_share_a_pass() -> None:
    scheduler, (long, short) = scheduler_of([256], [8])
    assert drain(scheduler) == [[(long, [0])], [(short, [0])]]


def test_a_stream_of_queries_does_not_starve_a_large_request() -> None:
    scheduler, (large,) = scheduler_of([128] * 16)
    served = 0
    for _ in range(200):
        scheduler.add(Ticket([120]))
        served += any(ticket is large for ticket, _ in scheduler.next())
        if not large.waiting:
            break
    assert not large.waiting
    assert served == 4


def test_large_requests_take_turns_and_fill_each_others_last_pass() -> None:
    scheduler, (first, second) = scheduler_of([128] * 6, [128] * 6)
    owners = [[ticket for ticket, _ in parts] for parts in drain(scheduler)]
    assert owners == [[first], [second], [first, second]]


def test_what_is_discarded_is_not_in_a_pass() -> None:
    scheduler, (gone, stays) = scheduler_of([128] * 20, [128] * 20)
    scheduler.next()
    scheduler.discard(gone)
    assert scheduler.texts == 20
    assert all(ticket is stays for parts in drain(scheduler) for ticket, _ in parts)
    scheduler.discard(stays)
