"""The maths of late interaction: pure functions over token vectors.

MaxSim is the relevance of ColBERT (Khattab and Zaharia 2020, "ColBERT: Efficient and Effective Passage
Search via Contextualized Late Interaction over BERT", equation 3): every query token takes the best
cosine that any passage token gives it. Here it is the mean over the query's tokens, not the sum, so that
it lies in [-1, 1] for a query of any length; the mean may be weighted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

INT8_SCALE = 127
BLOCK_ROWS = 16384
"""Passage tokens that are held as float32 at a time: about 25 MB at 384 dimensions."""

SAME_TOKEN = 0.7
"""Cosine from which two tokens in different company count as the same word."""

Weighting = Literal["uniform", "idf"]
TokenArray = NDArray[np.int8] | NDArray[np.float32]
Scores = NDArray[np.float64]


def maxsim(query: TokenArray, passages: Sequence[TokenArray], weighting: Weighting = "uniform") -> Scores:
    """Compute MaxSim for each passage, shape (n,), in [-1, 1]; 0 where either has no token."""
    best = best_cosines(query, passages)
    if not best.size:
        return np.zeros(len(passages), np.float64)
    scores: Scores = best @ token_weights(best, weighting)
    return scores


def token_weights(best: Scores, weighting: Weighting) -> Scores:
    """Compute how much each query token counts, summing up to 1; `best` is from `best_cosines`.

    `idf` counts a token the less the more of these very passages have it, by BM25's formula (Robertson and
    Zaragoza 2009, equation 3.3): a passage has a token where its best cosine is at least `SAME_TOKEN`.
    """
    count, tokens = best.shape
    if weighting == "uniform":
        return np.full(tokens, 1 / tokens, np.float64)
    having = (best >= SAME_TOKEN).sum(axis=0)
    idf: Scores = np.log1p((count - having + 0.5) / (having + 0.5))
    idf /= idf.sum()
    return idf


def best_cosines(query: TokenArray, passages: Sequence[TokenArray]) -> Scores:
    """Find each query token's best cosine in each passage, shape (passages, query tokens), in [-1, 1].

    Token vectors have shape (tokens, dim) and unit length; int8 ones are scaled by 127. The row of a
    passage without tokens is 0.
    """
    best = np.zeros((len(passages), len(query)), np.float64)
    if not len(query):
        return best
    columns = np.ascontiguousarray(_to_floats(query).T)
    block: list[int] = []
    rows = 0
    for position, passage in enumerate(passages):
        if not len(passage):
            continue
        if block and rows + len(passage) > BLOCK_ROWS:
            best[block] = _score_block(columns, [passages[index] for index in block])
            block, rows = [], 0
        block.append(position)
        rows += len(passage)
    if block:
        best[block] = _score_block(columns, [passages[index] for index in block])
    return best


def span_cosines(
    query: NDArray[np.float32], tokens: TokenArray, starts: Sequence[int], spans: Sequence[tuple[int, int]]
) -> list[float | None]:
    """Compute the cosine of a query's vector and the mean of the tokens of each span of a text.

    Args:
        query: Shape (dim,).
        tokens: The text's token vectors, shape (tokens, dim).
        starts: Where each of these tokens begins in the text, ascending.
        spans: From and to, in the same characters.

    Returns:
        Cosines in [-1, 1]; None for a span in which no token begins.
    """
    rows = _to_floats(tokens)
    cosines: list[float | None] = []
    for start, end in spans:
        first, last = np.searchsorted(starts, [start, end])
        mean = rows[first:last].sum(axis=0)
        size = float(np.linalg.norm(mean) * np.linalg.norm(query))
        cosines.append(round(float(mean @ query) / size, 4) if first < last and size else None)
    return cosines


def _score_block(columns: NDArray[np.float32], passages: Sequence[TokenArray]) -> NDArray[np.float32]:
    """Multiply all passages by the query at once: (all their tokens, dim) @ (dim, query tokens)."""
    lengths = [len(passage) for passage in passages]
    starts = np.concatenate(([0], np.cumsum(lengths[:-1]))).astype(np.intp)
    best: NDArray[np.float32] = np.maximum.reduceat(_join_as_floats(passages) @ columns, starts, axis=0)
    return best


def _join_as_floats(passages: Sequence[TokenArray]) -> NDArray[np.float32]:
    """Join all tokens as float32; int8 is converted once for all, which is cheaper than one by one."""
    small = [passage for passage in passages if passage.dtype == np.int8]
    if len(small) == len(passages):
        return _to_floats(np.concatenate(small, dtype=np.int8))
    return np.concatenate([_to_floats(passage) for passage in passages])


def _to_floats(vectors: TokenArray) -> NDArray[np.float32]:
    if vectors.dtype != np.int8:
        return vectors.astype(np.float32, copy=False)
    floats: NDArray[np.float32] = vectors.astype(np.float32)
    floats *= np.float32(1 / INT8_SCALE)
    return floats


def standardise(scores: Scores) -> Scores:
    """Turn scores into z-scores (mean 0, deviation 1); all 0 where the scores are all the same."""
    spread = scores.std()
    if spread < 1e-9:
        return np.zeros_like(scores)
    z: Scores = (scores - scores.mean()) / spread
    return z


class Part(NamedTuple):
    """Another score of the same passages, and what its z-score counts beside MaxSim's, which counts 1.

    `absent` stands for the score of a passage that has none where others have one; without it, a part that
    does not score every passage is left out.
    """

    scores: Sequence[float | None]
    weight: float
    absent: float | None = None


def blend(late: Scores, *parts: Part) -> Scores:
    """Add up z(MaxSim) and the weighted z-scores of the parts; MaxSim stays as it is where no part counts.

    All are put on one scale first, because cosines of pooled vectors spread differently from MaxSim, and BM25
    is in another unit altogether.
    """
    used = [
        (known, part.weight)
        for part in parts
        if part.weight and (known := _complete_scores(part)) is not None
    ]
    if not used:
        return late
    total = standardise(late)
    for known, weight in used:
        total = total + weight * standardise(known)
    return total


def _complete_scores(part: Part) -> Scores | None:
    """Give a part's score for every passage; None where the part is to be left out."""
    if all(score is None for score in part.scores):
        return None
    known = [part.absent if score is None else score for score in part.scores]
    complete = [score for score in known if score is not None]
    return np.array(complete, np.float64) if len(complete) == len(known) else None


def sigmoid(score: float) -> float:
    """Compute 1 / (1 + e^-x), without overflow for very negative scores."""
    return float(0.5 * (1 + np.tanh(0.5 * score)))
