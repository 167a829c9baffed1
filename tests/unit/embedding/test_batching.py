from __future__ import annotations

import numpy as np

from services.embedding.batching import LENGTH_STEP, chunks, fill, padded


def test_padding_is_masked() -> None:
    ids, mask = fill([[101, 7, 102], [101, 102]])
    assert ids.shape == mask.shape == (2, LENGTH_STEP)
    np.testing.assert_array_equal(mask.sum(axis=1), [3, 2])
    assert ids[1].tolist() == [101, 102] + [0] * (LENGTH_STEP - 2)


def test_chunks_keep_the_order() -> None:
    assert [list(chunk) for chunk in chunks([1, 2, 3, 4, 5], 2)] == [[1, 2], [3, 4], [5]]
    assert list(chunks([], 2)) == []


def test_lengths_are_padded_to_shapes_that_the_engine_sees_again() -> None:
    assert [padded(length) for length in (1, 8, 9, 16)] == [8, 8, 16, 16]
