"""What a store is asked for, and what it finds, before anything is fused or cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from services.core.wire.base import Filter
from services.core.wire.passages import Passage

Vector = NDArray[np.float32]


@dataclass(frozen=True)
class Query:
    """The `k` best of each side: of `vector` by cosine, of `text` by BM25 weights and the store's IDF.

    A side without its input is not searched; without `dense`, the vector only gives the sparse side's
    passages their cosines. `with_vectors` asks for the passages' vectors too.
    """

    vector: Sequence[float] | None = None
    text: str = ""
    dense: bool = True
    k: int = 4
    where: Filter | None = None
    with_vectors: bool = False


@dataclass(frozen=True)
class Candidates:
    """Both sides best first, read from one state of the collection.

    Every passage of `dense` has its `score`, every one of `sparse` its `sparse_score`, and its `score` too
    where the query has a vector. `vectors` are of length one, by passage id.
    """

    dense: list[Passage] = field(default_factory=list)
    sparse: list[Passage] = field(default_factory=list)
    vectors: Mapping[str, Vector] = field(default_factory=dict)
