from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.embedding.batching import LENGTH_STEP, chunks, fill, padded, plan

LENGTHS = st.lists(st.integers(2, 256), max_size=80)


@given(LENGTHS, st.integers(1, 2048))
def test_every_text_is_in_one_batch_within_the_bound(lengths: list[int], bound: int) -> None:
    batches = plan(lengths, bound)
    assert sorted(position for batch in batches for position in batch) == list(range(len(lengths)))
    for batch in batches:
        width = padded(max(lengths[position] for position in batch))
        assert len(batch) == 1 or len(batch) * width <= bound


@given(LENGTHS)
def test_a_batch_holds_texts_of_similar_length(lengths: list[int]) -> None:
    batches = plan(lengths, 1024)
    spans = [(min(sizes), max(sizes)) for batch in batches if (sizes := [lengths[one] for one in batch])]
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))


def test_sorting_saves_padding() -> None:
    lengths = [16, 256] * 32
    batches = plan(lengths, 1024)
    spent = sum(len(batch) * padded(max(lengths[one] for one in batch)) for batch in batches)
    assert spent == sum(lengths)


def test_padding_is_masked() -> None:
    ids, mask = fill([[101, 7, 102], [101, 102]])
    assert ids.shape == mask.shape == (2, LENGTH_STEP)
    np.testing.assert_array_equal(mask.sum(axis=1), [3, 2])
    assert ids[1].tolist() == [101, 102] + [0] * (LENGTH_STEP - 2)


def test_chunks_keep_the_order() -> None:
    assert [list(chunk) for chunk in chunks([1, 2, 3, 4, 5], 2)] == [[1, 2], [3, 4], [5]]
    assert list(chunks([], 2)) == []
