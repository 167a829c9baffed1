from __future__ import annotations

import numpy as np
import pytest

from services.embedding.cache import CachedText
from services.embedding.encoder import hash_key


@pytest.mark.parametrize("rows", [None, 0, 3])
def test_an_entry_survives_its_bytes(rows: int | None) -> None:
    tokens = None if rows is None else np.arange(rows * 4, dtype=np.int8).reshape(rows, 4)
    text = CachedText(np.array([1.5, -2, 0, 3e-9], np.float32), 9, tokens)
    back = CachedText.from_bytes(text.to_bytes())
    assert back is not None
    np.testing.assert_array_equal(back.vector, text.vector)
    assert back.tokens == 9
    if tokens is None:
        assert back.token_vectors is None
    else:
        np.testing.assert_array_equal(back.token_vectors, tokens)
    assert back.nbytes == text.nbytes


def test_bytes_that_are_no_whole_entry_are_none() -> None:
    raw = CachedText(np.zeros(4, np.float32), 1, np.zeros((2, 4), np.int8)).to_bytes()
    for damaged in (b"", b"rle", raw[:-1], raw + b"x", b"xxxx" + raw[4:]):
        assert CachedText.from_bytes(damaged) is None


def test_keys_depend_on_where_one_part_ends() -> None:
    assert hash_key("ab", "c") != hash_key("a", "bc")
    assert hash_key("ab", "c") == hash_key("ab", "c")
