"""One collection on disk: passages in a shard, token vectors and hidden revisions in files beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np

from services.core.wire.passages import DocumentInfo, Passage, TokenVectors
from services.retrieval.backend import Page
from services.retrieval.backends.edge.revisions import RevisionFile
from services.retrieval.backends.edge.shard import Hit, Shard, around, of_document, of_revision
from services.retrieval.backends.edge.shards import Shards
from services.retrieval.backends.edge.tokens import TokenFile
from services.retrieval.candidates import Candidates, Query, Vector
from services.retrieval.documents import MENTION_FIELDS, list_documents
from services.retrieval.filters import Wanted
from services.retrieval.payload import (
    DOCUMENT_ID,
    FIELDS,
    INDEX,
    REVISION,
    Payload,
    Point,
    from_payload,
    point_id,
)
from services.retrieval.revisions import Hidden, Pair, pair_of, require_own_ids, require_passages, selected
from services.retrieval.sparse import query_weights

ID = "id"
TOKEN_ROW = "token_row"  # noqa: S105 - a payload key
OWNER = [ID, DOCUMENT_ID, REVISION]


class EdgeCollection:
    """Blocking; one thread may write (`upsert`, `hide_others`, `hide`, `purge`) while another reads.

    A passage's point is the record of both of its parts: it names the row of its token vectors. Rows
    are therefore written before the point that names them and removed after the point is gone or names
    another, and a crash in between leaves rows that nothing names, which the next `load` removes.
    """

    def __init__(self, shards: Shards, tokens: TokenFile, revisions: RevisionFile) -> None:
        self._shards = shards
        self._tokens = tokens
        self._revisions = revisions
        self._clean = True

    @classmethod
    def create(cls, folder: Path, dim: int) -> Self:
        shards = Shards.create(folder, dim)
        return cls(shards, TokenFile(folder / "tokens.db"), RevisionFile(folder / "revisions.db"))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Open, and finish what a crash interrupted. Staged revisions stay."""
        shards = Shards.load(folder)
        try:
            tokens = TokenFile(folder / "tokens.db")
            collection = cls(shards, tokens, RevisionFile(folder / "revisions.db"))
        except BaseException:
            shards.close()
            raise
        if tokens.crashed:
            named = _row_by_id(stored.payload for stored in shards.now.scroll([ID, TOKEN_ROW]))
            tokens.keep_only(set(named.values()))
        collection.purge(collection._revisions.hidden.doomed)
        return collection

    def upsert(self, points: Sequence[Point], *, staged: bool = False) -> None:
        """Store these, each id given once; durable on return, also through a power failure."""
        present = self._shard.payloads([point.id for point in points], [*OWNER, TOKEN_ROW])
        pairs = {str(point.payload[ID]): pair_of(point.payload) for point in points}
        if staged:
            require_own_ids(present, pairs)
        self.purge(set(pairs.values()) & self._revisions.hidden.doomed)
        if staged:
            self._stage(set(pairs.values()))
        replaced = _row_by_id(present)
        with self._two_parts():
            self._shards.upsert(self._with_rows(points))
            self._shard.save()
            self._tokens.remove(replaced.values())

    def _stage(self, pairs: set[Pair]) -> None:
        """Hide these before they have points, except those that readers see already."""
        hidden = self._revisions.hidden
        fresh = {pair for pair in pairs if pair not in hidden and not self._shard.count(of_revision(pair))}
        if fresh:
            self._revisions.set(hidden.stage(fresh))

    def _with_rows(self, points: Sequence[Point]) -> list[Point]:
        """The points, each naming the row where its token vectors now are."""
        rows = iter(self._tokens.add([p.token_vectors for p in points if p.token_vectors is not None]))
        return [
            point
            if point.token_vectors is None
            else replace(point, payload={**point.payload, TOKEN_ROW: next(rows)})
            for point in points
        ]

    def hide_others(self, pair: Pair, expected: int | None) -> tuple[set[Pair], int]:
        """Show this revision and hide what was seen of its document: one step, durable on return.

        The revisions that are now to be purged, and how many passages of them are stored.
        """
        hidden = self._revisions.hidden
        stored = 0 if pair in hidden.doomed else self._shard.count(of_revision(pair))
        require_passages(pair, stored, expected)
        others = self._stored_pairs(pair[0]) - {pair} - hidden.staged
        if others or pair in hidden:
            self._revisions.set(hidden.publish(pair, others))
        return others, self._count_of(others - hidden.doomed)

    def hide(self, document_id: str, *, keep: str | None, only: str | None) -> tuple[set[Pair], int]:
        """Hide a document's revisions, in one step; those to be purged, and how many passages they have."""
        hidden = self._revisions.hidden
        known = hidden.of(document_id)
        pairs = selected(self._stored_pairs(document_id) | known.staged | known.doomed, keep=keep, only=only)
        if pairs:
            self._revisions.set(hidden.doom(pairs))
        return pairs, self._count_of(pairs - hidden.doomed)

    def purge(self, pairs: Iterable[Pair]) -> None:
        """Delete hidden revisions' points, all of a revision at once, and forget them."""
        pairs = set(pairs)
        for pair in pairs:
            doomed = list(self._shard.scroll([ID, TOKEN_ROW], of_revision(pair)))
            if doomed:
                with self._two_parts():
                    self._shards.delete([stored.id for stored in doomed])
                    self._shard.save()
                    self._tokens.remove(_row_by_id(stored.payload for stored in doomed).values())
        if pairs:
            self._revisions.set(self._revisions.hidden.forget(pairs))

    def _stored_pairs(self, document_id: str) -> set[Pair]:
        return {pair_of(stored.payload) for stored in self._shard.scroll(OWNER, of_document(document_id))}

    def _count_of(self, pairs: Iterable[Pair]) -> int:
        return sum(self._shard.count(of_revision(pair)) for pair in pairs)

    def search(self, query: Query, vector: Vector | None, where: Wanted) -> Candidates:
        """`vector` and `where` are what the store made of the query's own."""
        with self._revisions.steady() as hidden:
            return self._search(query, vector, where, hidden)

    def _search(self, query: Query, vector: Vector | None, where: Wanted, hidden: Hidden) -> Candidates:
        dense: list[Hit] = []
        sparse: list[Hit] = []
        if vector is not None and query.dense:
            find = partial(self._shard.search, vector, where=where, keys=FIELDS)
            dense = _seen(find, query.k, hidden)
        if weights := query_weights(query.text):
            find = partial(self._shard.search_sparse, weights, where=where, keys=FIELDS)
            sparse = _seen(find, query.k, hidden)
        cosines = {hit.id: hit.score for hit in dense}
        wished = {hit.id for hit in (*dense, *sparse) if query.with_vectors or hit.id not in cosines}
        vectors = self._shard.vectors([*wished]) if wished else {}
        if vector is not None:
            unit = vector / np.float32(np.linalg.norm(vector) or 1)
            cosines = {**{id_: float(each @ unit) for id_, each in vectors.items()}, **cosines}
        return Candidates(
            [from_payload(hit.payload, hit.score) for hit in dense],
            [from_payload(hit.payload, cosines.get(hit.id), sparse_score=hit.score) for hit in sparse],
            {str(hit.payload[ID]): vectors[hit.id] for hit in (*dense, *sparse) if hit.id in vectors}
            if query.with_vectors
            else {},
        )

    def neighbours(self, ids: Sequence[str], before: int, after: int) -> dict[str, list[Passage]]:
        with self._revisions.steady() as hidden:
            return self._neighbours(ids, before, after, hidden)

    def _neighbours(
        self, ids: Sequence[str], before: int, after: int, hidden: Hidden
    ) -> dict[str, list[Passage]]:
        found = {}
        for payload in self._shard.payloads([point_id(id_) for id_ in ids], [*OWNER, INDEX]):
            pair, index = pair_of(payload), payload[INDEX]
            if pair not in hidden and isinstance(index, int):
                stored = self._shard.scroll(FIELDS, around(pair, index - before, index + after))
                passages = [from_payload(each.payload) for each in stored]
                found[str(payload[ID])] = sorted(passages, key=lambda passage: passage.index)
        return found

    def page(self, after: str | None, limit: int) -> Page:
        with self._revisions.steady() as hidden:
            return self._page(after, limit, hidden)

    def _page(self, after: str | None, limit: int, hidden: Hidden) -> Page:
        stored, following = self._shard.page(FIELDS, after=after, limit=limit)
        passages = [from_payload(each.payload) for each in stored if pair_of(each.payload) not in hidden]
        return Page(passages, following)

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
        hidden = self._revisions.hidden
        mentions = (stored.payload for stored in self._shard.scroll(MENTION_FIELDS))
        return list_documents(payload for payload in mentions if pair_of(payload) not in hidden)

    def count(self) -> int:
        """Of the passages that readers see."""
        hidden = self._revisions.hidden
        return self._shard.count() - self._count_of(hidden.staged | hidden.doomed)

    def close(self) -> None:
        self._shards.close()
        self._tokens.close(clean=self._clean)
        self._revisions.close()

    @property
    def _shard(self) -> Shard:
        return self._shards.now

    def unindexed(self) -> int:
        """How many passages are in no graph."""
        return self._shards.unindexed()

    def fork(self) -> Path:
        return self._shards.fork()

    def adopt(self, copy: Path) -> None:
        self._shards.adopt(copy)

    def release(self) -> None:
        self._shards.release()

    def abandon(self, copy: Path) -> None:
        self._shards.abandon(copy)

    @contextmanager
    def _two_parts(self) -> Iterator[None]:
        """Where the body fails half way, the next `load` has rows to clean up."""
        try:
            yield
        except BaseException:
            self._clean = False
            raise


def _seen(find: Callable[..., list[Hit]], k: int, hidden: Hidden) -> list[Hit]:
    """The best `k` that are not hidden, left out afterwards: a filter would cost more than a longer list."""
    limit = 2 * k if hidden else k
    while True:
        hits = find(k=limit)
        seen = [hit for hit in hits if pair_of(hit.payload) not in hidden]
        if len(seen) >= k or len(hits) < limit:
            return seen[:k]
        limit *= 2


def _row_by_id(payloads: Iterable[Payload]) -> dict[str, int]:
    """The token row of each passage that has one."""
    rows = {}
    for payload in payloads:
        row = payload.get(TOKEN_ROW)
        if isinstance(row, int):
            rows[str(payload[ID])] = row
    return rows
