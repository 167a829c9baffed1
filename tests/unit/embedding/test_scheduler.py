from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.embedding.backends.openvino.scheduler import (
    LENGTH_STEP,
    PassPart,
    QueuedTexts,
    Scheduler,
    fill_arrays,
    pad_length,
)

LENGTHS = st.lists(st.integers(2, 256), min_size=1, max_size=60)
LIMIT = 512


def scheduler_of(*requests: list[int], limit: int = LIMIT) -> tuple[Scheduler, list[QueuedTexts]]:
    scheduler = Scheduler(limit)
    queue = [QueuedTexts(lengths) for lengths in requests]
    for queued in queue:
        scheduler.add(queued)
    return scheduler, queue


def drain(scheduler: Scheduler) -> list[list[PassPart]]:
    passes = []
    while chosen := scheduler.next():
        passes.append(chosen)
    return passes


def width(parts: list[PassPart]) -> int:
    return max(pad_length(queued.lengths[position]) for queued, positions in parts for position in positions)


def count(parts: list[PassPart]) -> int:
    return sum(len(positions) for _, positions in parts)


@given(st.lists(LENGTHS, min_size=1, max_size=6), st.integers(1, 2048))
def test_every_text_is_in_one_pass_within_the_bound(requests: list[list[int]], limit: int) -> None:
    scheduler, queue = scheduler_of(*requests, limit=limit)
    passes = drain(scheduler)
    for queued in queue:
        seen = [
            position
            for parts in passes
            for owner, positions in parts
            if owner is queued
            for position in positions
        ]
        assert sorted(seen) == list(range(len(queued.lengths)))
    assert all(count(parts) == 1 or count(parts) * width(parts) <= limit for parts in passes)
    assert scheduler.tokens == scheduler.texts == 0


def test_sorting_saves_padding() -> None:
    lengths = [16, 256] * 32
    scheduler, _ = scheduler_of(lengths)
    assert sum(count(parts) * width(parts) for parts in drain(scheduler)) <= sum(lengths) * 1.05


def test_a_query_goes_before_a_large_request() -> None:
    scheduler, (large, query) = scheduler_of([100] * 60, [12])
    assert scheduler.next() == [(query, [0])]
    assert [queued for queued, _ in scheduler.next()] == [large]


def test_queries_of_several_requests_share_a_pass() -> None:
    scheduler, queue = scheduler_of(*[[12]] * 5)
    assert [queued for queued, _ in scheduler.next()] == queue
    assert scheduler.next() == []


def test_what_padding_would_make_dearer_does_not_share_a_pass() -> None:
    scheduler, (long, short) = scheduler_of([256], [8])
    assert drain(scheduler) == [[(long, [0])], [(short, [0])]]


def test_a_stream_of_queries_does_not_starve_a_large_request() -> None:
    scheduler, (large,) = scheduler_of([128] * 16)
    served = 0
    for _ in range(200):
        scheduler.add(QueuedTexts([120]))
        served += any(queued is large for queued, _ in scheduler.next())
        if not large.waiting:
            break
    assert not large.waiting
    assert served == 4


def test_large_requests_take_turns_and_fill_each_others_last_pass() -> None:
    scheduler, (first, second) = scheduler_of([128] * 6, [128] * 6)
    owners = [[queued for queued, _ in parts] for parts in drain(scheduler)]
    assert owners == [[first], [second], [first, second]]


def test_what_is_discarded_is_not_in_a_pass() -> None:
    scheduler, (gone, stays) = scheduler_of([128] * 20, [128] * 20)
    scheduler.next()
    scheduler.discard(gone)
    assert scheduler.texts == 20
    assert all(queued is stays for parts in drain(scheduler) for queued, _ in parts)
    scheduler.discard(stays)


def test_padding_is_masked() -> None:
    ids, mask = fill_arrays([[101, 7, 102], [101, 102]])
    assert ids.shape == mask.shape == (2, LENGTH_STEP)
    np.testing.assert_array_equal(mask.sum(axis=1), [3, 2])
    assert ids[1].tolist() == [101, 102] + [0] * (LENGTH_STEP - 2)


def test_lengths_are_padded_to_shapes_that_the_engine_sees_again() -> None:
    assert [pad_length(length) for length in (1, 8, 9, 16)] == [8, 8, 16, 16]
