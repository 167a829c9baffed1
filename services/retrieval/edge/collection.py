"""One collection on disk: passages in a shard, their token vectors in a file beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from services.core.wire.passages import DocumentInfo, Passage, TokenVectors
from services.retrieval.documents import MENTION_FIELDS, list_documents
from services.retrieval.edge.shard import Shard
from services.retrieval.edge.tokens import TokenFile
from services.retrieval.filters import Clauses
from services.retrieval.payload import FIELDS, Payload, Point, from_payload, point_id

ID = "id"
TOKEN_ROW = "token_row"  # noqa: S105 - a payload key


class EdgeCollection:
    """Blocking; one thread may write (`upsert`, `delete`) while another reads.

    A passage's point is the record of both of its parts: it names the row of its token vectors. Rows
    are therefore written before the point that names them and removed after the point is gone or names
    another, and a crash in between leaves rows that nothing names, which the next `load` removes.
    """

    def __init__(self, shard: Shard, tokens: TokenFile) -> None:
        self._shard = shard
        self._tokens = tokens
        self._clean = True

    @classmethod
    def create(cls, folder: Path, dim: int) -> Self:
        return cls(Shard.create(folder / "shard", dim), TokenFile(folder / "tokens.db"))

    @classmethod
    def load(cls, folder: Path) -> Self:
        shard = Shard.load(folder / "shard")
        try:
            tokens = TokenFile(folder / "tokens.db")
        except BaseException:
            shard.close()
            raise
        if tokens.crashed:
            named = _row_by_id(stored.payload for stored in shard.scroll([ID, TOKEN_ROW]))
            tokens.keep_only(set(named.values()))
        return cls(shard, tokens)

    def upsert(self, points: Sequence[Point]) -> None:
        """Store these, each id given once; durable on return, also through a power failure."""
        replaced = _row_by_id(self._shard.payloads([point.id for point in points], [ID, TOKEN_ROW]))
        with self._two_parts():
            self._shard.upsert(self._with_rows(points))
            self._shard.flush()
            self._tokens.remove(replaced.values())

    def _with_rows(self, points: Sequence[Point]) -> list[Point]:
        """The points, each naming the row where its token vectors now are."""
        rows = iter(self._tokens.add([p.token_vectors for p in points if p.token_vectors is not None]))
        return [
            point
            if point.token_vectors is None
            else replace(point, payload={**point.payload, TOKEN_ROW: next(rows)})
            for point in points
        ]

    def delete(self, document_id: str, keep_revision: str | None) -> int:
        """How many were deleted: all at once, durable on return."""
        doomed = list(
            self._shard.scroll([ID, TOKEN_ROW], document_id=document_id, except_revision=keep_revision)
        )
        if doomed:
            with self._two_parts():
                self._shard.delete([stored.id for stored in doomed])
                self._shard.flush()
                self._tokens.remove(_row_by_id(stored.payload for stored in doomed).values())
        return len(doomed)

    def search(
        self, vector: NDArray[np.float32], *, k: int, wanted: Clauses, threshold: float | None
    ) -> list[Passage]:
        hits = self._shard.search(vector, k=k, wanted=wanted, threshold=threshold, keys=FIELDS)
        return [from_payload(hit.payload, hit.score) for hit in hits]

    def token_vectors(self, ids: Sequence[str]) -> dict[str, TokenVectors]:
        """By passage id. A row that an overwrite removed since it was looked up is looked up again."""
        points = [point_id(id_) for id_ in ids]
        rows, found = self._read_tokens(points)
        if len(found) < len(rows):
            rows, found = self._read_tokens(points)
        return {id_: found[row] for id_, row in rows.items() if row in found}

    def _read_tokens(self, points: Sequence[str]) -> tuple[dict[str, int], dict[int, TokenVectors]]:
        rows = _row_by_id(self._shard.payloads(points, [ID, TOKEN_ROW]))
        return rows, self._tokens.read(list(rows.values()))

    def documents(self) -> list[DocumentInfo]:
        return list_documents(stored.payload for stored in self._shard.scroll(MENTION_FIELDS))

    def count(self) -> int:
        return self._shard.count()

    def close(self) -> None:
        self._shard.close()
        self._tokens.close(clean=self._clean)

    @contextmanager
    def _two_parts(self) -> Iterator[None]:
        """Where the body fails half way, the next `load` has rows to clean up."""
        try:
            yield
        except BaseException:
            self._clean = False
            raise


def _row_by_id(payloads: Iterable[Payload]) -> dict[str, int]:
    """The token row of each passage that has one."""
    rows = {}
    for payload in payloads:
        row = payload.get(TOKEN_ROW)
        if isinstance(row, int):
            rows[str(payload[ID])] = row
    return rows
