"""The reading half of a collection on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from services.core.wire.passages import DocumentInfo, Passage, TokenVectors
from services.retrieval.backend import Candidates, Page, Query, Vector
from services.retrieval.backends.edge.files import RevisionFile, TokenFile
from services.retrieval.backends.edge.shard import Hit, Shard, index_filter, revision_filter
from services.retrieval.backends.edge.shards import Shards
from services.retrieval.filters import TermFilter
from services.retrieval.points import (
    DOCUMENT_FIELDS,
    DOCUMENT_ID,
    INDEX,
    PASSAGE_FIELDS,
    REVISION,
    Payload,
    list_documents,
    point_id,
    read_passage,
    to_unit_length,
)
from services.retrieval.revisions import HiddenRevisions, RevisionKey, revision_key
from services.retrieval.sparse import weigh_query

ID = "id"
TOKEN_ROW = "token_row"  # noqa: S105 - a payload key
OWNER = [ID, DOCUMENT_ID, REVISION]
"""The payload keys that say whose a point is."""


class CollectionReader:
    """Reads what readers may see: passages of hidden revisions are left out. It blocks.

    One thread may read while another writes.
    """

    def __init__(self, shards: Shards, tokens: TokenFile, revisions: RevisionFile) -> None:
        self.shards = shards
        self._tokens = tokens
        self._revisions = revisions

    @property
    def _shard(self) -> Shard:
        return self.shards.now

    def search(self, query: Query, vector: Vector | None, where: TermFilter) -> Candidates:
        """Find the best passages; `vector` and `where` are what the store made of the query's own."""
        with self._revisions.hold() as hidden:
            return self._search(query, vector, where, hidden)

    def _search(
        self, query: Query, vector: Vector | None, where: TermFilter, hidden: HiddenRevisions
    ) -> Candidates:
        dense: list[Hit] = []
        sparse: list[Hit] = []
        if vector is not None and query.dense:
            find = partial(self._shard.search, vector, where=where, keys=PASSAGE_FIELDS)
            dense = _find_visible(find, query.k, hidden)
        if weights := weigh_query(query.text):
            find = partial(self._shard.search_sparse, weights, where=where, keys=PASSAGE_FIELDS)
            sparse = _find_visible(find, query.k, hidden)
        cosines = {hit.id: hit.score for hit in dense}
        needed = {hit.id for hit in (*dense, *sparse) if query.with_vectors or hit.id not in cosines}
        vectors = self._shard.vectors([*needed]) if needed else {}
        if vector is not None:
            unit = to_unit_length(vector)
            cosines = {**{id_: float(stored @ unit) for id_, stored in vectors.items()}, **cosines}
        return Candidates(
            [read_passage(hit.payload, hit.score) for hit in dense],
            [read_passage(hit.payload, cosines.get(hit.id), sparse_score=hit.score) for hit in sparse],
            {str(hit.payload[ID]): vectors[hit.id] for hit in (*dense, *sparse) if hit.id in vectors}
            if query.with_vectors
            else {},
        )

    def neighbours(self, ids: Sequence[str], before: int, after: int) -> dict[str, list[Passage]]:
        """Read, by passage id, the passages of its revision from `before` it to `after` it."""
        found = {}
        with self._revisions.hold() as hidden:
            for payload in self._shard.payloads([point_id(id_) for id_ in ids], [*OWNER, INDEX]):
                revision, index = revision_key(payload), payload[INDEX]
                if revision not in hidden and isinstance(index, int):
                    where = index_filter(revision, index - before, index + after)
                    around = self._shard.scroll(PASSAGE_FIELDS, where)
                    passages = [read_passage(stored.payload) for stored in around]
                    found[str(payload[ID])] = sorted(passages, key=lambda passage: passage.index)
        return found

    def page(self, after: str | None, limit: int) -> Page:
        """Read the next passages by point id."""
        with self._revisions.hold() as hidden:
            points, following = self._shard.page(PASSAGE_FIELDS, after=after, limit=limit)
            passages = [
                read_passage(stored.payload)
                for stored in points
                if revision_key(stored.payload) not in hidden
            ]
        return Page(passages, following)

    def token_vectors(self, ids: Sequence[str]) -> dict[str, TokenVectors]:
        """Read by passage id. A row that an overwrite removed since it was looked up is looked up again."""
        points = [point_id(id_) for id_ in ids]
        rows, found = self._read_tokens(points)
        if len(found) < len(rows):
            rows, found = self._read_tokens(points)
        return {id_: found[row] for id_, row in rows.items() if row in found}

    def _read_tokens(self, points: Sequence[str]) -> tuple[dict[str, int], dict[int, TokenVectors]]:
        rows = token_rows(self._shard.payloads(points, [ID, TOKEN_ROW]))
        return rows, self._tokens.read(list(rows.values()))

    def documents(self) -> list[DocumentInfo]:
        """List the documents; this reads every passage."""
        hidden = self._revisions.hidden
        payloads = (stored.payload for stored in self._shard.scroll(DOCUMENT_FIELDS))
        return list_documents(payload for payload in payloads if revision_key(payload) not in hidden)

    def count(self) -> int:
        """Count the passages that readers see."""
        hidden = self._revisions.hidden
        return self._shard.count() - self._count_of(hidden.staged | hidden.doomed)

    def _count_of(self, revisions: Iterable[RevisionKey]) -> int:
        return sum(self._shard.count(revision_filter(revision)) for revision in revisions)


def _find_visible(find: Callable[..., list[Hit]], k: int, hidden: HiddenRevisions) -> list[Hit]:
    """Find the best `k` that are not hidden, which are left out afterwards.

    A filter would cost more than a longer list.
    """
    limit = 2 * k if hidden else k
    while True:
        hits = find(k=limit)
        visible = [hit for hit in hits if revision_key(hit.payload) not in hidden]
        if len(visible) >= k or len(hits) < limit:
            return visible[:k]
        limit *= 2


def token_rows(payloads: Iterable[Payload]) -> dict[str, int]:
    """Read the row of each passage's token vectors, by passage id; absent where it has none."""
    rows = {}
    for payload in payloads:
        row = payload.get(TOKEN_ROW)
        if isinstance(row, int):
            rows[str(payload[ID])] = row
    return rows
