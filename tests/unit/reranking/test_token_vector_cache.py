from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.reranking.backends.late_interaction import ENTRY_BYTES, TokenVectorCache


def vectors(rows: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
    return np.ones((rows, 10), np.int8)


def test_the_least_recently_used_leaves_first() -> None:
    cache = TokenVectorCache(3 * (100 + ENTRY_BYTES))
    for name in "abc":
        cache.put(("c", name), vectors(10))
    assert cache.get(("c", "a")) is not None
    cache.put(("c", "d"), vectors(10))
    assert [name for name in "abcd" if cache.get(("c", name)) is not None] == ["a", "c", "d"]


def test_collections_do_not_share_entries() -> None:
    cache = TokenVectorCache(10_000)
    cache.put(("one", "id"), vectors(1))
    assert cache.get(("two", "id")) is None


def test_nothing_is_kept_without_room() -> None:
    cache = TokenVectorCache(0)
    cache.put(("c", "a"), vectors(1))
    assert (len(cache), cache.bytes) == (0, 0)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 60))), st.integers(0, 3000))
def test_bytes_are_counted_and_bounded(puts: list[tuple[int, int]], limit: int) -> None:
    cache = TokenVectorCache(limit)
    for name, rows in puts:
        cache.put(("c", str(name)), vectors(rows))
        kept = [one for key in range(7) if (one := cache.get(("c", str(key)))) is not None]
        assert cache.bytes == sum(one.nbytes + ENTRY_BYTES for one in kept) <= limit
    cache.clear()
    assert (len(cache), cache.bytes) == (0, 0)
