"""One search as the requests of one batch, and its candidates out of the replies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from qdrant_client import models as q

from services.retrieval.candidates import Candidates, Query, Vector
from services.retrieval.filters import Wanted
from services.retrieval.payload import DENSE, FIELDS, SPARSE, TERMS, from_payload
from services.retrieval.sparse import query_weights

Points = Sequence[q.ScoredPoint]


class Requests:
    """Up to three: the dense side, the sparse side, and the sparse side's best once more by their cosine."""

    def __init__(self, query: Query, vector: Vector | None, where: Wanted, hidden: list[q.Condition]) -> None:
        self._query = query
        self._vector = None if vector is None else vector.tolist()
        weights = query_weights(query.text)
        self._sparse = q.SparseVector(indices=[*weights], values=[*weights.values()]) if weights else None
        has = [_has(terms) for terms in where.all_of]
        has_not = [_has(where.none_of)] if where.none_of else []
        self._filter = q.Filter(must=[*has], must_not=[*has_not, *hidden])
        self._params = q.SearchParams(acorn=q.AcornSearchParams(enable=bool(where)))

    @property
    def _dense_side(self) -> bool:
        return self._vector is not None and self._query.dense

    def all(self) -> list[q.QueryRequest]:
        requests = []
        if self._dense_side:
            requests.append(self._request(DENSE, query=self._vector, params=self._params))
        if self._sparse is not None:
            requests.append(self._request(SPARSE, query=self._sparse))
            if self._vector is not None:
                side = q.Prefetch(query=self._sparse, using=SPARSE, limit=self._query.k, filter=self._filter)
                requests.append(
                    q.QueryRequest(
                        prefetch=[side],
                        query=self._vector,
                        using=DENSE,
                        limit=self._query.k,
                        with_payload=False,
                    )
                )
        return requests

    def _request(
        self, using: str, *, query: q.SparseVector | list[float] | None, params: q.SearchParams | None = None
    ) -> q.QueryRequest:
        return q.QueryRequest(
            query=query,
            using=using,
            limit=self._query.k,
            filter=self._filter,
            params=params,
            with_payload=FIELDS,
            with_vector=[DENSE] if self._query.with_vectors else False,
        )

    def candidates(self, replies: Sequence[Points]) -> Candidates:
        """Of the replies to `all`, in its order."""
        sides = list(replies)
        dense = sides.pop(0) if self._dense_side else []
        sparse = sides.pop(0) if self._sparse is not None else []
        cosines = {point.id: point.score for side in sides for point in side}
        return Candidates(
            [from_payload(point.payload or {}, point.score) for point in dense],
            [
                from_payload(point.payload or {}, cosines.get(point.id), sparse_score=point.score)
                for point in sparse
            ],
            _vectors([*dense, *sparse]),
        )


def _has(terms: list[str]) -> q.FieldCondition:
    return q.FieldCondition(key=TERMS, match=q.MatchAny(any=terms))


def _vectors(points: Points) -> dict[str, Vector]:
    """By passage id, of those that came with one; the server keeps them at length one."""
    return {
        str(point.payload["id"]): np.asarray(point.vector[DENSE], np.float32)
        for point in points
        if point.payload and isinstance(point.vector, dict)
    }
