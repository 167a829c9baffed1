"""Texts as the arrays of a pass: pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
LENGTH_STEP = 8
"""Batches are padded to a multiple of this: the engine prepares itself once per shape it sees."""


def padded(length: int) -> int:
    """The number of tokens that a text of `length` tokens takes in a batch of its own."""
    return -(-length // LENGTH_STEP) * LENGTH_STEP


def fill(texts: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Token ids and mask of shape (texts, padded length), zeros on the right."""
    shape = len(texts), padded(max(len(text) for text in texts))
    ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.float32)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = text
        mask[row, : len(text)] = 1
    return ids, mask


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Runs of at most `size` items, in order."""
    return (items[start : start + size] for start in range(0, len(items), size))
