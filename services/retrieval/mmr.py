"""Maximal marginal relevance (Carbonell and Goldstein, 1998): relevant, and unlike what was chosen before."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from services.retrieval.candidates import Vector


def diverse(
    relevance: Mapping[str, float], vectors: Mapping[str, Vector], *, k: int, weight: float
) -> list[str]:
    """`k` of the candidates, in the order of choice.

    The next one is always that with the greatest `weight` * relevance - (1 - `weight`) * its greatest
    cosine with one chosen before. `weight` 1 orders by relevance, 0 by difference alone. `vectors` have
    length one; a candidate without one is like nothing.
    """
    ids = sorted(relevance, key=lambda id_: -relevance[id_])
    if not ids:
        return []
    dim = max((len(vector) for vector in vectors.values()), default=1)
    nothing = np.zeros(dim, np.float32)
    matrix = np.stack([vectors.get(id_, nothing) for id_ in ids])
    gain = weight * np.array([relevance[id_] for id_ in ids])
    likeness = np.full(len(ids), -np.inf)
    left = np.ones(len(ids), bool)
    chosen: list[str] = []
    while len(chosen) < min(k, len(ids)):
        known = likeness if chosen else np.zeros(len(ids))
        at = int(np.argmax(np.where(left, gain - (1 - weight) * known, -np.inf)))
        chosen.append(ids[at])
        left[at] = False
        likeness = np.maximum(likeness, matrix @ matrix[at])
    return chosen
