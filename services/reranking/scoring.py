"""The maths of late interaction: pure functions over token vectors.

MaxSim is the relevance of ColBERT (Khattab and Zaharia 2020, "ColBERT: Efficient and Effective Passage
Search via Contextualized Late Interaction over BERT", equation 3): every query token takes the best
cosine that any passage token gives it. Here it is the mean over the query's tokens, not the sum, so that
it lies in [-1, 1] for a query of any length.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

INT8_SCALE = 127
BLOCK_ROWS = 16384
"""Passage tokens that are held as float32 at a time: about 25 MB at 384 dimensions."""

TokenArray = NDArray[np.int8] | NDArray[np.float32]
Scores = NDArray[np.float64]


def maxsim(query: TokenArray, passages: Sequence[TokenArray]) -> Scores:
    """MaxSim of each passage, shape (n,), in [-1, 1]; 0 where the query or the passage has no token.

    Token vectors have shape (tokens, dim) and unit length; int8 ones are scaled by 127.
    """
    scores = np.zeros(len(passages), np.float64)
    if not len(query):
        return scores
    columns = np.ascontiguousarray(_floats(query).T)
    block: list[int] = []
    rows = 0
    for position, passage in enumerate(passages):
        if not len(passage):
            continue
        if block and rows + len(passage) > BLOCK_ROWS:
            scores[block] = _block(columns, [passages[one] for one in block])
            block, rows = [], 0
        block.append(position)
        rows += len(passage)
    if block:
        scores[block] = _block(columns, [passages[one] for one in block])
    return scores


def _block(columns: NDArray[np.float32], passages: Sequence[TokenArray]) -> Scores:
    """One matrix product for all passages: (all their tokens, dim) @ (dim, query tokens)."""
    lengths = [len(passage) for passage in passages]
    starts = np.concatenate(([0], np.cumsum(lengths[:-1]))).astype(np.intp)
    similar = _joined(passages) @ columns
    scores: Scores = np.maximum.reduceat(similar, starts, axis=0).mean(axis=1, dtype=np.float64)
    return scores


def _joined(passages: Sequence[TokenArray]) -> NDArray[np.float32]:
    """All tokens as float32; int8 is converted once for all, which is cheaper than one by one."""
    small = [passage for passage in passages if passage.dtype == np.int8]
    if len(small) == len(passages):
        return _floats(np.concatenate(small, dtype=np.int8))
    return np.concatenate([_floats(passage) for passage in passages])


def _floats(vectors: TokenArray) -> NDArray[np.float32]:
    if vectors.dtype != np.int8:
        return vectors.astype(np.float32, copy=False)
    floats: NDArray[np.float32] = vectors.astype(np.float32)
    floats *= np.float32(1 / INT8_SCALE)
    return floats


def standardized(scores: Scores) -> Scores:
    """z-scores: mean 0, standard deviation 1; all 0 where the scores are all the same."""
    spread = scores.std()
    if spread < 1e-9:
        return np.zeros_like(scores)
    z: Scores = (scores - scores.mean()) / spread
    return z


def blend(late: Scores, dense: Sequence[float | None], weight: float = 1.0) -> Scores:
    """z(MaxSim) + `weight` * z(dense), or MaxSim as it is where a passage has no dense score.

    Both are put on one scale first, because cosines of pooled vectors spread differently from MaxSim.
    """
    known = [score for score in dense if score is not None]
    if not known or len(known) != len(dense):
        return late
    return standardized(late) + weight * standardized(np.array(known, np.float64))


def sigmoid(score: float) -> float:
    """1 / (1 + e^-x), without overflow for very negative scores."""
    return float(0.5 * (1 + np.tanh(0.5 * score)))
